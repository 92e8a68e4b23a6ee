package trim

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/event"
	"midplane/platform/registry"
	"midplane/streams"
	"midplane/tenants/account"
)

// settled is how long a poller must have been done with a message before its id may be
// forgotten. A process that stood still for ten seconds discards what it held, and what
// a server has in hand arrives within 45 (package ingress, still.go).
const settled = time.Minute

// lowsKept bounds what is remembered of one stream of a poller.
const lowsKept = 16

// lows is how far pollers were done with their messages when, as they reported. The
// trimmer trusts it since a poller can only forget its own ids by it: the ids of others
// begin with another name.
type lows map[lowKey]*low

type lowKey struct {
	tenant   event.Tenant
	producer string
	stream   string
}

type low struct {
	epoch   int64
	settled uint64 // everything up to here is done with for long enough
	reports []lowAt
}

type lowAt struct {
	low uint64
	at  time.Time
}

// note takes what a poller reports now.
func (l lows) note(k lowKey, epoch int64, reported uint64, now time.Time, within time.Duration) {
	p := l[k]
	if p == nil || p.epoch != epoch {
		p = &low{epoch: epoch}
		l[k] = p
	}
	if n := len(p.reports); n == 0 || reported > p.reports[n-1].low && n < lowsKept {
		p.reports = append(p.reports, lowAt{reported, now})
	}
	for len(p.reports) > 0 && now.Sub(p.reports[0].at) >= within {
		p.settled, p.reports = max(p.settled, p.reports[0].low), p.reports[1:]
	}
}

// done reports whether no copy of a message can come any more.
func (l lows) done(tenant event.Tenant, msgID string) bool {
	id, ok := event.ParseMessageID(msgID)
	if !ok {
		return false
	}
	p := l[lowKey{tenant, string(id.Producer), id.Stream}]
	return p != nil && p.epoch == id.Epoch && id.Sequence <= p.settled
}

// noteLows takes what the pollers of a tenant report of a stream.
func (r *Trimmer) noteLows(t *registry.Tenant, stream string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, u := range t.Users {
		if u.Role != account.RolePoller {
			continue
		}
		report, _, ok := registry.Get[registry.PollerStatus](r.cfg.Registry, registry.PollerKey(string(t.ID), name))
		if !ok {
			continue
		}
		for _, o := range report.Outgoing {
			if o.Stream == stream {
				r.lows.note(lowKey{t.ID, name, stream}, report.Epoch, o.Low, now, r.cfg.Settled)
			}
		}
	}
}

// doneFloor returns the first sequence from first on, up to goal, of which a copy may
// come yet. It is asked only for what everybody has read and the duplicate window holds.
func (r *Trimmer) doneFloor(ctx context.Context, t *registry.Tenant, js jetstream.JetStream, stream string, first, goal uint64) (floor uint64, err error) {
	// Doors of the version before this format forward what is old.
	if all, err := r.cfg.Registry.Unbounded(); err != nil || !all {
		return 0, err
	}
	floor = first
	err = streams.EachID(ctx, js, stream, first, func(seq uint64, id string) bool {
		floor = seq
		r.mu.Lock()
		done := r.lows.done(t.ID, id)
		r.mu.Unlock()
		if seq >= goal || !done {
			return false
		}
		floor++
		return true
	})
	return min(floor, goal), err
}
