// Package drain lets an operator take a node out of work before it is stopped: what
// it leads is handed over to others first, then its clients leave. It changes one key
// of STATUS and this node's own server.
package drain

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/wait"
	"midplane/platform/node"
	"midplane/platform/registry"
)

// Server is what a Room asks its own node's server.
type Server interface {
	Leads() []node.Led
	HandOver(node.Led) error
}

// Room answers which nodes are drained, on every node, and drains this one.
type Room struct {
	Node     string
	Registry *registry.Registry
	Server   Server
	Log      *slog.Logger
}

const (
	lookEvery = 500 * time.Millisecond
	// leadersFirst is how long clients of a drained node stay while it leads
	// something that nobody takes over.
	leadersFirst = 10 * time.Second
)

// Drain has a node handed over, if the others can do without it.
func (r Room) Drain(ctx context.Context, who string, req api.NodeRef) (any, error) {
	if err := r.Registry.FreshStatus(ctx); err != nil {
		return nil, err
	}
	nodes := r.Registry.Nodes()
	n, known := nodes[req.Node]
	switch {
	case !known:
		return nil, notKnown(req.Node)
	case !registry.Alive(n):
		return nil, fault.New(fault.Conflict, "node %s does not run", req.Node)
	case len(nodes) == 1:
		return nil, fault.New(fault.Conflict, "there is no other node")
	}
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		if name == req.Node {
			continue
		}
		if why := r.unfit(name, nodes[name]); why != "" {
			return nil, fault.WithHint(fault.New(fault.Conflict, "node %s cannot be drained: node %s %s", req.Node, name, why), "never two nodes at a time; see: midplane status")
		}
	}
	_, err := r.Registry.PutStatus(ctx, registry.DrainKey(req.Node), registry.Drain{By: who, At: time.Now().UTC()})
	return nil, err
}

// unfit says why a node cannot take over from another, "" when it can.
func (r Room) unfit(name string, n registry.Seen[registry.Presence]) string {
	switch {
	case !registry.Alive(n):
		return "is not live"
	case n.Value.Behind != nil:
		return "is not whole: " + n.Value.Behind.String()
	case registry.Drained(r.Registry, name):
		return "is drained"
	}
	return ""
}

// Undrain takes a node back.
func (r Room) Undrain(ctx context.Context, _ string, req api.NodeRef) (any, error) {
	if err := r.Registry.FreshStatus(ctx); err != nil {
		return nil, err
	}
	if _, known := r.Registry.Nodes()[req.Node]; !known {
		return nil, notKnown(req.Node)
	}
	if !registry.Drained(r.Registry, req.Node) {
		return nil, nil
	}
	return nil, r.Registry.DropStatus(ctx, registry.DrainKey(req.Node))
}

func notKnown(name string) error {
	return fault.WithHint(fault.New(fault.NotFound, "node %q is not known", name), "see: midplane status")
}

// Run takes this node back, since it has just started, and hands over what it leads
// while it is drained, until ctx ends.
func (r Room) Run(ctx context.Context) error {
	for registry.Drained(r.Registry, r.Node) && r.Registry.DropStatus(ctx, registry.DrainKey(r.Node)) != nil {
		if wait.For(ctx, time.Second) != nil {
			return nil
		}
	}
	for wait.For(ctx, lookEvery) == nil {
		if registry.Drained(r.Registry, r.Node) {
			r.handOver(ctx)
		}
	}
	return nil
}

func (r Room) handOver(ctx context.Context) {
	for _, l := range r.Server.Leads() {
		if ctx.Err() != nil {
			return
		}
		if err := r.Server.HandOver(l); err != nil {
			r.Log.Debug("not handed over, trying again", "stream", l.Stream, "consumer", l.Consumer, "error", err)
		}
	}
}

// ClientsLeave reports whether the clients of this node are to leave: it is drained,
// and leads nothing any more, or nobody takes it over.
func (r Room) ClientsLeave(leads int) bool {
	_, seen, ok := registry.Get[registry.Drain](r.Registry, registry.DrainKey(r.Node))
	return ok && (leads == 0 || time.Since(seen) > leadersFirst)
}
