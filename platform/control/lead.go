package control

import (
	"context"
	"sync"
	"time"

	"midplane/internal/wait"
	"midplane/platform/control/accounts"
	"midplane/platform/control/canary"
	"midplane/platform/control/probe"
	"midplane/platform/control/reconcile"
	"midplane/platform/control/replicas"
	"midplane/platform/control/specs"
	"midplane/platform/control/trim"
	"midplane/platform/registry"
)

// lead is one term: it runs while this node holds the lease.
func (c *Control) lead(ctx context.Context) {
	reg, pace := c.cfg.Registry, c.cfg.Pace
	// Nothing is done on an old copy of the registry.
	if reg.AwaitFresh(ctx) != nil {
		return
	}
	loop := reconcile.New(reconcile.Config{
		Registry: reg, Settle: c.walk().Settle, Check: pace.Check, PrimarySilent: pace.PrimarySilent, Log: c.tel.Log,
	})
	trimmer := trim.New(trim.Config{
		Registry: reg, Server: c.cfg.Server, Dialer: c.cfg.Dialer, Alarms: c.alarms, Log: c.tel.Log,
		Every: pace.Trim, Age: pace.Age, Duplicates: pace.Duplicates, Settled: pace.Settled,
	})
	prover := canary.New(canary.Config{
		Registry: reg, Dialer: c.cfg.Dialer, Alarms: c.alarms, Audit: c.audit, Log: c.tel.Log,
		Served: loop.Served, Leaks: c.leaks, Every: pace.Canary,
	})
	collector := specs.Collector{Registry: reg, Every: pace.Check, Kept: registry.PartKept, Log: c.tel.Log}
	auditor := replicas.NewAuditor(replicas.AuditorConfig{
		Registry: reg, Room: c.replicas, Alarms: c.alarms, Log: c.tel.Log, Every: pace.Compare, Ask: c.cfg.AskBeforeRepair,
	})
	keeper := probe.Keeper{Registry: reg, Every: pace.Probe, Log: c.tel.Log}
	var g sync.WaitGroup
	g.Go(func() { c.begin(ctx) })
	g.Go(func() { loop.Run(ctx) })
	g.Go(func() { trimmer.Run(ctx) })
	g.Go(func() { prover.Run(ctx) })
	g.Go(func() { collector.Run(ctx) })
	g.Go(func() { auditor.Run(ctx) })
	g.Go(func() { keeper.Run(ctx) })
	g.Wait()
}

// begin stores the level of a new deployment, and tries again what fails.
func (c *Control) begin(ctx context.Context) {
	for {
		err := c.upgrade.Begin(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		c.tel.Log.Warn("the level of formats is not stored, trying again", "error", err)
		if wait.For(ctx, time.Second) != nil {
			return
		}
	}
}

// walk is how a tenant is brought to what its spec says in this term.
func (c *Control) walk() *reconcile.Walk {
	return reconcile.NewWalk(reconcile.WalkConfig{
		Registry: c.cfg.Registry, Dialer: c.cfg.Dialer, Accounts: c.accounts, Rotations: c.rotations, Replicas: c.cfg.Replicas, Log: c.tel.Log,
		Corrector: &accounts.Corrector{
			Registry: c.cfg.Registry, Accounts: c.accounts, Server: c.cfg.Server, Audit: c.audit, Alarms: c.alarms, Every: c.cfg.Pace.Drift, Log: c.tel.Log,
		},
	})
}
