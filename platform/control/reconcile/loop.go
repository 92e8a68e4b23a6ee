// Package reconcile is the leader's loop: it looks at every tenant as it is and
// brings it to what its spec says, or removes it. It works by tenant, never by the
// event that woke it: on every change, half a second after a failure, and every
// minute anyway. It touches tenants' accounts, streams and durables, and what
// STATUS keeps of tenants. Only the leading node runs it; tenant.go is one walk.
package reconcile

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"midplane/event"
	"midplane/fault"
	"midplane/internal/wait"
	"midplane/platform/registry"
)

// How often the leader looks without an event, and how soon it tries
// again what failed.
const (
	lookEvery    = time.Second
	lookAllEvery = 5 * time.Second // at every tenant's conditions
	lookPause    = 20 * time.Millisecond
	retryAfter   = 500 * time.Millisecond
	workWithin   = 30 * time.Second
	workers      = 8
)

// Config is what a Loop is given.
type Config struct {
	Registry *registry.Registry
	// Settle brings one tenant to what its spec says, and returns the revision that
	// it was brought to.
	Settle        func(context.Context, *registry.Tenant) (revision uint64, err error)
	Check         time.Duration // a settled tenant is compared with the world
	PrimarySilent time.Duration // a primary that does not report counts as gone
	Log           *slog.Logger
}

// Loop is one term of leading: which tenants want work, and how far each is.
type Loop struct {
	cfg      Config
	mu       sync.Mutex
	busy     map[event.Tenant]bool
	settled  map[event.Tenant]settled
	problems map[event.Tenant]string
	written  map[event.Tenant]registry.TenantStatus
	ended    map[event.Tenant]bool // work on it has ended since the last look
	slots    chan struct{}
	wake     chan struct{}
	done     sync.WaitGroup
}

// settled is when a tenant was last brought to which revision.
type settled struct {
	revision uint64
	declared bool // taking a spec away raises no revision of what is left
	at       time.Time
	ok       bool
	// unavailable says that it was not brought there because something did not answer.
	unavailable bool
}

// New returns a Loop; Run works.
func New(cfg Config) *Loop {
	return &Loop{cfg: cfg, busy: map[event.Tenant]bool{}, settled: map[event.Tenant]settled{}, problems: map[event.Tenant]string{},
		written: map[event.Tenant]registry.TenantStatus{}, ended: map[event.Tenant]bool{}, slots: make(chan struct{}, workers), wake: make(chan struct{}, 1)}
}

// Served reports whether a tenant was brought to what its spec says the last time.
func (l *Loop) Served(id event.Tenant) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.settled[id].ok
}

// Run works until ctx ends, for as long as this node leads.
func (l *Loop) Run(ctx context.Context) {
	defer l.done.Wait()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var look look
	// Whether a tenant wants work depends on the registry, on work that has ended, and
	// on the time; not on STATUS, which changes all the time.
	work, seen := true, uint64(0)
	for {
		_, config := l.cfg.Registry.Config.Revision()
		_, status := l.cfg.Registry.Status.Revision()
		view := l.cfg.Registry.View()
		nodes := l.cfg.Registry.LiveNodes()
		if work || view.Revision != seen {
			for _, t := range view.Tenants {
				if l.due(t) {
					l.start(ctx, t)
				}
			}
		}
		work, seen = true, view.Revision
		for id := range look.at(l.cfg.Registry.Status, view, nodes, l.takeEnded(), time.Now()) {
			if t := view.Tenants[id]; t != nil && t.Spec != nil {
				l.report(ctx, t, nodes)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-config:
		case <-status:
			work = false
		case <-tick.C:
		case <-l.wake:
		}
		// Every presence is a change: a few looks a second are enough.
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookPause):
		}
	}
}

// due reports whether a tenant wants work: it changed, failed a moment ago, or
// has not been compared with the world for a while.
func (l *Loop) due(t *registry.Tenant) bool {
	if t.Spec == nil && !t.Leaving() {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.settled[t.ID]
	switch {
	case l.busy[t.ID]:
		return false
	case s.revision != t.WorkRevision() || s.declared != (t.Spec != nil):
		return true
	case !s.ok:
		return time.Since(s.at) > retryAfter
	case t.Rotating():
		return time.Since(s.at) > lookEvery
	}
	return time.Since(s.at) > l.cfg.Check
}

// takeEnded returns the tenants on which work has ended since it was called last.
func (l *Loop) takeEnded() map[event.Tenant]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	ended := l.ended
	l.ended = map[event.Tenant]bool{}
	return ended
}

// start works on one tenant in the background; at most one at a time each.
func (l *Loop) start(ctx context.Context, t *registry.Tenant) {
	l.mu.Lock()
	l.busy[t.ID] = true
	l.mu.Unlock()
	l.done.Go(func() {
		l.slots <- struct{}{}
		// One try; what hangs is begun again, and until then its error is shown.
		wctx, cancel := context.WithTimeout(ctx, workWithin)
		revision, err := l.cfg.Settle(wctx, t)
		cancel()
		<-l.slots
		l.mu.Lock()
		delete(l.busy, t.ID)
		l.ended[t.ID] = true
		l.settled[t.ID] = settled{revision: revision, declared: t.Spec != nil, at: time.Now(), ok: err == nil, unavailable: fault.Is(err, fault.Unavailable)}
		l.problems[t.ID] = ""
		if err != nil {
			l.problems[t.ID] = err.Error()
		}
		l.mu.Unlock()
		if err != nil && ctx.Err() == nil {
			l.cfg.Log.Warn("tenant not settled", "tenant", t.ID, "error", err)
		}
		wait.Nudge(l.wake)
	})
}
