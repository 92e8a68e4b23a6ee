// Package local runs a whole cluster in one process, on loopback, from a
// deployment folder that it makes when there is none: what "midplane up" and
// the tests stand on. The nodes are the very same code as separate processes. It
// stands on platform and is no part of it.
package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"midplane/fault"
	"midplane/internal/ports"
	"midplane/platform"
	"midplane/platform/control"
	"midplane/platform/deployment"
	"midplane/telemetry"
	"midplane/tenants/enrol"
)

// Config is a cluster's.
type Config struct {
	Dir      string // holds deployment/ and nodes/<name>/
	Client   string // host:port of the first node's clients; the others take the next ports. Port 0 picks free ones
	Nodes    int    // 0: 3
	TLS      bool
	Version  string
	NoSync   bool // for measuring only
	Admin    string
	Primary  string
	MaxStore int64
	// Overcommit lets more storage be promised to tenants than there is.
	Overcommit bool
	// AskBeforeRepair leaves a damaged replica as it is until an operator decides.
	AskBeforeRepair bool
	// EncryptAtRest encrypts the stores with the key in the deployment's
	// store.key, which is made when there is none, or in the environment.
	EncryptAtRest bool
	Pace          control.Pace
	// Ports picks n free ports of loopback; nil: ports.Free. Tests that stop nodes
	// and start them again give one whose ports nothing else takes in between.
	Ports func(n int) ([]int, error)
	// Between returns the address at which one node, by its number, reaches another's
	// route, and for itself the one that it gives to the others; nil: the route's own.
	// Tests put something between them.
	Between func(from, to int, addr string) (string, error)
}

// Cluster is the nodes of one process.
type Cluster struct {
	cfg     Config
	tel     telemetry.Telemetry
	plan    deployment.Plan
	summary deployment.Summary
	key     string // of the stores; "": they are not encrypted
	clients []string
	routes  []string

	mu    sync.Mutex
	nodes map[string]*running

	// The first node that ended by itself; all that wait for the cluster get it.
	failure sync.Once
	failed  chan struct{}
	err     error
}

// fail notes that a node ended by itself.
func (c *Cluster) fail(err error) {
	c.failure.Do(func() { c.err = err; close(c.failed) })
}

type running struct {
	p    *platform.Platform
	stop context.CancelFunc
	done chan struct{}
}

// New makes the deployment folder when there is none and picks addresses.
func New(cfg Config, tel telemetry.Telemetry) (*Cluster, error) {
	if cfg.Nodes == 0 {
		cfg.Nodes = 3
	}
	host, port, err := net.SplitHostPort(cfg.Client)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "address %q is not host:port", cfg.Client), "write it like 127.0.0.1:4222")
	}
	if !enrol.Loopback(host) && !cfg.TLS {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s is not a loopback address, and there is no TLS here", host), "for other machines make a deployment with: midplane init")
	}
	c := &Cluster{cfg: cfg, tel: tel, nodes: map[string]*running{}, failed: make(chan struct{})}
	first, err := strconv.Atoi(port)
	if err != nil || first < 0 || first+cfg.Nodes-1 > 65535 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "address %q has no port for each of %d nodes", cfg.Client, cfg.Nodes),
			"write it like 127.0.0.1:4222; the other nodes take the next ports")
	}
	if cfg.Ports == nil {
		cfg.Ports = ports.Free
	}
	free, err := cfg.Ports(2 * cfg.Nodes)
	if err != nil {
		return nil, err
	}
	for i := range cfg.Nodes {
		p := free[i]
		if first != 0 {
			p = first + i
		}
		c.clients = append(c.clients, net.JoinHostPort(host, strconv.Itoa(p)))
		c.routes = append(c.routes, net.JoinHostPort("127.0.0.1", strconv.Itoa(free[cfg.Nodes+i])))
		c.plan.Nodes = append(c.plan.Nodes, deployment.NodePlan{Name: fmt.Sprintf("n%d", i+1), Client: c.clients[i], Route: c.routes[i]})
	}
	c.plan.Name, c.plan.Admin, c.plan.Primary, c.plan.TLS = "midplane", cfg.Admin, cfg.Primary, cfg.TLS
	if err := c.keysAreThere(); err != nil {
		return nil, err
	}
	if _, err := deployment.Init(c.Deployment(), c.plan); err != nil {
		return nil, err
	}
	if err := c.storeKey(); err != nil {
		return nil, err
	}
	c.summary, err = deployment.Read(c.Deployment())
	if err == nil && len(c.summary.Nodes) != cfg.Nodes {
		err = fault.New(fault.Conflict, "%s was made for %d nodes, not %d", c.Deployment(), len(c.summary.Nodes), cfg.Nodes)
	}
	return c, err
}

// keysAreThere refuses to make a new deployment beside nodes that have data:
// no other keys would ever open it.
func (c *Cluster) keysAreThere() error {
	if _, err := deployment.Read(c.Deployment()); !fault.Is(err, fault.NotFound) {
		return nil // anything else that is wrong with it is reported when it is read
	}
	data, err := filepath.Glob(filepath.Join(c.cfg.Dir, "nodes", "*", "jetstream"))
	if err != nil || len(data) == 0 {
		return err
	}
	return fault.WithHint(fault.New(fault.Conflict, "the nodes have data, but %s is no complete deployment folder any more", c.Deployment()),
		"bring back what is missing, deployment.json first of all; to begin again, move %s away", c.cfg.Dir)
}

// Deployment returns the deployment folder.
func (c *Cluster) Deployment() string { return filepath.Join(c.cfg.Dir, "deployment") }

// Servers returns the nodes' client URLs.
func (c *Cluster) Servers() []string {
	scheme := "nats://"
	if c.cfg.TLS {
		scheme = "tls://"
	}
	var out []string
	for _, a := range c.clients {
		out = append(out, scheme+a)
	}
	return out
}

// Names returns the nodes' names.
func (c *Cluster) Names() []string { return append([]string{}, c.summary.Nodes...) }

// Start starts one node in the background.
func (c *Cluster) Start(ctx context.Context, name string) error {
	i := -1
	for j, n := range c.summary.Nodes {
		if n == name {
			i = j
		}
	}
	if i < 0 {
		return fault.New(fault.NotFound, "no node %s", name)
	}
	cfg, err := platform.Load(deployment.NodeDir(c.Deployment(), name), filepath.Join(c.cfg.Dir, "nodes", name))
	if err != nil {
		return err
	}
	// Ports are picked at every start: the folder's may be taken by now.
	cfg.Version, cfg.Pace, cfg.Overcommit, cfg.AskBeforeRepair = c.cfg.Version, c.cfg.Pace, c.cfg.Overcommit, c.cfg.AskBeforeRepair
	cfg.Node.Client, cfg.Advertise = c.clients[i], c.Servers()[i]
	cfg.Node.UnsafeNoSync, cfg.Node.MaxStore = c.cfg.NoSync, c.cfg.MaxStore
	if c.key != "" {
		cfg.Node.StoreKey = c.key
	}
	cfg.Node.Peers, cfg.PeerClients = nil, nil
	if cfg.Node.Route != "" {
		cfg.Node.Route, cfg.Node.Peer = c.routes[i], c.routes[i]
	}
	for j := range c.summary.Nodes {
		route := c.routes[j]
		if c.cfg.Between != nil && cfg.Node.Route != "" {
			if route, err = c.cfg.Between(i, j, route); err != nil {
				return err
			}
			if j == i {
				cfg.Node.Peer = route
			}
		}
		cfg.Node.Peers = append(cfg.Node.Peers, route)
		if j != i {
			cfg.PeerClients = append(cfg.PeerClients, c.Servers()[j])
		}
	}
	p, err := platform.New(cfg, c.tel)
	if err != nil {
		return err
	}
	pctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	r := &running{p: p, stop: stop, done: make(chan struct{})}
	c.mu.Lock()
	c.nodes[name] = r
	c.mu.Unlock()
	go func() {
		defer close(r.done)
		err := p.Run(pctx)
		if pctx.Err() == nil {
			if err == nil {
				err = errors.New("ended by itself")
			}
			c.fail(fmt.Errorf("node %s: %w", name, err))
		}
	}()
	return nil
}

// Stop stops one node and waits until it has.
func (c *Cluster) Stop(name string) {
	c.mu.Lock()
	r := c.nodes[name]
	delete(c.nodes, name)
	c.mu.Unlock()
	if r != nil {
		r.stop()
		<-r.done
	}
}

// Node returns a running node, or nil.
func (c *Cluster) Node(name string) *platform.Platform {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.nodes[name]; r != nil {
		return r.p
	}
	return nil
}

// Run runs all nodes until ctx ends or one fails.
func (c *Cluster) Run(ctx context.Context) error {
	var err error
	for _, name := range c.summary.Nodes {
		if err = c.Start(ctx, name); err != nil {
			break
		}
	}
	if err == nil {
		select {
		case <-ctx.Done():
		case <-c.failed:
			err = c.err
		}
	}
	var g errgroup.Group
	for _, name := range c.summary.Nodes {
		g.Go(func() error { c.Stop(name); return nil })
	}
	_ = g.Wait() // returns nil
	return err
}

// Ready waits until every node serves, or one of them has failed.
func (c *Cluster) Ready(ctx context.Context) error {
	for _, name := range c.summary.Nodes {
		n := c.Node(name)
		for ; n == nil; n = c.Node(name) { // Run starts them in this order
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-c.failed:
				return c.err
			case <-time.After(10 * time.Millisecond):
			}
		}
		ready := make(chan error, 1)
		go func() { ready <- n.Ready(ctx) }()
		select {
		case err := <-ready:
			if err != nil {
				return err
			}
		case <-c.failed:
			return c.err // Run returns it, too
		}
	}
	return nil
}

// Healthy reports why the cluster should not be used, nil when it should.
func (c *Cluster) Healthy(ctx context.Context) error {
	for _, name := range c.summary.Nodes {
		n := c.Node(name)
		if n == nil {
			return fault.New(fault.Unavailable, "node %s is not running", name)
		}
		if err := n.Healthy(ctx); err != nil {
			return err
		}
	}
	return nil
}
