// Package platform joins an embedded server, the ingress and the control plane
// into one node of Midplane. It starts them in the order they need each other
// and stops them in reverse.
package platform

import (
	"context"
	"encoding/json"
	"net"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/event"
	"midplane/fault"
	"midplane/internal/run"
	"midplane/platform/control"
	"midplane/platform/control/registry"
	"midplane/platform/ingress"
	"midplane/platform/node"
	"midplane/telemetry"
	"midplane/tenants/account"
)

// Secrets are the keys a node works with. They come from the deployment
// folder's files and stay in memory.
type Secrets struct {
	OperatorSigning []byte       `json:"operatorSigning"` // seed; signs tenants' accounts
	System          account.Keys `json:"system"`
	Control         account.Keys `json:"control"`
	Enrol           account.Keys `json:"enrol,omitzero"`
	Master          string       `json:"-"` // master key of the registry, in a file of its own or the environment
}

// Config is one node's.
type Config struct {
	Node      node.Config
	Advertise string // client URL of this node as others reach it; "" takes the server's own
	Replicas  int    // of every stream and bucket: 3, or 1 for a cluster of one
	Version   string
	Secrets   Secrets
	// PeerClients are the client URLs of the other nodes, asked for account
	// JWTs before this one starts; PeerOptions how to connect to them.
	PeerClients []string
	PeerOptions []nats.Option
	// Certificates says what is wrong with the node's certificates, "" when
	// nothing is; nil without TLS.
	Certificates func() string
	Pace         control.Pace
}

// Platform is one node.
type Platform struct {
	cfg    Config
	tel    telemetry.Telemetry
	node   *node.Node
	sealer *account.Sealer
	signer *account.Signer
	ready  chan struct{}
	reg    *registry.Registry
	doors  *ingress.Ingress
	waits  atomic.Pointer[string]
	closed atomic.Bool // most doors have been closed for a while that should be open
}

// New checks cfg; nothing listens yet.
func New(cfg Config, tel telemetry.Telemetry) (*Platform, error) {
	tel = tel.With("node", cfg.Node.Name)
	sealer, err := account.NewSealer(cfg.Secrets.Master)
	if err != nil {
		return nil, err
	}
	signer, err := account.NewSigner(cfg.Secrets.OperatorSigning)
	if err != nil {
		return nil, err
	}
	cfg.Node.MaxPayload = account.MaxPayload
	cfg.Node.Gated = len(cfg.PeerClients) > 0
	if len(cfg.PeerClients) > 0 {
		opts, err := systemUser(cfg.Secrets.System)
		if err != nil {
			return nil, err
		}
		cfg.Node.Merge = &node.Merge{Servers: cfg.PeerClients, Options: append(opts, cfg.PeerOptions...)}
	}
	n, err := node.New(cfg.Node, tel)
	if err != nil {
		return nil, err
	}
	return &Platform{cfg: cfg, tel: tel, node: n, sealer: sealer, signer: signer, ready: make(chan struct{})}, nil
}

// systemUser returns the options to connect as the SYS account's node user.
func systemUser(keys account.Keys) ([]nats.Option, error) {
	key, seed, err := account.NewUserKey()
	if err != nil {
		return nil, err
	}
	token, err := account.IssueUser(keys, account.RoleNode, account.User{Name: account.UserNode, Key: key})
	if err != nil {
		return nil, err
	}
	sign, err := account.SignWith(seed)
	if err != nil {
		return nil, err
	}
	return []nats.Option{
		nats.UserJWT(func() (string, error) { return token, nil }, sign),
		nats.CustomInboxPrefix("_INBOX." + account.UserNode),
	}, nil
}

// Run runs the node until ctx ends.
func (p *Platform) Run(ctx context.Context) error {
	var g run.Group
	err := p.start(ctx, &g)
	if err == nil {
		close(p.ready)
		err = g.Wait(ctx)
	}
	if ctx.Err() != nil {
		err = nil
	}
	if stop := g.Stop(); err == nil {
		err = stop
	}
	return err
}

func (p *Platform) start(ctx context.Context, g *run.Group) error {
	if err := g.Start(ctx, run.Part{Name: "server", Run: p.node.Run, Ready: p.node.Ready}); err != nil {
		return err
	}
	dialer := &control.Dialer{Dial: p.node.Dial(), Node: p.cfg.Node.Name, Tel: p.tel}
	nc, err := dialer.Connect(p.cfg.Secrets.Control, account.RoleNode, account.UserNode)
	if err != nil {
		return err
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(5*time.Second))
	if err != nil {
		return err
	}
	opened := p.wait("the registry: it takes "+p.quorum(), "start the other nodes; if they run, can they reach each other?")
	reg, err := registry.Open(ctx, js, p.sealer, p.cfg.Replicas, func(kv jetstream.KeyValue) *registry.Mirror {
		return registry.NewMirror(kv, func() uint64 { return p.replica(kv.Bucket()) }, p.tel)
	})
	if err != nil {
		opened()
		return err
	}
	log, err := registry.OpenAudit(ctx, js, p.cfg.Replicas)
	opened()
	if err != nil {
		return err
	}
	synced := func(m *registry.Mirror) func(context.Context) error {
		return func(ctx context.Context) error {
			if err := m.Wait(ctx, 0); err != nil {
				return err
			}
			// The watch may be served by a replica that lags: nothing opens before
			// the registry has answered by quorum.
			if m != reg.Config {
				return nil
			}
			return reg.AwaitFresh(ctx)
		}
	}
	for _, part := range []run.Part{
		{Name: "connection", Run: func(ctx context.Context) error { <-ctx.Done(); nc.Close(); return nil }},
		{Name: "registry", Run: reg.Config.Run, Ready: synced(reg.Config)},
		{Name: "status", Run: reg.Status.Run, Ready: synced(reg.Status)},
	} {
		if err := g.Start(ctx, part); err != nil {
			return err
		}
	}
	if err := reg.View().Sealed(); err != nil {
		return fault.Wrap(fault.Other, err, "node %s", p.cfg.Node.Name)
	}
	return p.startServices(ctx, g, reg, log, dialer)
}

func (p *Platform) startServices(ctx context.Context, g *run.Group, reg *registry.Registry, log *registry.Audit, dialer *control.Dialer) error {
	doors, err := ingress.New(ingress.Config{
		Broker: p.node, Registry: reg, Connect: dialer.Ingress,
		StateHas: func(ctx context.Context, t event.Tenant, subj string) (bool, error) {
			return stateHas(ctx, reg, dialer, t, subj)
		},
		StateFill: p.stateFill,
	}, p.tel)
	if err != nil {
		return err
	}
	url := p.cfg.Advertise
	if url == "" {
		url = p.node.ClientURL()
	}
	ctl, err := control.New(control.Config{
		Node: p.cfg.Node.Name, ClientURL: url, Version: p.cfg.Version, Replicas: p.cfg.Replicas, Registry: reg, Dialer: dialer,
		Server: p.node, Doors: doors, Signer: p.signer, Control: p.cfg.Secrets.Control, System: p.cfg.Secrets.System.Public, Enrol: p.cfg.Secrets.Enrol,
		SystemKeys: p.cfg.Secrets.System, Audit: log,
		Certificates: p.cfg.Certificates, Pace: p.cfg.Pace,
	}, p.tel)
	if err != nil {
		return err
	}
	p.reg, p.doors = reg, doors
	if err := g.Start(ctx, run.Part{Name: "ingress", Run: doors.Run}); err != nil {
		return err
	}
	if err := g.Start(ctx, run.Part{Name: "control plane", Run: ctl.Run, Ready: ctl.Ready}); err != nil {
		return err
	}
	p.node.Open()
	return g.Start(ctx, run.Part{Name: "doors", Run: p.watchDoors})
}

// doorless is how long a node may have most doors closed that should be open
// before it is not ready, and all of them before it gives up.
const doorless = 10 * time.Second

// watchDoors ends the node when none of its doors has been open for a while:
// its clients are told to go to the others, where they are served.
func (p *Platform) watchDoors(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	shut, some := time.Now(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		_, closed, open := p.doors.Loaded()
		if len(closed) <= open {
			some = time.Now() // a tenant's own trouble is its condition, not the node's
		}
		if !p.doors.Shut() {
			shut = time.Now()
		}
		p.closed.Store(time.Since(some) > doorless)
		if time.Since(shut) > doorless {
			p.tel.Log.Error("no door has been open for a while, leaving", "closed", closed)
			p.node.LameDuck()
			return fault.New(fault.Unavailable, "no door could be opened for %s", doorless)
		}
	}
}

// mute reports whether this node has not been able to say in the registry that
// it is there. The server itself takes 20 seconds to notice a lost quorum.
func (p *Platform) mute() bool {
	_, seen, ok := registry.Get[registry.Presence](p.reg, registry.NodeKey(p.cfg.Node.Name))
	return !ok || time.Since(seen) > 2*registry.Live
}

// replica returns the last sequence of this node's own replica of a bucket.
func (p *Platform) replica(bucket string) uint64 {
	for _, s := range p.node.Streams(p.cfg.Secrets.Control.Public) {
		if s.Name == "KV_"+bucket {
			return s.Last
		}
	}
	return 0
}

func (p *Platform) stateFill(accountKey string) (used, limit uint64) {
	for _, s := range p.node.Streams(accountKey) {
		if s.Name == event.StreamState && s.MaxBytes > 0 {
			return s.Bytes, uint64(s.MaxBytes)
		}
	}
	return 0, 0
}

// stateHas asks STATE whether it holds a subject.
func stateHas(ctx context.Context, reg *registry.Registry, dialer *control.Dialer, id event.Tenant, subj string) (bool, error) {
	t := reg.View().Tenants[id]
	if t == nil {
		return false, fault.New(fault.NotFound, "tenant %s", id)
	}
	nc, err := dialer.Control(t)
	if err != nil {
		return false, err
	}
	body, _ := json.Marshal(map[string]string{"last_by_subj": subj}) // a string
	msg, err := nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+event.StreamState, body)
	if err != nil {
		return false, fault.Wrap(fault.Unavailable, err, "STATE of %s", id)
	}
	var answer struct {
		Message *struct{} `json:"message"`
	}
	return json.Unmarshal(msg.Data, &answer) == nil && answer.Message != nil, nil
}

// Ready waits until the node serves.
func (p *Platform) Ready(ctx context.Context) error {
	select {
	case <-p.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ClientURL returns where clients connect; meaningful once the server is up.
func (p *Platform) ClientURL() string { return p.node.ClientURL() }

// InProcessConn connects to the node's server without a socket, as the node's
// own parts do (nats.InProcessConnProvider).
func (p *Platform) InProcessConn() (net.Conn, error) { return p.node.InProcessConn() }

// Healthy reports why the node should not be sent clients, nil when it should:
// no meta leader, behind, or doors that are closed though they should be open.
func (p *Platform) Healthy(context.Context) error {
	select {
	case <-p.ready:
	default:
		return fault.New(fault.Unavailable, "node %s %s", p.cfg.Node.Name, p.starting())
	}
	m := p.node.Meta()
	switch {
	case m.Problem != "":
		return fault.New(fault.Unavailable, "node %s: %s", p.cfg.Node.Name, m.Problem)
	case p.closed.Load():
		_, closed, _ := p.doors.Loaded()
		return fault.New(fault.Unavailable, "node %s: the door is closed for %v", p.cfg.Node.Name, closed)
	case p.mute():
		return fault.New(fault.Unavailable, "node %s: the registry takes no writes; is there a quorum?", p.cfg.Node.Name)
	case m.Leader == "":
		return fault.New(fault.Unavailable, "node %s: JetStream has no meta leader", p.cfg.Node.Name)
	}
	return nil
}
