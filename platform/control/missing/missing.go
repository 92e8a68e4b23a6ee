// Package missing decides whether messages that the leader of a stream does not have
// are lost, or whether another replica may have them: a replica whose files were
// damaged may lead, and nothing in the server compares it with the others. It asks
// every node, and it is asked by primaries before they pass a hole.
package missing

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/dial"
	"midplane/platform/node"
	"midplane/platform/registry"
	"midplane/subject"
	"midplane/tenants/account"
)

// Server is what is asked of this node's server.
type Server interface {
	Streams(accountKey string) []node.Stream
}

// Config is what a Room is given.
type Config struct {
	Node     string
	Registry *registry.Registry
	Dialer   dial.Connector
	Control  account.Keys // of the CONTROL account
	Server   Server
}

// Room answers and asks.
type Room struct {
	cfg  Config
	conn *dial.Lazy
}

// New returns a Room. It asks as a primary does, under the node's own name: the
// connection that answers may not ask.
func New(cfg Config) *Room {
	return &Room{cfg: cfg, conn: dial.NewLazy(cfg.Dialer, cfg.Control, account.RoleCore, account.UserNode)}
}

// Close closes the connection that asks.
func (r *Room) Close() { r.conn.Close() }

// Here answers what this node's replica of a stream holds.
func (r *Room) Here(_ context.Context, _ string, req api.HoldsRequest) (any, error) {
	t, err := r.cfg.Registry.View().Declared(string(req.Tenant))
	if err != nil {
		return nil, err
	}
	for _, s := range r.cfg.Server.Streams(t.Account.Key) {
		if s.Name == req.Stream {
			return api.ReplicaExtent{Node: r.cfg.Node, Messages: s.Messages, First: s.First, Last: s.Last, Peers: s.Peers}, nil
		}
	}
	return nil, fault.New(fault.NotFound, "node %s has no replica of %s of tenant %s", r.cfg.Node, registry.Clip(req.Stream, 63), t.ID)
}

// askWithin bounds the question to all nodes.
const askWithin = 2 * time.Second

// Missing answers whether messages are lost.
func (r *Room) Missing(ctx context.Context, _ string, req api.MissingRequest) (any, error) {
	kind := event.KindOfStream(req.Stream)
	if kind == "" || kind == event.KindState || req.From == 0 || req.To < req.From {
		return nil, fault.New(fault.Invalid, "no messages of a stream without holes: %d to %d of %q", req.From, req.To, registry.Clip(req.Stream, 63))
	}
	if _, err := r.cfg.Registry.View().Declared(string(req.Tenant)); err != nil {
		return nil, err
	}
	nc, err := r.conn.Shared()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	body, err := json.Marshal(api.HoldsRequest{Tenant: req.Tenant, Stream: req.Stream})
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "encode the question to all nodes")
	}
	var have []api.ReplicaExtent
	_, err = dial.AskAll(ctx, nc, subject.Request(subject.DoorCore, account.UserNode, api.CoreHolds), body, r.cfg.Registry.LiveNodes(), func(msg *nats.Msg) (string, bool, error) {
		var answer api.ReplicaExtent
		if api.Answer(msg, &answer) != nil || answer.Node == "" {
			return "", true, nil // it says nothing that counts; the others may
		}
		have = append(have, answer)
		return answer.Node, true, nil
	})
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "ask all nodes what they hold of %s", req.Stream)
	}
	return Judge(req, have), nil
}
