// Package missing decides whether messages that the leader of a stream does not have
// are lost, or whether another replica may have them: a replica whose files were
// damaged may lead. It asks every node, and it is asked by primaries before they pass
// a hole.
package missing

import (
	"context"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/node"
	"midplane/platform/registry"
)

// Server is what is asked of this node's server.
type Server interface {
	Streams(accountKey string) []node.Stream
}

// Replicas asks every live node what it holds.
type Replicas interface {
	Everywhere(ctx context.Context, req api.ReplicasRequest) (held map[string][]api.HeldReplica, silent []string, err error)
}

// Room answers primaries.
type Room struct {
	Registry *registry.Registry
	Replicas Replicas
	Server   Server
}

// Missing answers whether messages are lost.
func (r *Room) Missing(ctx context.Context, _ string, req api.MissingRequest) (any, error) {
	kind := event.KindOfStream(req.Stream)
	if kind == "" || kind == event.KindState || req.From == 0 || req.To < req.From {
		return nil, fault.New(fault.Invalid, "no messages of a stream without holes: %d to %d of %q", req.From, req.To, registry.Clip(req.Stream, 63))
	}
	t, err := r.Registry.View().Declared(string(req.Tenant))
	if err != nil {
		return nil, err
	}
	ref := api.ReplicaRef{Account: t.Account.Key, Stream: req.Stream}
	held, _, err := r.Replicas.Everywhere(ctx, api.ReplicasRequest{Streams: []api.ReplicaRef{ref}})
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "ask all nodes what they hold of %s", req.Stream)
	}
	have := map[string]api.HeldReplica{}
	for name, list := range held {
		for _, h := range list {
			if h.ReplicaRef == ref {
				have[name] = h
			}
		}
	}
	return Judge(req, r.peers(ref, have), have), nil
}

// peers returns every node that has a replica, as this node's server knows them, and
// those that say that they have one. It returns none when this one has no replica: then
// it does not know who else has.
func (r *Room) peers(ref api.ReplicaRef, have map[string]api.HeldReplica) map[string]bool {
	peers := map[string]bool{}
	for _, s := range r.Server.Streams(ref.Account) {
		if s.Name == ref.Stream {
			for _, name := range s.Peers {
				peers[name] = true
			}
			for name := range have {
				peers[name] = true
			}
		}
	}
	return peers
}
