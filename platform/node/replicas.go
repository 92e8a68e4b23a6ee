package node

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"midplane/api"
	"midplane/fault"
	"midplane/platform/node/blocks"
)

// ErrRepair is what Replicas.Run returns when a replica has to be taken over from
// the other nodes: it is removed before the next start of the server.
var ErrRepair = fault.New(fault.Unavailable, "a replica is repaired")

// Replicas are this node's copies of streams, as files. It verifies them before
// the server starts and while it runs, and removes a damaged one before a start,
// when the other nodes hold everything.
type Replicas struct {
	store  string // folder of the accounts
	system string // public key of the system account
	key    string // of an encrypted store
	whole  Whole
	ask    bool // only what was asked for is removed
	log    *slog.Logger
	srv    *atomic.Pointer[server.Server]

	mu      sync.Mutex
	memory  memory
	changed bool // memory, since it was written
	damage  map[api.ReplicaRef]api.ReplicaDamage
	removed map[api.ReplicaRef]api.ReplicaDamage
	asked   map[api.ReplicaRef]api.ReplicaDamage // repairs for the next start
	repair  chan struct{}
}

// Whole asks the other nodes whether they hold all of some streams: all that are
// in the cluster, in files that they have read. It returns why not for each that
// may not be removed here.
type Whole func(ctx context.Context, streams []api.ReplicaRef) map[api.ReplicaRef]error

func newReplicas(cfg Config, srv *atomic.Pointer[server.Server], log *slog.Logger) *Replicas {
	r := &Replicas{
		store: filepath.Join(cfg.Dir, storeFolder, server.JetStreamStoreDir), system: cfg.System, key: cfg.StoreKey, whole: cfg.Whole, ask: cfg.AskBeforeRepair, log: log, srv: srv,
		memory: memory{path: filepath.Join(cfg.Dir, memoryFile)},
		damage: map[api.ReplicaRef]api.ReplicaDamage{}, removed: map[api.ReplicaRef]api.ReplicaDamage{}, asked: map[api.ReplicaRef]api.ReplicaDamage{},
		repair: make(chan struct{}, 1),
	}
	for ref, why := range cfg.Repair {
		r.asked[ref] = why
	}
	return r
}

func refOf(s blocks.Stream) api.ReplicaRef { return api.ReplicaRef{Account: s.Account, Stream: s.Name} }

// Held returns what this node's server holds of some streams, of all when none is
// named, and what was found in its files.
func (r *Replicas) Held(streams []api.ReplicaRef) []api.HeldReplica {
	out := []api.HeldReplica{}
	srv := r.srv.Load()
	if srv == nil {
		return out
	}
	for _, a := range details(srv, streams) {
		for _, s := range a.Streams {
			ref := api.ReplicaRef{Account: a.Id, Stream: s.Name}
			if s.Cluster == nil || len(streams) > 0 && !slices.Contains(streams, ref) {
				continue
			}
			h := api.HeldReplica{ReplicaRef: ref, Messages: s.State.Msgs, Bytes: s.State.Bytes,
				First: s.State.FirstSeq, Last: s.State.LastSeq, Leads: s.Cluster.Leader == srv.Name()}
			if h.Messages > 0 && h.Last >= h.First {
				h.Deleted = h.Last - h.First + 1 - h.Messages
			}
			h.Current = srv.JetStreamIsStreamCurrent(a.Id, s.Name)
			r.mu.Lock()
			if d, ok := r.damage[h.ReplicaRef]; ok {
				h.Damage = &d
			}
			if d, ok := r.removed[h.ReplicaRef]; ok {
				h.Removed = &d
			}
			r.mu.Unlock()
			out = append(out, h)
		}
	}
	return out
}

// details returns the server's streams, of all accounts or of those that some
// streams are of.
func details(srv *server.Server, streams []api.ReplicaRef) (out []*server.AccountDetail) {
	if len(streams) == 0 {
		info, err := srv.Jsz(&server.JSzOptions{Accounts: true, Streams: true, Limit: maxAccounts})
		if err != nil {
			return nil // not enabled yet
		}
		return info.AccountDetails
	}
	asked := map[string]bool{}
	for _, ref := range streams {
		if asked[ref.Account] {
			continue
		}
		asked[ref.Account] = true
		if d, err := srv.JszAccount(&server.JSzOptions{Account: ref.Account, Streams: true}); err == nil {
			out = append(out, d)
		}
	}
	return out
}

// Verify reads the files of some streams, whole.
func (r *Replicas) Verify(ctx context.Context, streams []api.ReplicaRef) []api.VerifiedReplica {
	out := []api.VerifiedReplica{}
	found, err := r.find()
	for _, ref := range streams {
		v := api.VerifiedReplica{ReplicaRef: ref, Unreadable: true}
		i := slices.IndexFunc(found, func(s blocks.Stream) bool { return refOf(s) == ref })
		if err == nil && i >= 0 && ctx.Err() == nil {
			got := r.verify(found[i], blocks.Scope{Running: lookAgain})
			v.Bytes, v.Unreadable, v.Damage = got.Read, got.Encrypted, damageOf(got.Report)
		}
		out = append(out, v)
	}
	return out
}

func (r *Replicas) find() ([]blocks.Stream, error) { return blocks.Find(r.store, r.key) }

// verify verifies one replica and remembers what it found.
func (r *Replicas) verify(s blocks.Stream, of blocks.Scope) blocks.Verified {
	v := blocks.Verify(s, of)
	if v.Encrypted || v.Ended != nil {
		return v
	}
	ref, d := refOf(s), damageOf(v.Report)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changed = r.memory.mark(ref, v.Marks) || r.changed
	_, known := r.damage[ref]
	switch {
	case d == nil && !of.Sealed:
		delete(r.damage, ref) // what was damaged has been trimmed
	case d != nil && !known:
		r.note(ref, *d)
	}
	return v
}

// damaged remembers that a replica is damaged. The lock is not held.
func (r *Replicas) damaged(ref api.ReplicaRef, d api.ReplicaDamage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note(ref, d)
}

// note is damaged with the lock held.
func (r *Replicas) note(ref api.ReplicaRef, d api.ReplicaDamage) {
	r.damage[ref] = d
	r.log.Error("a replica's files are damaged", "account", ref.Account, "stream", ref.Stream, "damage", d.What, "page", true)
}

// known returns the blocks of a replica that were found whole.
func (r *Replicas) known(s blocks.Stream) blocks.Marks {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.memory.Marks[refOf(s).String()]
}

// damageOf sums up what is wrong with a replica's files, nil when nothing is.
func damageOf(v blocks.Report) *api.ReplicaDamage {
	if v.Whole() {
		return nil
	}
	first, last := v.Damage[0], v.Damage[len(v.Damage)-1]
	var what []string
	for _, d := range v.Damage[:min(3, len(v.Damage))] {
		what = append(what, d.String())
	}
	return &api.ReplicaDamage{What: strings.Join(what, "; "), From: first.From, To: last.To, At: time.Now().UTC()}
}

// Equal notes that replicas were found equal to the others: their repair is over.
func (r *Replicas) Equal(streams []api.ReplicaRef) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, ref := range streams {
		delete(r.removed, ref)
	}
}

// Repair has the server started again without this node's replica of a stream,
// which is then taken over from the others.
func (r *Replicas) Repair(ref api.ReplicaRef, why api.ReplicaDamage) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.whole == nil {
		return fault.New(fault.Invalid, "there is no other node to take stream %s over from", ref)
	}
	r.asked[ref] = why
	select {
	case r.repair <- struct{}{}:
	default:
	}
	return nil
}

// Asked returns the repairs for the next start.
func (r *Replicas) Asked() map[api.ReplicaRef]api.ReplicaDamage {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[api.ReplicaRef]api.ReplicaDamage{}
	for ref, why := range r.asked {
		out[ref] = why
	}
	return out
}

// Diverged returns the replicas that must not lead: their files are damaged.
func (r *Replicas) Diverged() (out []api.ReplicaRef) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for ref := range r.damage {
		out = append(out, ref)
	}
	return out
}
