package control

import (
	"context"
	"encoding/json"
	"time"

	"midplane/fault"
	"midplane/platform/control/registry"
)

// A lease is renewed every second. Another node takes it when it has not
// changed for leaseExpires by that node's own clock; the holder gives up
// earlier than that when it cannot renew. The lease keeps two leaders from
// working at once; what keeps their writes apart is compare-and-set.
const (
	leaseRenew   = time.Second
	leaseGiveUp  = 3 * time.Second
	leaseExpires = 5 * time.Second
)

// campaign runs lead while this node holds the lease, until ctx ends.
func (c *Control) campaign(ctx context.Context, lead func(context.Context)) error {
	var seenRev uint64
	var since time.Time
	tick := time.NewTicker(leaseRenew)
	defer tick.Stop()
	for {
		lease, rev, ok := c.lease()
		if rev != seenRev {
			seenRev, since = rev, time.Now()
		}
		if !ok || lease.Node == "" || lease.Node == c.cfg.Node || time.Since(since) > leaseExpires {
			next := registry.Lease{Node: c.cfg.Node, Term: lease.Term + 1}
			began := time.Now()
			if got, err := c.putLease(ctx, next, rev); err == nil {
				c.hold(ctx, next, got, began, lead)
				since = time.Now()
			} else if !fault.Is(err, fault.Conflict) && ctx.Err() == nil {
				c.tel.Log.Debug("no lease", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// hold renews the lease, last done at renewed, and runs lead until renewing
// fails or ctx ends.
func (c *Control) hold(ctx context.Context, lease registry.Lease, rev uint64, renewed time.Time, lead func(context.Context)) {
	c.tel.Log.Info("leading the control plane", "term", lease.Term)
	lctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); lead(lctx) }()
	defer func() {
		stop()
		<-done
		if ctx.Err() != nil { // stopping: let the next one begin at once
			_, _ = c.putLease(context.WithoutCancel(ctx), registry.Lease{Term: lease.Term}, rev)
		}
	}()
	tick := time.NewTicker(leaseRenew)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		lease.Beat++
		began := time.Now()
		// To its end although we may be stopping: one whose answer nobody waits
		// for would make the release below fail.
		pctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), renewed.Add(leaseGiveUp))
		next, err := c.putLease(pctx, lease, rev)
		cancel()
		switch {
		case err == nil:
			rev, renewed = next, began
		case fault.Is(err, fault.Conflict):
			// Ours may have been stored although its answer was lost.
			if now, at, ok := c.lease(); ok && now.Node == c.cfg.Node && now.Term == lease.Term && at > rev {
				rev = at
				continue
			}
			c.tel.Log.Info("lost the lease", "term", lease.Term)
			return
		case time.Since(renewed) >= leaseGiveUp:
			c.tel.Log.Warn("cannot renew the lease, stepping down", "term", lease.Term, "error", err)
			return
		}
	}
}

func (c *Control) putLease(ctx context.Context, l registry.Lease, rev uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return c.reg.CASStatus(ctx, registry.KeyLease, l, rev)
}

func (c *Control) lease() (l registry.Lease, rev uint64, ok bool) {
	e, ok := c.reg.Status.Get(registry.KeyLease)
	if !ok {
		return l, 0, false
	}
	return l, e.Revision, json.Unmarshal(e.Value, &l) == nil
}
