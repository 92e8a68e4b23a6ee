// Package canary proves that tenants share nothing: it publishes markers in some
// and looks for them in all others. Only the leading node runs it; every node
// reads what it found from STATUS. It touches the subjects of the canary in every
// tenant, and its own keys of STATUS.
package canary

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/metric"
	"golang.org/x/sync/errgroup"

	"midplane/api"
	"midplane/event"
	"midplane/internal/once"
	"midplane/platform/registry"
	"midplane/subject"
	"midplane/telemetry"
)

// The isolation canary: each round a random marker is published in tenants and
// looked for in all others. A marker that shows in a tenant that it was not
// published in is a leak; one that does not come back in its own tenant proves
// nothing, so the round does not count.
const (
	// sampleSize is in how many tenants a round publishes. They take turns;
	// every tenant listens in every round.
	sampleSize  = 100
	roundWithin = 5 * time.Second
	// lateFor is how long a leaked marker is waited for after the last own
	// one came back: a detour takes longer than the way home.
	lateFor = 250 * time.Millisecond
	// firstAfter is when the first round of a new leader begins.
	firstAfter = 10 * time.Second
	// listenAtOnce is how many tenants a round begins to listen in at a time.
	listenAtOnce = 8
)

// leak is a marker that was seen where it was not published.
type leak struct {
	From event.Tenant `json:"from"`
	In   event.Tenant `json:"in"`
}

// round is the last round that counts.
type round struct {
	Tenants int `json:"tenants"` // that published; all of them came back and nowhere else
	Listen  int `json:"listen"`  // that listened
}

// Dialer opens connections into tenants' accounts.
type Dialer interface {
	Control(t *registry.Tenant) (*nats.Conn, error)
}

// Alarms raises alarms in tenants.
type Alarms interface {
	RaiseHourly(ctx context.Context, raised *once.Every, t *registry.Tenant, id string, sev event.Severity, a event.Alarm)
}

// Recorder stores what happened in the audit log.
type Recorder interface {
	Record(ctx context.Context, rec api.AuditRecord)
}

// Config is what a Canary is given.
type Config struct {
	Registry *registry.Registry
	Dialer   Dialer
	Alarms   Alarms
	Audit    Recorder
	// Served reports whether a tenant has been brought to what its spec says.
	Served func(event.Tenant) bool
	Leaks  metric.Int64Counter // markers that were seen in the wrong tenant
	Every  time.Duration       // a round begins
	Log    *slog.Logger
}

// Canary runs rounds for one term of leading.
type Canary struct {
	cfg    Config
	raised once.Every // leaks that were recorded and raised, by id
}

// Leaks returns the counter of markers that were seen in the wrong tenant.
func Leaks(meter metric.Meter) (metric.Int64Counter, error) {
	return meter.Int64Counter(telemetry.MetricCanaryLeaks, metric.WithDescription("markers of the isolation canary that were seen in this tenant and published in another; reported by the leading node"))
}

// New returns a Canary; Run runs its rounds.
func New(cfg Config) *Canary { return &Canary{cfg: cfg} }

// Run runs rounds until ctx ends.
func (c *Canary) Run(ctx context.Context) {
	// The first one soon: a change of leader should not cost a round.
	next := time.After(min(c.cfg.Every, firstAfter))
	offset := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-next:
		}
		next = time.After(c.cfg.Every)
		all := c.proven()
		if len(all) == 0 {
			continue // without a tenant that is served nothing is proven
		}
		sample := turn(all, offset, sampleSize)
		offset += len(sample)
		missing, leaks := c.round(ctx, all, sample)
		if ctx.Err() != nil {
			return
		}
		c.store(ctx, round{Tenants: len(sample), Listen: len(all)}, missing, leaks)
	}
}

// proven returns the tenants that isolation is proven for, in order: those that
// are served. One that is being made is not there to leak yet, and one of the system's
// own is nobody's.
func (c *Canary) proven() (out []*registry.Tenant) {
	for _, t := range c.cfg.Registry.View().Tenants {
		if c.cfg.Served(t.ID) && t.Open() && !t.ID.OfSystem() {
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

// watch notes what markers are seen where.
type watch struct {
	mu      sync.Mutex
	from    map[string]event.Tenant // by marker
	waiting map[event.Tenant]bool
	leaks   map[leak]bool
	home    chan struct{} // closed when nothing is waited for
}

func (w *watch) saw(in event.Tenant, marker string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	from, ok := w.from[marker]
	switch {
	case !ok: // of a round of the leader before this one
	case from != in:
		w.leaks[leak{From: from, In: in}] = true
	case w.waiting[in]:
		delete(w.waiting, in)
		if len(w.waiting) == 0 {
			close(w.home)
		}
	}
}

// round returns which of sample did not see their own marker, and every
// leak that showed in all.
func (c *Canary) round(ctx context.Context, all, sample []*registry.Tenant) (missing []event.Tenant, leaks []leak) {
	ctx, cancel := context.WithTimeout(ctx, roundWithin)
	defer cancel()
	w := &watch{from: map[string]event.Tenant{}, waiting: map[event.Tenant]bool{}, leaks: map[leak]bool{}, home: make(chan struct{})}
	markers := map[event.Tenant]string{}
	for _, t := range sample {
		markers[t.ID] = rand.Text()
		w.from[markers[t.ID]], w.waiting[t.ID] = t.ID, true
	}
	var g errgroup.Group
	g.SetLimit(listenAtOnce)
	var mu sync.Mutex
	var subs []*nats.Subscription
	for _, t := range all {
		g.Go(func() error {
			sub, err := c.listen(ctx, t, w)
			if err != nil {
				c.cfg.Log.Debug("no canary", "tenant", t.ID, "error", err)
				return nil
			}
			mu.Lock()
			subs = append(subs, sub)
			mu.Unlock()
			return nil
		})
	}
	_ = g.Wait() // a tenant that does not listen is missing below
	for _, t := range sample {
		if nc, err := c.cfg.Dialer.Control(t); err == nil {
			_ = nc.Publish(subject.Canary(rand.Text()), []byte(markers[t.ID])) // then it does not come back
		}
	}
	select {
	case <-w.home:
	case <-ctx.Done():
	}
	select {
	case <-ctx.Done():
	case <-time.After(lateFor):
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

func (c *Canary) listen(ctx context.Context, t *registry.Tenant, w *watch) (*nats.Subscription, error) {
	nc, err := c.cfg.Dialer.Control(t)
	if err != nil {
		return nil, err
	}
	sub, err := nc.Subscribe(subject.CanaryAll, func(m *nats.Msg) { w.saw(t.ID, string(m.Data)) })
	if err != nil {
		return nil, err
	}
	return sub, nc.FlushWithContext(ctx)
}
