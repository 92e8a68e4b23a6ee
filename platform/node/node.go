// Package node is one embedded nats-server: clustered, JetStream on disk with
// every write synced, operator mode, nothing listening that is not needed. It
// is the only importer of nats-server; the rest of the platform talks to it
// through an in-process connection and the few questions answered here.
package node

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/pulse"
	"midplane/telemetry"
)

// Config is one node's.
type Config struct {
	Name    string // "n1": unique in the cluster, and kept for life
	Cluster string // cluster name
	Dir     string // JetStream's and the resolver's files

	Client string   // host:port for clients; port 0 picks one (tests)
	Route  string   // host:port for the other nodes
	Peer   string   // host:port at which the other nodes reach this one; "" is Route
	Peers  []string // host:port of every node's route, this one's too: the server takes their number for the cluster's size

	OperatorJWT string            // path
	System      string            // public key of SYS
	Accounts    map[string]string // account JWTs known from the start: SYS and CONTROL

	ClientTLS *tls.Config // nil: plain, loopback only
	RouteTLS  *tls.Config // nil: plain, loopback only; verifies both ways
	Gated     bool        // clients' handshakes are refused until Open

	MaxStore     int64 // bytes; 0: the server's own choice, 75 % of what is free
	MaxPayload   int32
	StoreKey     string // 32 bytes in base64: JetStream's files are encrypted with it; "": they are not
	UnsafeNoSync bool   // do not sync every write: acknowledged data is lost in a power cut

	// Pulse is that of this process; nil: none is watched.
	Pulse *pulse.Pulse

	// Merge asks the peers for their account JWTs before the server starts;
	// nil when there are none to ask.
	Merge *Merge

	// Whole asks the other nodes whether they hold all of a stream; nil when there
	// are none. Repair are replicas that are removed before the start, if they do;
	// with AskBeforeRepair only these are.
	Whole           Whole
	Repair          map[api.ReplicaRef]api.ReplicaDamage
	AskBeforeRepair bool
}

// Node is a running server.
type Node struct {
	Replicas *Replicas // this node's copies of streams

	cfg      Config
	opts     *server.Options
	accounts *accountStore
	recovery recovery
	gate     gate
	tel      telemetry.Telemetry
	srv      atomic.Pointer[server.Server]
	fatal    chan error
	// leaving is set when the server has been asked to go, and unwritable when it has
	// given JetStream up by itself.
	leaving, unwritable atomic.Bool
	started             chan struct{}
}

// New checks cfg and makes the folders of accounts; nothing listens yet.
func New(cfg Config, tel telemetry.Telemetry) (*Node, error) {
	if cfg.Name == "" || cfg.Dir == "" || cfg.System == "" {
		return nil, fault.New(fault.Invalid, "a node needs a name, a directory and the key of the system account")
	}
	cfg.StoreKey = strings.TrimSpace(cfg.StoreKey)
	if err := guardStore(cfg); err != nil {
		return nil, fault.Wrap(fault.Other, err, "node %s", cfg.Name)
	}
	n := &Node{cfg: cfg, tel: tel, fatal: make(chan error, 1), started: make(chan struct{})}
	n.Replicas = newReplicas(cfg, &n.srv, tel.Log)
	var err error
	if n.opts, err = options(cfg); err != nil {
		return nil, err
	}
	if cfg.Gated {
		n.opts.TLSConfig = n.gate.before(cfg.ClientTLS)
	}
	if n.accounts, err = newAccountStore(cfg.Dir, tel.Log); err != nil {
		return nil, fault.Wrap(fault.Other, err, "node %s: account folder", cfg.Name)
	}
	n.opts.AccountResolver = n.accounts.resolver
	return n, nil
}

// Run merges the peers' account JWTs, starts the server and blocks until ctx
// ends or the server fails for good.
func (n *Node) Run(ctx context.Context) error {
	known, err := n.accounts.load(n.cfg.Accounts, func() {
		if n.cfg.Merge != nil {
			n.cfg.Merge.run(ctx, n.accounts.resolver, n.tel)
		}
	})
	if err != nil {
		return fault.Wrap(fault.Other, err, "node %s", n.cfg.Name)
	}
	if err := n.recovery.begin(known, n.opts.StoreDir); err != nil {
		return fault.Wrap(fault.Other, err, "node %s: look at the streams on disk", n.cfg.Name)
	}
	if err := n.Replicas.prepare(ctx); err != nil {
		return fault.Wrap(fault.Other, err, "node %s: verify the streams on disk", n.cfg.Name)
	}
	srv, err := server.NewServer(n.opts)
	if err != nil {
		return fault.Wrap(fault.Other, err, "node %s", n.cfg.Name)
	}
	// The server's own Fatalf would exit the whole process.
	srv.SetLoggerV2(&logger{log: n.tel.Log, fatal: n.fatal}, true, false, false)
	n.srv.Store(srv)
	go srv.Start()
	defer func() {
		if n.cfg.Route != "" {
			handOver(srv)
		}
		srv.Shutdown()
		srv.WaitForShutdown()
	}()
	for !srv.ReadyForConnections(100 * time.Millisecond) {
		select {
		case <-ctx.Done():
			return nil
		case err := <-n.fatal:
			return fmt.Errorf("node %s: %w", n.cfg.Name, err)
		default:
		}
	}
	if !n.cfg.UnsafeNoSync {
		if err := checkSync(srv); err != nil {
			return fault.Wrap(fault.Other, err, "node %s", n.cfg.Name)
		}
	}
	close(n.started)
	watch, stop := context.WithCancel(ctx)
	defer stop()
	select {
	case <-ctx.Done():
		return nil
	case err := <-n.disabled(watch, srv):
		return err
	case err := <-n.fatal:
		return fmt.Errorf("node %s: %w", n.cfg.Name, err)
	}
}

// checkSync refuses to serve from a server that does not sync every write,
// in spite of its options.
func checkSync(srv *server.Server) error {
	v, err := srv.Varz(nil)
	if err != nil {
		return fault.Wrap(fault.Other, err, "varz")
	}
	if v.JetStream.Config == nil || !v.JetStream.Config.SyncAlways {
		return fault.New(fault.Other, "JetStream does not sync every write; refusing to acknowledge what a power cut could take")
	}
	if !v.JetStream.Config.Strict {
		return fault.New(fault.Other, "JetStream's API is not strict; a PubAck could be taken for a request")
	}
	return nil
}

// Ready waits until the server accepts connections.
func (n *Node) Ready(ctx context.Context) error {
	select {
	case <-n.started:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Name returns the node's name.
func (n *Node) Name() string { return n.cfg.Name }

// ClientURL returns where clients connect; meaningful once Ready.
func (n *Node) ClientURL() string {
	if srv := n.srv.Load(); srv != nil {
		return srv.ClientURL()
	}
	return ""
}

// ClientAddr returns the host:port at which the server listens for clients; what
// was configured before it listens.
func (n *Node) ClientAddr() string {
	srv := n.srv.Load()
	if srv == nil {
		return n.cfg.Client
	}
	host, _, err := net.SplitHostPort(n.cfg.Client)
	at, perr := url.Parse(srv.ClientURL())
	if err != nil || perr != nil {
		return n.cfg.Client
	}
	return net.JoinHostPort(host, at.Port())
}

// handOver lets others lead what the server still leads, JetStream's meta group too.
func handOver(srv *server.Server) {
	done := make(chan struct{})
	go func() { defer close(done); srv.LameDuckShutdown() }()
	select {
	case <-done:
	case <-time.After(handOverWithin):
	}
}

// Open lets clients in: see gate.
func (n *Node) Open() { n.gate.open.Store(true) }

// LameDuck asks clients to leave, hands leaderships over and shuts down.
func (n *Node) LameDuck() {
	n.leaving.Store(true)
	if srv := n.srv.Load(); srv != nil {
		srv.LameDuckShutdown()
	}
}
