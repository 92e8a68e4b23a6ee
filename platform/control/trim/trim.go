// Package trim keeps streams from filling with what all readers have read: it
// measures them, purges what package streams plans, and names in an alarm the
// reader that a stream waits for. It touches streams, never
// the spec. Only the leading node runs it.
package trim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/once"
	"midplane/platform/control/primaries"
	"midplane/platform/node"
	"midplane/platform/registry"
	"midplane/streams"
	"midplane/tenants"
)

// Server lists the streams of an account as this node's server has them.
type Server interface {
	Streams(accountKey string) []node.Stream
}

// Dialer opens connections into tenants' accounts.
type Dialer interface {
	JetStream(t *registry.Tenant) (jetstream.JetStream, error)
}

// Alarms raises alarms in tenants.
type Alarms interface {
	RaiseOnce(ctx context.Context, t *registry.Tenant, id string, sev event.Severity, a event.Alarm)
	RaiseHourly(ctx context.Context, raised *once.Every, t *registry.Tenant, id string, sev event.Severity, a event.Alarm)
}

// Config is what a Trimmer is given.
type Config struct {
	Registry *registry.Registry
	Server   Server
	Dialer   Dialer
	Alarms   Alarms
	Log      *slog.Logger

	Every      time.Duration // sizes are looked at
	Age        time.Duration // and age
	Duplicates time.Duration // nothing younger is trimmed; 0: see young
	Settled    time.Duration // a poller is done with a message for good; 0: see settled
}

// Trimmer trims for one term of leading.
type Trimmer struct {
	cfg      Config
	aged     once.Every // tenants whose streams were looked at for their age
	backlogs once.Every // alarms about backlogs, by id

	mu   sync.Mutex
	lows lows
}

// New returns a Trimmer; Run trims.
func New(cfg Config) *Trimmer {
	if cfg.Settled == 0 {
		cfg.Settled = settled
	}
	return &Trimmer{cfg: cfg, lows: lows{}}
}

// Run trims until ctx ends.
func (r *Trimmer) Run(ctx context.Context) {
	tick := time.NewTicker(r.cfg.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// What is trimmed cannot be had back: never on an old copy.
		if r.cfg.Registry.Fresh(ctx) != nil {
			continue
		}
		var g errgroup.Group
		g.SetLimit(atOnce)
		for _, t := range r.cfg.Registry.View().Tenants {
			if !t.Open() || len(t.Account.Incarnations) == 0 || ctx.Err() != nil {
				continue
			}
			byAge := r.aged.Due(string(t.ID), r.cfg.Age)
			g.Go(func() error {
				tctx, cancel := context.WithTimeout(ctx, within)
				defer cancel()
				if err := r.tenant(tctx, t, byAge); err != nil && ctx.Err() == nil {
					r.cfg.Log.Warn("trimming", "tenant", t.ID, "error", err)
				}
				return nil
			})
		}
		_ = g.Wait() // returns nil
	}
}

// One tenant that does not answer must not keep the others' streams from being
// trimmed.
const (
	atOnce = 4
	within = 20 * time.Second
)

// tenant looks at a tenant's streams and trims those that are full enough, or
// all of them by age.
func (r *Trimmer) tenant(ctx context.Context, t *registry.Tenant, byAge bool) error {
	var errs []error
	tight := r.tight()
	for _, s := range r.cfg.Server.Streams(t.Account.Key) {
		k := event.KindOfStream(s.Name)
		full := s.Bytes*100 > uint64(t.Spec.Limits().Share(k))*backlogLevels[len(backlogLevels)-1]
		if k == "" || s.Messages == 0 || !full && !byAge && !tight {
			continue
		}
		js, err := r.cfg.Dialer.JetStream(t)
		if err != nil {
			return err
		}
		if k == event.KindState {
			err = r.state(ctx, t, js)
		} else {
			err = r.stream(ctx, t, js, k, tight)
		}
		if err != nil {
			errs = append(errs, fault.Wrap(fault.Other, err, "stream %s", s.Name))
		}
	}
	return errors.Join(errs...)
}

// tight reports whether a node's store is nearly full: more was promised than there
// is, and streams that are within their shares have to give up what all have read.
func (r *Trimmer) tight() bool {
	for _, n := range r.cfg.Registry.LiveNodes() {
		if n.Store != nil && n.Store.Above(api.StoreTight/100.) {
			return true
		}
	}
	return false
}

// clocks is how far those of nodes may be apart.
const clocks = time.Minute

// young is the age below which nothing of a stream is trimmed: the stream forgets
// the id of a purged message, and would store its retry again. The window is the
// stream's own: while two versions run, one of them may have set another.
func (r *Trimmer) young(cfg jetstream.StreamConfig) time.Duration {
	if r.cfg.Duplicates > 0 {
		return r.cfg.Duplicates
	}
	return cfg.Duplicates + clocks
}

// stream measures one stream exactly, plans and purges. tight has it trimmed as if it
// were full.
func (r *Trimmer) stream(ctx context.Context, t *registry.Tenant, js jetstream.JetStream, k event.Kind, tight bool) error {
	s, err := js.Stream(ctx, k.Stream())
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "state")
	}
	info := s.CachedInfo()
	in := streams.Trim{Kind: k, First: info.State.FirstSeq, Last: info.State.LastSeq, Bytes: info.State.Bytes, Share: t.Spec.Limits().Share(k)}
	if in.Cursors, err = r.cursors(ctx, t, js, k.Stream()); err != nil {
		return err
	}
	now := time.Now()
	if keep := t.Spec.RetentionOf(k).Std(); keep > 0 {
		if in.AgeFloor, err = streams.FirstSince(ctx, js, k.Stream(), now.Add(-keep), in.Last); err != nil {
			return err
		}
	}
	if in.DupFloor, err = streams.FirstSince(ctx, js, k.Stream(), now.Add(-r.young(info.Config)), in.Last); err != nil {
		return err
	}
	plan := in
	if tight {
		plan.Share = min(in.Share, int64(in.Bytes))
	}
	d := plan.Plan()
	r.noteLows(t, k.Stream(), now)
	if d.HeldBy == streams.HeldByWindow && k != event.KindDead {
		goal := plan
		goal.DupFloor = goal.Last + 1
		if plan.DoneFloor, err = r.doneFloor(ctx, t, js, k.Stream(), in.First, goal.Plan().PurgeTo); err != nil {
			r.cfg.Log.Warn("what pollers are done with is not known, and waits for the duplicate window", "tenant", t.ID, "stream", k.Stream(), "error", err)
		}
		d = plan.Plan()
	}
	r.raiseBacklog(ctx, t, in, d)
	if err := r.hold(ctx, t, js, in, d, r.young(info.Config)); err != nil {
		r.cfg.Log.Warn("until when a stream is held is not kept", "tenant", t.ID, "stream", k.Stream(), "error", err)
	}
	if d.PurgeTo == 0 {
		return nil
	}
	if err := streams.Purge(ctx, js, k.Stream(), d.PurgeTo); err != nil {
		return err
	}
	r.cfg.Log.Info("trimmed", "tenant", t.ID, "stream", k.Stream(), "below", d.PurgeTo, "reason", d.Reason)
	for _, o := range d.Overtakes {
		id := fmt.Sprintf("overtaken/%s/%s/%d", k.Stream(), o.Owner, d.PurgeTo)
		r.cfg.Alarms.RaiseOnce(ctx, t, id, event.Warning, event.Alarm{Alarm: "overtaken", Source: "trimmer", Stream: k.Stream(), From: o.Seq + 1, To: d.PurgeTo - 1,
			Message: fmt.Sprintf("%s had not read %d messages of %s that were dropped", o.Owner, d.PurgeTo-1-o.Seq, k.Stream()), Hint: "subscriptions with whenFull: hold are never overtaken"})
	}
	return nil
}

// cursors returns the cursor of every registered reader of a stream: primaries, and the
// declared subscriptions by their ack floor.
func (r *Trimmer) cursors(ctx context.Context, t *registry.Tenant, js jetstream.JetStream, stream string) ([]streams.Cursor, error) {
	out := primaries.Cursors(r.cfg.Registry, t, stream)
	for _, s := range t.Spec.Subscriptions {
		if s.Stream != stream {
			continue
		}
		name := streams.DurableName(s.Application, s.Name)
		c, err := js.Consumer(ctx, stream, name)
		if err != nil {
			return nil, fault.Wrap(fault.Unavailable, err, "subscription %s/%s", s.Application, s.Name)
		}
		info := c.CachedInfo()
		seq := info.AckFloor.Stream
		if info.NumPending == 0 && info.NumAckPending == 0 {
			// Nothing that matches its filter is left: it has dealt with all there is.
			seq = max(seq, info.Delivered.Stream)
			if st, err := js.Stream(ctx, stream); err == nil && st.CachedInfo().State.LastSeq >= seq {
				seq = r.settledSeq(ctx, c, st.CachedInfo().State.LastSeq, seq)
			}
		}
		out = append(out, streams.Cursor{Owner: "subscription " + s.Application + "/" + s.Name, Seq: seq, Hold: s.WhenFull == tenants.WhenFullHold})
	}
	return out, nil
}

// settledSeq asks once more after the stream's last sequence was read: if
// still nothing is pending, everything up to last is dealt with.
func (r *Trimmer) settledSeq(ctx context.Context, c jetstream.Consumer, last, otherwise uint64) uint64 {
	info, err := c.Info(ctx)
	if err != nil || info.NumPending != 0 || info.NumAckPending != 0 {
		return otherwise
	}
	return last
}

// state purges everything about devices that are no longer declared,
// once every reader has seen the message that says so.
func (r *Trimmer) state(ctx context.Context, t *registry.Tenant, js jetstream.JetStream) error {
	declared, at := r.cfg.Registry.Declared(t.ID)
	if len(declared.Removed) == 0 {
		return nil
	}
	s, err := js.Stream(ctx, event.StreamState)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "state")
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "subjects")
	}
	cursors, err := r.cursors(ctx, t, js, event.StreamState)
	if err != nil {
		return err
	}
	dup, err := streams.FirstSince(ctx, js, event.StreamState, time.Now().Add(-r.young(info.Config)), info.State.LastSeq)
	if err != nil {
		return err
	}
	var removed []streams.Removed
	for _, r := range declared.Removed {
		removed = append(removed, streams.Removed{Site: r.Site, Device: r.Device, Seq: r.Seq})
	}
	steps := streams.TrimState(removed, slices.Collect(maps.Keys(info.State.Subjects)), cursors, dup)
	for _, step := range steps {
		if err := streams.PurgeSubject(ctx, js, event.StreamState, step); err != nil {
			return err
		}
	}
	if len(steps) == 0 {
		return nil
	}
	// A removal that every reader has passed needs no record.
	floor, _, _ := streams.Floor(cursors)
	maps.DeleteFunc(declared.Removed, func(_ string, r registry.Removal) bool { return r.Seq <= floor && r.Seq < dup })
	if _, err := r.cfg.Registry.PutDeclared(ctx, t.ID, declared, at); !fault.Is(err, fault.Conflict) {
		return err
	}
	return nil // something else was declared in between: at the next look
}
