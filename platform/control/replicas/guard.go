package replicas

import (
	"context"
	"slices"
	"time"

	"midplane/api"
	"midplane/internal/wait"
	"midplane/platform/node"
	"midplane/platform/registry"
)

// Duties are what this node leads, and may give up.
type Duties interface {
	Leads() []node.Led
	HandOver(node.Led) error
}

// uncomparedFor is how long after its start a node does not lead a stream that has not
// been compared since. A comparison takes seconds; one of states that never stand still,
// or with a node away, may take any time.
const uncomparedFor = 2 * time.Minute

// Guard keeps this node from leading a stream, or one of its consumers, of which it does
// not hold all, or perhaps does not, until ctx ends.
func (r *Room) Guard(ctx context.Context) {
	for wait.For(ctx, time.Second) == nil {
		bad := slices.Concat(r.found(), r.uncompared(time.Now()))
		if len(bad) == 0 {
			continue
		}
		for _, led := range r.cfg.Duties.Leads() {
			ref := api.ReplicaRef{Account: led.Account, Stream: led.Stream}
			if !slices.Contains(bad, ref) {
				continue
			}
			if err := r.cfg.Duties.HandOver(led); err != nil {
				r.cfg.Log.Warn("this node's replica is not known to be whole, and leads", "account", led.Account, "stream", led.Stream, "consumer", led.Consumer, "error", err)
				continue
			}
			r.cfg.Log.Info("this node's replica is not known to be whole, and does not lead any more", "account", led.Account, "stream", led.Stream, "consumer", led.Consumer)
		}
	}
}

// found are this node's replicas that were found to differ from the others.
func (r *Room) found() []api.ReplicaRef {
	bad := r.cfg.Own.Diverged()
	for _, f := range load(r.cfg.Registry).Findings {
		if f.Node == r.cfg.Node && !slices.Contains(bad, f.ref()) {
			bad = append(bad, f.ref())
		}
	}
	return bad
}

// uncompared are the replicas of a node that has just started which another node can
// lead better: its own has been compared since that one started. When all nodes have
// returned together none has, and all may lead.
func (r *Room) uncompared(now time.Time) (out []api.ReplicaRef) {
	if now.Sub(r.started) > uncomparedFor {
		return nil
	}
	c := load(r.cfg.Registry)
	for _, h := range r.cfg.Own.Held(nil) {
		at := c.comparedAt(h.ReplicaRef)
		if !h.Leads || at == nil || at.After(r.started) {
			continue
		}
		if slices.ContainsFunc(r.cfg.Registry.LiveNodes(), func(p registry.Presence) bool {
			return p.Name != r.cfg.Node && p.Started != nil && p.Started.Before(*at)
		}) {
			out = append(out, h.ReplicaRef)
		}
	}
	return out
}
