// Package control is the control plane of a node: it assembles the rooms below this
// folder, serves what they answer in the account CONTROL, and runs their loops, some
// of them only on the node that leads.
package control

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"midplane/fault"
	"midplane/platform/control/accounts"
	"midplane/platform/control/connections"
	"midplane/platform/control/dial"
	"midplane/platform/control/drain"
	"midplane/platform/control/lease"
	"midplane/platform/control/load"
	"midplane/platform/control/missing"
	"midplane/platform/control/replicas"
	"midplane/platform/control/service"
	"midplane/platform/control/status"
	"midplane/platform/control/watchdog"
	"midplane/platform/registry"
	"midplane/telemetry"
	"midplane/tenants/account"
)

// Server is what the rooms ask this node's server.
type Server interface {
	accounts.HubServer
	connections.Server
	connections.MoverServer
	load.Server
	missing.Server
	status.Server
	watchdog.Server
}

// Duties are what this node does for others.
type Duties interface {
	Move(client uint64) error
	drain.Server
	status.ReplicaServer
	watchdog.Progress
}

// Doors is what the rooms ask this node's ingress.
type Doors interface {
	connections.Doors
	load.Doors
	status.Doors
}

// Config is what the control plane is given.
type Config struct {
	Node      string
	ClientURL string // of this node, as clients reach it
	Version   string
	Replicas  int
	Registry  *registry.Registry
	Dialer    *dial.Dialer
	Server    Server
	Duties    Duties
	// Replicated are this node's replicas of streams, as files.
	Replicated replicas.Own
	// AskBeforeRepair has an operator decide whether a damaged replica is repaired.
	AskBeforeRepair bool
	Doors           Doors
	Signer          *account.Signer
	Control         account.Keys // of the CONTROL account
	System          string       // public key of the SYS account
	Enrol           account.Keys // of the ENROL account
	// SystemKeys are of the SYS account: its servers are asked who is connected.
	SystemKeys account.Keys
	Audit      *registry.Audit
	// Certificates returns what is wrong with this node's certificates, "" when
	// nothing is; nil without TLS.
	Certificates func() string
	Pace         Pace
	Overcommit   bool // more storage may be promised than there is
}

// Control is this node's part of the control plane.
type Control struct {
	cfg Config
	tel telemetry.Telemetry
	rooms
}

// New returns a Control; Run serves.
func New(cfg Config, tel telemetry.Telemetry) (*Control, error) {
	if cfg.Node == "" || cfg.Registry == nil || cfg.Dialer == nil || cfg.Signer == nil || cfg.Audit == nil {
		return nil, fault.New(fault.Invalid, "control plane: node, registry, dialer, signer and audit log are needed")
	}
	cfg.Pace = cfg.Pace.withDefaults()
	rooms, err := newRooms(cfg, tel)
	return &Control{cfg: cfg, tel: tel, rooms: rooms}, err
}

// Run serves and, when it holds the lease, leads, until ctx ends.
func (c *Control) Run(ctx context.Context) error {
	nc, err := c.cfg.Dialer.Connect(c.cfg.Control, account.RoleService, account.UserService)
	if err != nil {
		return err
	}
	defer nc.Close()
	defer c.cfg.Dialer.Close()
	defer c.system.Close()
	defer c.load.Close()
	defer c.replicas.Close()
	services, err := service.Serve(ctx, nc, c.cfg.Node, c.doors())
	if err != nil {
		return err
	}
	defer services()
	metrics, err := c.metrics.Observe(c.tel.Meter)
	if err != nil {
		return err
	}
	defer func() { _ = metrics.Unregister() }() // nothing is asked of a stopped node
	c.hub.Bring()                               // before clients are let in; what fails is tried again
	c.current.Look()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.presence.Run(ctx) })
	g.Go(func() error { return c.upgrade.Watch(ctx) })
	g.Go(func() error { return c.alarms.Run(ctx) })
	g.Go(func() error { return c.closeGone(ctx) })
	g.Go(func() error { return c.hub.Run(ctx) })
	g.Go(func() error { c.replicas.Guard(ctx); return nil })
	g.Go(func() error { return c.tokenConnections.Run(ctx) })
	g.Go(func() error { return c.limiter.Run(ctx) })
	g.Go(func() error { return c.audit.Run(ctx) })
	g.Go(func() error { return c.mover.Run(ctx) })
	g.Go(func() error { return c.current.Run(ctx) })
	g.Go(func() error { return c.drain.Run(ctx) })
	g.Go(func() error { return c.probe.Run(ctx) })
	g.Go(func() error { return c.watchdog.Run(ctx) })
	g.Go(func() error {
		return lease.Candidate{Node: c.cfg.Node, Registry: c.cfg.Registry, Log: c.tel.Log}.Run(ctx, c.lead)
	})
	return g.Wait()
}

// Ready waits until this node's services answer and its doors are as the
// registry says.
func (c *Control) Ready(ctx context.Context) error { return c.presence.Ready(ctx) }

// Whole returns an error that says which of this node's replicas are behind.
func (c *Control) Whole() error { return c.current.Whole() }

// Leave has every client of this node leave: it is about to stop.
func (c *Control) Leave() { c.mover.All() }

// closeGone closes this node's connections into accounts that are gone.
func (c *Control) closeGone(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		c.cfg.Dialer.Keep(func(key string) bool {
			t := c.cfg.Registry.View().ByKey[key]
			return t != nil && !t.Account.Deleted
		})
	}
}
