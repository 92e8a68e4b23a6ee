// Package load knows what this node sees of tenants' limits: what its doors accept
// and refuse, what its replicas hold, who is connected. It answers the other nodes
// and asks them, when an operator wants to know and not before: what every node
// says of itself all the time has to stay small.
package load

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

// Doors is what is asked of this node's doors.
type Doors interface {
	Load(tenant event.Tenant) (api.TenantLoad, bool)
}

// Server is what is asked of this node's server.
type Server interface {
	Streams(accountKey string) []node.Stream
}

// Connections adds what it knows of a tenant's connections to this node.
type Connections interface {
	Load(t *registry.Tenant, out *api.TenantLoad)
}

// Config is what a Room is given.
type Config struct {
	Node        string
	Registry    *registry.Registry
	Dialer      dial.Connector
	Control     account.Keys // of the CONTROL account
	Doors       Doors
	Server      Server
	Connections Connections
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

// Here answers what this node sees.
func (r *Room) Here(_ context.Context, _ string, req api.LoadRequest) (any, error) {
	out := api.NodeLoad{Node: r.cfg.Node, Tenants: map[event.Tenant]api.TenantLoad{}}
	view := r.cfg.Registry.View()
	for _, id := range req.Tenants {
		t := view.Tenants[id]
		if t == nil || t.Spec == nil {
			continue
		}
		seen, _ := r.cfg.Doors.Load(id) // without a door nothing is accepted
		r.cfg.Connections.Load(t, &seen)
		seen.Streams = map[string]api.StreamLoad{}
		for _, s := range r.cfg.Server.Streams(t.Account.Key) {
			seen.Streams[s.Name] = api.StreamLoad{Bytes: s.Bytes, Consumers: s.Consumers}
		}
		out.Tenants[id] = seen
	}
	return out, nil
}

// askWithin bounds the question to all nodes.
const askWithin = time.Second

// Everywhere returns what the live nodes see, and the names of those that do not
// answer: a node of an older version does not know the question.
func (r *Room) Everywhere(ctx context.Context, tenants []event.Tenant) (loads []api.NodeLoad, silent []string, err error) {
	nc, err := r.conn.Shared()
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	body, err := json.Marshal(api.LoadRequest{Tenants: tenants})
	if err != nil {
		return nil, nil, fault.Wrap(fault.Other, err, "encode the question to all nodes")
	}
	silent, err = dial.AskAll(ctx, nc, subject.Request(subject.DoorCore, account.UserNode, api.CoreLoad), body, r.cfg.Registry.LiveNodes(), func(msg *nats.Msg) (string, bool, error) {
		var answer api.NodeLoad
		if api.Answer(msg, &answer) != nil || answer.Node == "" {
			return "", true, nil // it gives no figures; the others may
		}
		loads = append(loads, answer)
		return answer.Node, true, nil
	})
	return loads, silent, err
}
