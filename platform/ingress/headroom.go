package ingress

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"midplane/platform/ingress/admit"
)

// headroomFrom is how full STATE may be before it takes updates only. On three
// replicas a full stream refuses even an update in place, so the last fifth is
// kept for those.
const headroomFrom = 0.8

// headroom decides whether a state may be stored.
type headroom struct {
	used, limit atomic.Uint64 // bytes, as last measured
	since       atomic.Uint64 // bytes let through here since then
	nodes       atomic.Int64  // whose doors let through as much, at worst
	known       func(ctx context.Context, storedSubject string) (bool, error)
	measured    time.Time // by the door's goroutine

	mu   sync.Mutex
	seen map[string]bool // subjects that STATE holds, while it is tight
	// Until the next measurement: subjects that it does not hold, and whether it
	// did not answer. Asking holds up the door.
	absent map[string]bool
	silent bool
}

// set notes what STATE may hold by the tenant's quota, before it is measured
// for the first time, and how many nodes have a door.
func (h *headroom) set(limit uint64, nodes int) {
	h.limit.Store(limit)
	h.nodes.Store(int64(nodes))
}

// fill notes how full STATE is; a limit of 0 is a stream that is not there yet.
func (h *headroom) fill(used, limit uint64) {
	if limit == 0 {
		return
	}
	h.used.Store(used)
	h.limit.Store(limit)
	h.since.Store(0)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.absent, h.silent = nil, false
	if !h.tight() {
		h.seen = nil
	}
}

// measureEvery is how old a measurement may be when a state comes.
const measureEvery = time.Second

// due reports whether STATE is to be measured before the next state: a tenant that
// sends none costs nothing.
func (h *headroom) due(now time.Time) bool {
	if now.Sub(h.measured) < measureEvery {
		return false
	}
	h.measured = now
	return true
}

// tight reports whether only updates are taken. A burst of large messages
// could fill the stream between two measurements, so what was let through
// since the last one counts as well.
func (h *headroom) tight() bool {
	used := h.used.Load() + h.since.Load()*uint64(max(h.nodes.Load(), 1))
	limit := h.limit.Load()
	return limit > 0 && float64(used) > headroomFrom*float64(limit)
}

// has reports whether a may be stored: there is room, or its subject is there
// already. When STATE does not answer, it is taken for new.
func (h *headroom) has(a *admit.Admitted) bool {
	if !h.tight() {
		h.since.Add(uint64(outgoing(a.Msg).Size()))
		return true
	}
	subj := a.In.StoredAs(a.Site).String()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.seen[subj] {
		return true
	}
	if h.silent || h.absent[subj] {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	ok, err := h.known(ctx, subj)
	if err != nil {
		h.silent = true
		return false
	}
	if !ok {
		if h.absent == nil {
			h.absent = map[string]bool{}
		}
		h.absent[subj] = true
		return false
	}
	if h.seen == nil {
		h.seen = map[string]bool{}
	}
	h.seen[subj] = true
	return true
}
