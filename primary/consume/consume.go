// Package consume reads the streams of every tenant in order, from the cursors
// of the primary, and hands what it reads to the store, which folds it.
//
// Which tenants there are, and the credentials for each, come from the control
// plane (core.…), to which the cursors and the findings are reported. Each
// tenant is read over a connection of its own. It may import the store's
// interfaces and fold, but no implementation of the store.
package consume

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"midplane/api"
	"midplane/event"
	"midplane/internal/once"
	"midplane/internal/wait"
	"midplane/primary/fold"
	"midplane/primary/store"
	"midplane/telemetry"
)

// Config says who reads, and where.
type Config struct {
	Name    string   // of the primary
	Servers []string // client URLs of the nodes
	CAFile  string   // PEM; turns TLS on

	// Folded is handed what each committed batch touched; it must not wait. nil: no one
	// wants to know.
	Folded func(event.Tenant, map[fold.DeviceLane]fold.Touched)
}

// ControlPlane answers core.…; api.Core does.
type ControlPlane interface {
	Do(ctx context.Context, verb string, req, resp any) error
}

// Store keeps what is read and found.
type Store interface {
	store.Folder
	store.Tenants
	store.Findings
}

// shared is what all tenants have in common.
type shared struct {
	cfg     Config
	core    ControlPlane
	store   store.Folder
	metrics *metrics
	found   chan struct{} // nudged when there are findings to report
	format  atomic.Int64  // the number of api.FormatCore that is in use
}

// Consumer reads every tenant that the control plane names. Make it with New,
// run it with Run.
type Consumer struct {
	shared   shared
	known    store.Tenants
	findings *reporter
	tel      telemetry.Telemetry

	mu      sync.Mutex
	tenants map[event.Tenant]*tenant // being read
}

// New makes a consumer, which Run ends.
func New(cfg Config, st Store, core ControlPlane, tel telemetry.Telemetry) (*Consumer, error) {
	found := make(chan struct{}, 1)
	c := &Consumer{
		shared: shared{cfg: cfg, core: core, store: st, found: found},
		known:  st, findings: &reporter{core: core, store: st, found: found, log: tel.Log},
		tel: tel, tenants: map[event.Tenant]*tenant{},
	}
	var err error
	c.shared.metrics, err = newMetrics(tel.Meter, c.lags)
	return c, err
}

// Run reads until ctx ends; then it returns nil. It may be called once.
func (c *Consumer) Run(ctx context.Context) error {
	defer c.shared.metrics.stop()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.watchTenants(ctx) })
	g.Go(func() error { return c.findings.run(ctx) })
	return g.Wait()
}

// Find records findings that reading did not make, and has them reported.
func (c *Consumer) Find(ctx context.Context, tenant event.Tenant, found ...fold.Finding) error {
	defer wait.Nudge(c.shared.found)
	return c.shared.store.Find(ctx, tenant, found...)
}

// Reports says of each tenant that is being read how far it is, by name.
func (c *Consumer) Reports() []api.TenantReport {
	out := []api.TenantReport{}
	for _, t := range c.all() {
		out = append(out, t.status())
	}
	return out
}

// Line returns how an event of one of a tenant's own types reads; "" when the
// type has no rendering, or the tenant is not being read.
func (c *Consumer) Line(id event.Tenant, typ string) string {
	c.mu.Lock()
	t := c.tenants[id]
	c.mu.Unlock()
	if t == nil {
		return ""
	}
	return t.line(typ)
}

func (c *Consumer) lags(observe func(id event.Tenant, stream string, lag uint64)) {
	for _, t := range c.all() {
		for _, r := range t.readers {
			if st := r.status(); st.known {
				observe(t.id, r.stream, lagOf(st))
			}
		}
	}
}

// watchTenants keeps the set of tenants that are read equal to what the
// control plane says, by long poll.
func (c *Consumer) watchTenants(ctx context.Context) error {
	defer c.stopAll()
	pause := wait.NewGrowing(200*time.Millisecond, 5*time.Second)
	outcome := once.Log{To: c.tel.Log, Fails: "tenants not known, asking again", Works: "tenants known"}
	var known uint64
	for ctx.Err() == nil {
		ask, cancel := context.WithTimeout(ctx, api.FollowWait+10*time.Second)
		var answer api.CoreTenantsAnswer
		began := time.Now()
		err := c.shared.core.Do(ask, api.CoreTenants, api.CoreTenantsRequest{Known: known}, &answer)
		cancel()
		if err == nil {
			c.shared.format.Store(int64(answer.Formats.Number(api.FormatCore)))
			err = c.takeTenants(ctx, answer.Tenants)
		}
		if ctx.Err() != nil {
			return nil
		}
		outcome.Note(err)
		switch {
		case err != nil:
		case answer.Revision != known || time.Since(began) > time.Second:
			known = answer.Revision
			pause.Reset()
			continue
		}
		// Refused, or answered at once with nothing new: do not spin.
		if pause.For(ctx) != nil {
			return nil
		}
	}
	return nil
}

func (c *Consumer) takeTenants(ctx context.Context, specs []api.CoreTenant) error {
	listed := map[event.Tenant]bool{}
	stored, err := c.known.Tenants(ctx)
	if err != nil {
		return err
	}
	for _, spec := range specs {
		if err := event.CheckName("tenant", string(spec.Tenant)); err != nil {
			c.tel.Log.Error("a tenant is passed over", "error", err)
			continue
		}
		listed[spec.Tenant] = !spec.Deleted
		was, have := stored[spec.Tenant]
		if spec.Deleted || have && was.Account != spec.Account {
			// Before it is hidden, or dropped for another customer's with the same
			// id: nothing of the old one may be folded afterwards.
			c.stop(spec.Tenant)
		}
		if now := (store.Tenant{Name: spec.Name, Account: spec.Account, Deleted: spec.Deleted}); !have || was != now {
			if err := c.known.PutTenant(ctx, spec.Tenant, now); err != nil {
				return err
			}
		}
		if !spec.Deleted {
			c.read(ctx, spec)
		}
	}
	c.mu.Lock()
	var gone []event.Tenant
	for id := range c.tenants {
		if !listed[id] {
			gone = append(gone, id)
		}
	}
	c.mu.Unlock()
	for _, id := range gone {
		c.stop(id)
	}
	return nil
}

func (c *Consumer) read(ctx context.Context, spec api.CoreTenant) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.tenants[spec.Tenant]; ok {
		t.update(spec)
		return
	}
	t := newTenant(&c.shared, c.tel, spec)
	ctx, t.cancel = context.WithCancel(ctx)
	c.tenants[spec.Tenant] = t
	go t.run(ctx)
}

// all returns the tenants being read, by name.
func (c *Consumer) all() []*tenant {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]*tenant, 0, len(c.tenants))
	for _, t := range c.tenants {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *tenant) int { return cmp.Compare(a.id, b.id) })
	return out
}

func (c *Consumer) stop(id event.Tenant) {
	c.mu.Lock()
	t, ok := c.tenants[id]
	delete(c.tenants, id)
	c.mu.Unlock()
	if ok {
		t.cancel()
		<-t.done
	}
}

func (c *Consumer) stopAll() {
	c.mu.Lock()
	all := make([]*tenant, 0, len(c.tenants))
	for _, t := range c.tenants {
		t.cancel()
		all = append(all, t)
	}
	c.mu.Unlock()
	for _, t := range all {
		<-t.done
	}
}
