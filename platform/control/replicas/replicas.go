// Package replicas compares what the nodes hold of every stream. Each node answers
// for its own replicas; the leading node holds the answers against each other, says
// where one differs, and has it taken over again from the others, one at a time.
package replicas

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/fault"
	"midplane/platform/control/dial"
	"midplane/platform/registry"
	"midplane/subject"
	"midplane/tenants/account"
)

// Own is this node's replicas.
type Own interface {
	Held(streams []api.ReplicaRef) []api.HeldReplica
	Verify(ctx context.Context, streams []api.ReplicaRef) []api.VerifiedReplica
	Repair(ref api.ReplicaRef, why api.ReplicaDamage) error
	Sum(of api.ReplicaRange) (api.ReplicaSum, error)
	Equal(streams []api.ReplicaRef)
	Diverged() []api.ReplicaRef
}

// Config is what a Room is given.
type Config struct {
	Node     string
	Registry *registry.Registry
	Dialer   dial.Connector
	Control  account.Keys // of the CONTROL account
	Own      Own
	Duties   Duties
	Log      *slog.Logger
}

// Room answers for this node's replicas and asks all nodes.
type Room struct {
	cfg     Config
	conn    *dial.Lazy
	started time.Time
}

// New returns a Room. It asks under the node's own name, on a connection of its
// own: the one that answers may not ask.
func New(cfg Config) *Room {
	return &Room{cfg: cfg, started: time.Now(), conn: dial.NewLazy(cfg.Dialer, cfg.Control, account.RoleCore, account.UserNode)}
}

// Close closes the connection that asks.
func (r *Room) Close() { r.conn.Close() }

// nodesOnly refuses a primary: it has the role that nodes ask with.
func nodesOnly(who string) error {
	if who != account.UserNode {
		return fault.New(fault.Denied, "only nodes may ask this")
	}
	return nil
}

// Here answers what this node holds.
func (r *Room) Here(_ context.Context, who string, req api.ReplicasRequest) (any, error) {
	if err := nodesOnly(who); err != nil {
		return nil, err
	}
	r.cfg.Own.Equal(req.Equal)
	return api.NodeReplicas{Node: r.cfg.Node, Replicas: r.cfg.Own.Held(req.Streams)}, nil
}

// VerifyHere reads this node's files of some streams.
func (r *Room) VerifyHere(ctx context.Context, who string, req api.ReplicaVerify) (any, error) {
	if err := nodesOnly(who); err != nil {
		return nil, err
	}
	return api.ReplicaVerified{Node: r.cfg.Node, Streams: r.cfg.Own.Verify(ctx, req.Streams)}, nil
}

// RepairHere has this node take a stream over from the others, when it is meant.
func (r *Room) RepairHere(_ context.Context, who string, req api.ReplicaRepair) (any, error) {
	if err := nodesOnly(who); err != nil {
		return nil, err
	}
	if req.Node == r.cfg.Node {
		if err := r.cfg.Own.Repair(req.ReplicaRef, req.Damage); err != nil {
			return nil, err
		}
	}
	return api.ReplicaVerified{Node: r.cfg.Node}, nil
}

const (
	askWithin    = 2 * time.Second // what nodes know
	sumWithin    = time.Minute     // a part of what they have to read
	verifyWithin = 5 * time.Minute // what they have to read
)

// ask sends a request to all live nodes and gives take each answer, until all have
// answered. It returns the names of those that have not.
func ask[T any](ctx context.Context, nc *nats.Conn, within time.Duration, verb string, req any, live []registry.Presence, take func(T) (node string, more bool)) ([]string, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "encode the question to all nodes")
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var refused error
	silent, err := dial.AskAll(ctx, nc, subject.Request(subject.DoorCore, account.UserNode, verb), body, live, func(msg *nats.Msg) (string, bool, error) {
		var answer T
		if err := api.Answer(msg, &answer); err != nil {
			refused = err
			return "", true, nil // the others may answer
		}
		node, more := take(answer)
		return node, more, nil
	})
	if err == nil && len(silent) > 0 && refused != nil {
		err = refused
	}
	return silent, err
}

// Everywhere returns what every live node holds, by its name, and the nodes that
// do not answer.
func (r *Room) Everywhere(ctx context.Context, req api.ReplicasRequest) (held map[string][]api.HeldReplica, silent []string, err error) {
	nc, err := r.conn.Shared()
	if err != nil {
		return nil, nil, err
	}
	held = map[string][]api.HeldReplica{}
	silent, err = ask(ctx, nc, askWithin, api.CoreReplicas, req, r.cfg.Registry.LiveNodes(), func(a api.NodeReplicas) (string, bool) {
		held[a.Node] = a.Replicas
		return a.Node, true
	})
	return held, silent, err
}

// VerifyEverywhere has every live node read its files of some streams.
func (r *Room) VerifyEverywhere(ctx context.Context, streams []api.ReplicaRef) (found map[string][]api.VerifiedReplica, silent []string, err error) {
	nc, err := r.conn.Shared()
	if err != nil {
		return nil, nil, err
	}
	found = map[string][]api.VerifiedReplica{}
	silent, err = ask(ctx, nc, verifyWithin, api.CoreReplicaVerify, api.ReplicaVerify{Streams: streams}, r.cfg.Registry.LiveNodes(), func(a api.ReplicaVerified) (string, bool) {
		found[a.Node] = a.Streams
		return a.Node, true
	})
	return found, silent, err
}

// repair asks a node to take a stream over from the others.
func (r *Room) repair(ctx context.Context, req api.ReplicaRepair) error {
	nc, err := r.conn.Shared()
	if err != nil {
		return err
	}
	taken := false
	_, err = ask(ctx, nc, askWithin, api.CoreReplicaRepair, req, r.cfg.Registry.LiveNodes(), func(a api.ReplicaVerified) (string, bool) {
		taken = taken || a.Node == req.Node
		return a.Node, !taken
	})
	if err == nil && !taken {
		err = fault.New(fault.Unavailable, "node %s does not answer", req.Node)
	}
	return err
}
