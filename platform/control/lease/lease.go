// Package lease says which node leads: the one that holds the lease in STATUS.
// It runs what it is given while this node holds it, and touches the lease alone.
package lease

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"midplane/fault"
	"midplane/platform/registry"
)

// A lease is renewed every second. Another node takes it when it has not
// changed for expiresAfter by that node's own clock; the holder gives up
// earlier than that when it cannot renew. The lease keeps two leaders from
// working at once; what keeps their writes apart is compare-and-set.
const (
	renewEvery   = time.Second
	giveUpAfter  = 3 * time.Second
	expiresAfter = 5 * time.Second
)

// Candidate is a node that leads when it gets the lease.
type Candidate struct {
	Node     string
	Registry *registry.Registry
	Log      *slog.Logger
}

// Run runs lead while this node holds the lease, until ctx ends.
func (c Candidate) Run(ctx context.Context, lead func(context.Context)) error {
	var seenRev uint64
	var since time.Time
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		lease, rev, ok := current(c.Registry)
		if rev != seenRev {
			seenRev, since = rev, time.Now()
		}
		if !ok || lease.Node == "" || lease.Node == c.Node || time.Since(since) > expiresAfter {
			next := registry.Lease{Node: c.Node, Term: lease.Term + 1}
			began := time.Now()
			if got, err := c.put(ctx, next, rev); err == nil {
				c.hold(ctx, next, got, began, lead)
				since = time.Now()
			} else if !fault.Is(err, fault.Conflict) && ctx.Err() == nil {
				c.Log.Debug("no lease", "error", err)
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
func (c Candidate) hold(ctx context.Context, lease registry.Lease, rev uint64, renewed time.Time, lead func(context.Context)) {
	c.Log.Info("leading the control plane", "term", lease.Term)
	lctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); lead(lctx) }()
	defer func() {
		stop()
		<-done
		if ctx.Err() != nil { // stopping: let the next one begin at once
			_, _ = c.put(context.WithoutCancel(ctx), registry.Lease{Term: lease.Term}, rev)
		}
	}()
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		lease.Beat++
		began := time.Now()
		// To its end although we may be stopping: a renewal whose answer is not
		// waited for would make the release above fail.
		pctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), renewed.Add(giveUpAfter))
		next, err := c.put(pctx, lease, rev)
		cancel()
		switch {
		case err == nil:
			rev, renewed = next, began
		case fault.Is(err, fault.Conflict):
			// Ours may have been stored although its answer was lost.
			if now, at, ok := current(c.Registry); ok && now.Node == c.Node && now.Term == lease.Term && at > rev {
				rev = at
				continue
			}
			c.Log.Info("lost the lease", "term", lease.Term)
			return
		case time.Since(renewed) >= giveUpAfter:
			c.Log.Warn("cannot renew the lease, stepping down", "term", lease.Term, "error", err)
			return
		}
	}
}

func (c Candidate) put(ctx context.Context, l registry.Lease, rev uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return c.Registry.CASStatus(ctx, registry.KeyLease, l, rev)
}

// Holder returns the node that leads as this node has it, "" when there is none.
func Holder(reg *registry.Registry) string {
	l, _, _ := current(reg)
	return l.Node
}

func current(reg *registry.Registry) (l registry.Lease, rev uint64, ok bool) {
	e, ok := reg.Status.Get(registry.KeyLease)
	if !ok {
		return l, 0, false
	}
	return l, e.Revision, json.Unmarshal(e.Value, &l) == nil
}
