package control

import (
	"context"
	"sync"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/platform/control/registry"
)

// How often the leader looks although nothing told it to, and how soon it tries
// again what failed.
const (
	lookEvery  = time.Second
	lookPause  = 20 * time.Millisecond
	retryAfter = 500 * time.Millisecond
	workWithin = 30 * time.Second
	workers    = 8
)

// leader is one term of leading.
type leader struct {
	*Control
	mu       sync.Mutex
	busy     map[event.Tenant]bool
	settled  map[event.Tenant]settled
	problems map[event.Tenant]string
	written  map[event.Tenant]registry.TenantStatus
	raised   map[string]bool // streams announced and not seen yet, by account key and name
	slots    chan struct{}
	wake     chan struct{}
	done     sync.WaitGroup
	backlogs seenAt // alarms about backlogs, by id
	compared seenAt // accounts compared with their plan, by tenant
}

// settled is when a tenant was last brought to which revision.
type settled struct {
	revision uint64
	declared bool // taking a spec away raises no revision of what is left
	at       time.Time
	ok       bool
}

// lead runs while this node holds the lease.
func (c *Control) lead(ctx context.Context) {
	l := &leader{Control: c, busy: map[event.Tenant]bool{}, settled: map[event.Tenant]settled{}, problems: map[event.Tenant]string{},
		written: map[event.Tenant]registry.TenantStatus{}, raised: map[string]bool{}, slots: make(chan struct{}, workers), wake: make(chan struct{}, 1)}
	// Nothing is done on an old copy of the registry.
	if l.reg.AwaitFresh(ctx) != nil {
		return
	}
	l.done.Go(func() { l.trimming(ctx) })
	l.done.Go(func() { l.canaries(ctx) })
	defer l.done.Wait()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		_, config := c.reg.Config.Revision()
		_, status := c.reg.Status.Revision()
		view := c.reg.View()
		nodes := c.reg.LiveNodes()
		for _, t := range view.Tenants {
			if l.due(t) {
				l.start(ctx, t)
			}
			if t.Spec != nil {
				l.report(ctx, t, nodes)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-config:
		case <-status:
		case <-tick.C:
		case <-l.wake:
		}
		// Everybody's presence is a change: a few looks a second are enough.
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookPause):
		}
	}
}

// due reports whether a tenant wants work: it changed, failed a moment ago, or
// has not been compared with the world for a while.
func (l *leader) due(t *registry.Tenant) bool {
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
	return time.Since(s.at) > l.cfg.Pace.Check
}

// start works on one tenant in the background; at most one at a time each.
func (l *leader) start(ctx context.Context, t *registry.Tenant) {
	l.mu.Lock()
	l.busy[t.ID] = true
	l.mu.Unlock()
	l.done.Go(func() {
		l.slots <- struct{}{}
		// One try; what hangs is begun anew, and its error is said meanwhile.
		wctx, cancel := context.WithTimeout(ctx, workWithin)
		revision, err := l.work(wctx, t)
		cancel()
		<-l.slots
		l.mu.Lock()
		delete(l.busy, t.ID)
		l.settled[t.ID] = settled{revision: revision, declared: t.Spec != nil, at: time.Now(), ok: err == nil}
		l.problems[t.ID] = ""
		if err != nil {
			l.problems[t.ID] = err.Error()
		}
		l.mu.Unlock()
		if err != nil && ctx.Err() == nil {
			l.tel.Log.Warn("tenant not settled", "tenant", t.ID, "error", err)
		}
		select {
		case l.wake <- struct{}{}:
		default:
		}
	})
}

// report writes a tenant's conditions when they changed.
func (l *leader) report(ctx context.Context, t *registry.Tenant, nodes []registry.Presence) {
	l.mu.Lock()
	s, problem, written := l.settled[t.ID], l.problems[t.ID], l.written[t.ID]
	l.mu.Unlock()
	if problem == "" {
		problem = t.Problem
	}
	status := registry.TenantStatus{Revision: t.SpecRevision, Conditions: l.conditions(t, nodes, s, problem)}
	stored, _, _ := registry.Get[registry.TenantStatus](l.reg, registry.TenantKey(string(t.ID)))
	if same(status, written) && same(status, stored) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := l.reg.PutStatus(ctx, registry.TenantKey(string(t.ID)), status); err != nil {
		return // tried again at the next look
	}
	l.mu.Lock()
	l.written[t.ID] = status
	l.mu.Unlock()
}

func same(a, b registry.TenantStatus) bool {
	if a.Revision != b.Revision || len(a.Conditions) != len(b.Conditions) {
		return false
	}
	for i := range a.Conditions {
		if a.Conditions[i] != b.Conditions[i] {
			return false
		}
	}
	return true
}

// conditions says how far a tenant is on its way to Ready.
func (l *leader) conditions(t *registry.Tenant, nodes []registry.Presence, s settled, problem string) []api.Condition {
	loaded := func(rev uint64) (missing []string) {
		for _, n := range nodes {
			if n.Revision < rev {
				missing = append(missing, n.Name)
			}
		}
		return missing
	}
	cond := func(typ string, ok bool, message string) api.Condition {
		if ok {
			message = ""
		} else if problem != "" {
			message = problem
		}
		return api.Condition{Type: typ, OK: ok, Message: message}
	}
	behind := loaded(t.WorkRevision())
	var closed []string
	for _, n := range nodes {
		for _, c := range n.Closed {
			if c == string(t.ID) {
				closed = append(closed, n.Name)
			}
		}
	}
	pushed := t.Account.JWT != "" && len(nodes) > 0 && len(loaded(t.AccountRevision)) == 0
	worked := s.revision == t.WorkRevision() && s.ok
	reading := ""
	for name, cursor := range registry.Collect[registry.CursorStatus](l.reg, "cursor."+string(t.ID)+".") {
		if cursor.Value.Reading && time.Since(cursor.Seen) < l.cfg.Pace.PrimarySilent && l.primaryLive(name) {
			reading = name
		}
	}
	return []api.Condition{
		cond(api.AccountPushed, pushed, waiting("the account is not on", loaded(t.AccountRevision))),
		cond(api.StreamsReady, worked && len(t.Account.Incarnations) > 0, "the streams are being made"),
		cond(api.SchemasBound, t.Schemas != nil && len(behind) == 0, waiting("the schemas are not loaded by", behind)),
		cond(api.IngressOpen, pushed && len(behind) == 0 && len(closed) == 0, waiting("the door is not open on", append(behind, closed...))),
		cond(api.PrimaryReading, reading != "", "no primary reads this tenant yet"),
	}
}

func waiting(what string, who []string) string {
	if len(who) == 0 {
		return what + " any node yet"
	}
	for _, w := range who {
		what += " " + w
	}
	return what
}

// primaryLive reports whether a primary was heard of lately.
func (c *Control) primaryLive(name string) bool {
	_, seen, ok := registry.Get[time.Time](c.reg, registry.PrimaryKey(name))
	return ok && time.Since(seen) < c.cfg.Pace.PrimarySilent
}
