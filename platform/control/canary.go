package control

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"midplane/event"
	"midplane/platform/control/registry"
	"midplane/subject"
)

// The isolation canary: each round a random marker is published in tenants and
// looked for in all others. A marker that shows in a tenant that it was not
// published in is a leak; one that does not come back in its own tenant proves
// nothing, so the round does not count.
const (
	// canarySample is in how many tenants a round publishes. They take turns;
	// every tenant listens in every round.
	canarySample = 100
	canaryWithin = 5 * time.Second
	// canaryLate is how long a leaked marker is waited for after the last own
	// one came back: a way round takes longer than the way home.
	canaryLate = 250 * time.Millisecond
	// canaryFirst is when the first round of a new leader begins.
	canaryFirst = 10 * time.Second
)

// leak is a marker that was seen where it was not published.
type leak struct {
	From event.Tenant `json:"from"`
	In   event.Tenant `json:"in"`
}

// canaryRound is the last round that counts.
type canaryRound struct {
	Tenants int `json:"tenants"` // that published; all of them came back and nowhere else
	Listen  int `json:"listen"`  // that listened
}

// canaries runs rounds until ctx ends.
func (l *leader) canaries(ctx context.Context) {
	// The first one soon: after a change of leader nobody should wait a round.
	next := time.After(min(l.cfg.Pace.Canary, canaryFirst))
	offset := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-next:
		}
		next = time.After(l.cfg.Pace.Canary)
		all := l.proven()
		if len(all) == 0 {
			continue // without a tenant that is served nothing is proven
		}
		sample := turn(all, offset, canarySample)
		offset += len(sample)
		missing, leaks := l.canaryRound(ctx, all, sample)
		if ctx.Err() != nil {
			return
		}
		l.tellCanary(ctx, canaryRound{Tenants: len(sample), Listen: len(all)}, missing, leaks)
	}
}

// proven returns the tenants that isolation is proven for, in order: those that
// are served. One that is being made is not there to leak yet.
func (l *leader) proven() (out []*registry.Tenant) {
	for _, t := range l.reg.View().Tenants {
		l.mu.Lock()
		ok := l.settled[t.ID].ok
		l.mu.Unlock()
		if ok && t.Open() {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b *registry.Tenant) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return out
}

// turn returns the next n of all from offset on, round and round. Pure.
func turn[T any](all []T, offset, n int) []T {
	if len(all) <= n {
		return all
	}
	out := make([]T, 0, n)
	for i := range n {
		out = append(out, all[(offset+i)%len(all)])
	}
	return out
}

// canaryWatch notes what markers are seen where.
type canaryWatch struct {
	mu      sync.Mutex
	from    map[string]event.Tenant // by marker
	waiting map[event.Tenant]bool
	leaks   map[leak]bool
	home    chan struct{} // closed when nothing is waited for
}

func (w *canaryWatch) saw(in event.Tenant, marker string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	from, ok := w.from[marker]
	switch {
	case !ok: // of a round of the leader before
	case from != in:
		w.leaks[leak{From: from, In: in}] = true
	case w.waiting[in]:
		delete(w.waiting, in)
		if len(w.waiting) == 0 {
			close(w.home)
		}
	}
}

// canaryRound returns which of sample did not see their own marker, and every
// leak that showed in all.
func (l *leader) canaryRound(ctx context.Context, all, sample []*registry.Tenant) (missing []event.Tenant, leaks []leak) {
	ctx, cancel := context.WithTimeout(ctx, canaryWithin)
	defer cancel()
	w := &canaryWatch{from: map[string]event.Tenant{}, waiting: map[event.Tenant]bool{}, leaks: map[leak]bool{}, home: make(chan struct{})}
	markers := map[event.Tenant]string{}
	for _, t := range sample {
		markers[t.ID] = randomToken()
		w.from[markers[t.ID]], w.waiting[t.ID] = t.ID, true
	}
	var g errgroup.Group
	g.SetLimit(workers)
	var mu sync.Mutex
	var subs []*nats.Subscription
	for _, t := range all {
		g.Go(func() error {
			sub, err := l.listenForCanaries(ctx, t, w)
			if err != nil {
				l.tel.Log.Debug("no canary", "tenant", t.ID, "error", err)
				return nil
			}
			mu.Lock()
			subs = append(subs, sub)
			mu.Unlock()
			return nil
		})
	}
	_ = g.Wait() // whoever does not listen is missing below
	for _, t := range sample {
		if nc, err := l.cfg.Dialer.Control(t); err == nil {
			_ = nc.Publish(subject.Canary(randomToken()), []byte(markers[t.ID])) // then it does not come back
		}
	}
	select {
	case <-w.home:
	case <-ctx.Done():
	}
	select {
	case <-ctx.Done():
	case <-time.After(canaryLate):
	}
	for _, sub := range subs {
		_ = sub.Unsubscribe() // a connection that is gone listens no more
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.waiting {
		missing = append(missing, id)
	}
	for x := range w.leaks {
		leaks = append(leaks, x)
	}
	slices.Sort(missing)
	return missing, leaks
}

func (l *leader) listenForCanaries(ctx context.Context, t *registry.Tenant, w *canaryWatch) (*nats.Subscription, error) {
	nc, err := l.cfg.Dialer.Control(t)
	if err != nil {
		return nil, err
	}
	sub, err := nc.Subscribe(subject.CanaryAll, func(m *nats.Msg) { w.saw(t.ID, string(m.Data)) })
	if err != nil {
		return nil, err
	}
	return sub, nc.FlushWithContext(ctx)
}
