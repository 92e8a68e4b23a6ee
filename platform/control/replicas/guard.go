package replicas

import (
	"context"
	"slices"
	"time"

	"midplane/api"
	"midplane/internal/wait"
	"midplane/platform/control/dial"
	"midplane/platform/registry"

	"github.com/nats-io/nats.go"
)

// ControlDialer opens the control plane's connections into tenants' accounts.
type ControlDialer interface {
	Control(t *registry.Tenant) (*nats.Conn, error)
}

// Guard keeps this node from leading a stream of which it does not hold all, until
// ctx ends.
func (r *Room) Guard(ctx context.Context, dialer ControlDialer) {
	for wait.For(ctx, time.Second) == nil {
		bad := r.cfg.Own.Diverged()
		for _, f := range load(r.cfg.Registry).Findings {
			if f.Node == r.cfg.Node && !slices.Contains(bad, f.ref()) {
				bad = append(bad, f.ref())
			}
		}
		if len(bad) == 0 {
			continue
		}
		for _, h := range r.cfg.Own.Held(bad) {
			if h.Leads {
				r.stepDown(ctx, dialer, h.ReplicaRef)
			}
		}
	}
}

// stepDown has this node give up leading a stream of a tenant.
func (r *Room) stepDown(ctx context.Context, dialer ControlDialer, ref api.ReplicaRef) {
	t := r.cfg.Registry.View().ByKey[ref.Account]
	if t == nil {
		return
	}
	nc, err := dialer.Control(t)
	if err == nil {
		rctx, cancel := dial.Request(ctx)
		defer cancel()
		_, err = nc.RequestWithContext(rctx, t.Capability.API()+".STREAM.LEADER.STEPDOWN."+ref.Stream, nil)
	}
	if err != nil && ctx.Err() == nil {
		r.cfg.Log.Warn("a damaged replica goes on leading its stream", "tenant", t.ID, "stream", ref.Stream, "error", err)
		return
	}
	r.cfg.Log.Info("a damaged replica does not lead its stream any more", "tenant", t.ID, "stream", ref.Stream)
}
