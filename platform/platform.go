// Package platform joins an embedded server, the ingress and the control plane
// into one node of Midplane. It starts them in the order they need each other
// and stops them in reverse.
package platform

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"midplane/fault"
	"midplane/internal/pulse"
	"midplane/platform/control"
	"midplane/platform/control/replicas"
	"midplane/platform/deployment"
	"midplane/platform/node"
	"midplane/subject"
	"midplane/telemetry"
	"midplane/tenants/account"
)

// Config is one node's.
type Config struct {
	Node      node.Config
	Advertise string // client URL of this node as others reach it; "" takes the server's own
	Replicas  int    // of every stream and bucket: 3, or 1 for a cluster of one
	Version   string
	Secrets   deployment.Secrets
	// PeerClients are the client URLs of the other nodes, asked for account
	// JWTs before this one starts; PeerOptions how to connect to them.
	PeerClients []string
	PeerOptions []nats.Option
	// Certificates reports what is wrong with the node's certificates, "" when
	// nothing is; nil without TLS.
	Certificates func() string
	Pace         control.Pace
	Overcommit   bool // more storage may be promised to tenants than there is
	// AskBeforeRepair has an operator decide whether a damaged replica of a stream is
	// taken over again from the other nodes.
	AskBeforeRepair bool
}

// Load returns the configuration of a node from its folder. data is where the
// node keeps its files.
func Load(dir, data string) (Config, error) {
	n, err := deployment.LoadNode(dir)
	if err != nil {
		return Config{}, err
	}
	cfg := Config{
		Node: node.Config{
			Name: n.Name, Cluster: n.Cluster, Dir: data, Client: n.Client, Route: n.Route, Peer: n.Peer, Peers: n.Peers,
			OperatorJWT: n.OperatorJWT, System: n.System, Accounts: n.Accounts, StoreKey: n.StoreKey,
		},
		Advertise: n.Advertise, Replicas: n.Replicas, Secrets: n.Secrets, PeerClients: n.Clients,
	}
	if c := n.Certificates; c != nil {
		cfg.Node.ClientTLS, cfg.Node.RouteTLS = c.Clients, c.Routes
		cfg.PeerOptions, cfg.Certificates = c.Peers, c.Trouble
	}
	return cfg, nil
}

// Platform is one node.
type Platform struct {
	cfg    Config
	tel    telemetry.Telemetry
	sealer *account.Sealer
	signer *account.Signer
	now    atomic.Pointer[instance]
	waits  atomic.Pointer[string]
	// refusal is why what it waits for was refused last.
	refusal atomic.Pointer[string]

	mu    sync.Mutex
	ready chan struct{} // closed while the node serves
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
	cfg.Node.Pulse = new(pulse.Pulse)
	cfg.Node.Gated = len(cfg.PeerClients) > 0
	if len(cfg.PeerClients) > 0 {
		opts, err := nodeUser(cfg.Secrets.System, account.RoleNode)
		if err != nil {
			return nil, err
		}
		cfg.Node.Merge = &node.Merge{Servers: cfg.PeerClients, Options: append(opts, cfg.PeerOptions...)}
		if opts, err = nodeUser(cfg.Secrets.Control, account.RoleCore); err != nil {
			return nil, err
		}
		cfg.Node.Whole = replicas.Peers{Servers: cfg.PeerClients, Options: append(opts, cfg.PeerOptions...)}.Whole
		cfg.Node.AskBeforeRepair = cfg.AskBeforeRepair
	}
	n, err := node.New(cfg.Node, tel)
	if err != nil {
		return nil, err
	}
	p := &Platform{cfg: cfg, tel: tel, sealer: sealer, signer: signer, ready: make(chan struct{})}
	p.now.Store(&instance{of: p, node: n, mayRestart: true})
	return p, nil
}

// nodeUser returns the options to connect under a node's name in an account of the
// system.
func nodeUser(keys account.Keys, role account.Role) ([]nats.Option, error) {
	key, seed, err := account.NewUserKey()
	if err != nil {
		return nil, err
	}
	token, err := account.IssueUser(keys, role, account.User{Name: account.UserNode, Key: key})
	if err != nil {
		return nil, err
	}
	sign, err := account.SignWith(seed)
	if err != nil {
		return nil, err
	}
	return []nats.Option{
		nats.UserJWT(func() (string, error) { return token, nil }, sign),
		nats.CustomInboxPrefix(subject.InboxPrefix(account.UserNode)),
	}, nil
}

// Run runs the node until ctx ends. It starts all of it again, once, when the
// server cannot recover streams otherwise, and for every repair of a replica, which
// is removed before the server starts.
func (p *Platform) Run(ctx context.Context) error {
	for i := p.now.Load(); ; {
		err := i.run(ctx)
		if !errors.Is(err, node.ErrRestart) && !errors.Is(err, node.ErrRepair) {
			return err
		}
		cfg := p.cfg.Node
		cfg.Client = i.node.ClientAddr() // clients come back to where they were
		cfg.Repair = i.node.Replicas.Asked()
		n, err2 := node.New(cfg, p.tel)
		if err2 != nil {
			return err2
		}
		i = &instance{of: p, node: n, mayRestart: i.mayRestart && errors.Is(err, node.ErrRepair)}
		p.now.Store(i)
	}
}

// serves and pauses are called when all parts have started, and when the first
// of them is about to be stopped.
func (p *Platform) serves() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.ready)
}

func (p *Platform) pauses() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready = make(chan struct{})
}

// Ready waits until the node serves.
func (p *Platform) Ready(ctx context.Context) error {
	p.mu.Lock()
	ready := p.ready
	p.mu.Unlock()
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ClientURL returns where clients connect; meaningful once the server is up.
func (p *Platform) ClientURL() string { return p.now.Load().node.ClientURL() }

// InProcessConn connects to the node's server without a socket, as the node's
// own parts do (nats.InProcessConnProvider).
func (p *Platform) InProcessConn() (net.Conn, error) { return p.now.Load().node.InProcessConn() }

// Healthy reports why the node should not be sent clients, nil when it should: no
// meta leader, replicas that are behind, or doors that are closed though they should
// be open.
func (p *Platform) Healthy(context.Context) error {
	i := p.now.Load()
	if !i.serving.Load() {
		return fault.New(fault.Unavailable, "node %s %s", p.cfg.Node.Name, p.starting())
	}
	m := i.node.Meta()
	switch {
	case m.Problem != "":
		return fault.New(fault.Unavailable, "node %s: %s", p.cfg.Node.Name, m.Problem)
	case i.closed.Load():
		_, closed, _ := i.doors.Loaded()
		return fault.New(fault.Unavailable, "node %s: the door is closed for %v", p.cfg.Node.Name, closed)
	case i.mute():
		return fault.New(fault.Unavailable, "node %s: the registry takes no writes; is there a quorum?", p.cfg.Node.Name)
	case m.Leader == "":
		return fault.New(fault.Unavailable, "node %s: JetStream has no meta leader", p.cfg.Node.Name)
	}
	return fault.Wrap(fault.Unavailable, i.control.Whole(), "node %s", p.cfg.Node.Name)
}
