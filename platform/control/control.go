// Package control is the control plane: the registry's writers, the services
// in CONTROL (admin.go for operators, core.go for primaries, channel.go for
// pollers and applications), and, on the node that holds the lease, the loops
// that bring the world to what the registry says (lead.go, work.go) and keep
// streams from filling (trim.go). It is level-based: it looks at the world by
// tenant name, never at the event that woke it.
package control

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
	"golang.org/x/sync/errgroup"

	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/registry"
	"midplane/platform/node"
	"midplane/telemetry"
	"midplane/tenants/account"
)

// Server is what the control plane asks its own server.
type Server interface {
	Streams(accountKey string) []node.Stream
	Meta() node.Meta
	Clients(accountKey string) []node.Client
	Load(accountKey string) (here, elsewhere int)
	Kick(client uint64) error
	Apply(accountKey, token string) error
	// AccountJWT is what the server runs an account with, "" when it has none.
	AccountJWT(accountKey string) string
}

// Doors is what the control plane asks its own ingress.
type Doors interface {
	Loaded() (revision uint64, closed []string, open int)
	Moved() <-chan struct{}
	// ShutOut reports whether a user's connections are to be closed for a while.
	ShutOut(userKey string) bool
	ShutsOut() bool // whether there may be such a user
}

// Config is what the control plane is given.
type Config struct {
	Node      string
	ClientURL string // of this node, as clients reach it
	Version   string
	Replicas  int
	Registry  *registry.Registry
	Dialer    *Dialer
	Server    Server
	Doors     Doors
	Signer    *account.Signer
	Control   account.Keys // of the CONTROL account
	System    string       // public key of the SYS account
	Enrol     account.Keys // of the ENROL account
	// SystemKeys are of the SYS account: its servers are asked who is connected.
	SystemKeys account.Keys
	Audit      *registry.Audit
	// Certificates says what is wrong with this node's certificates, "" when
	// nothing is; nil without TLS.
	Certificates func() string
	Pace         Pace
}

// Control is this node's part of the control plane.
type Control struct {
	cfg Config
	reg *registry.Registry
	tel telemetry.Telemetry
	// lastCursor bounds how often a primary's presence is written.
	seen       seenAt
	waiting    waitList
	sys        systemConn
	tokens     *crowd
	unrecorded atomic.Int64 // acts that are missing in the audit log
	started    time.Time
	sightings  metric.Int64Counter // markers of the canary in the wrong tenant
}

// New returns a Control; Run serves.
func New(cfg Config, tel telemetry.Telemetry) (*Control, error) {
	if cfg.Node == "" || cfg.Registry == nil || cfg.Dialer == nil || cfg.Signer == nil || cfg.Audit == nil {
		return nil, fault.New(fault.Invalid, "control plane: node, registry, dialer, signer and audit log are needed")
	}
	cfg.Pace = cfg.Pace.withDefaults()
	return &Control{cfg: cfg, reg: cfg.Registry, tel: tel, started: time.Now(), tokens: newCrowd()}, nil
}

// Run serves and, when it holds the lease, leads, until ctx ends.
func (c *Control) Run(ctx context.Context) error {
	nc, err := c.cfg.Dialer.Connect(c.cfg.Control, account.RoleService, account.UserService)
	if err != nil {
		return err
	}
	defer nc.Close()
	defer c.cfg.Dialer.Close()
	defer c.closeSystem()
	services, err := c.serve(ctx, nc)
	if err != nil {
		return err
	}
	defer services()
	metrics, err := c.observe()
	if err != nil {
		return err
	}
	defer func() { _ = metrics.Unregister() }() // nothing is asked of a stopped node
	var hub hub
	c.bring(&hub) // before anybody is let in; what fails is tried again
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.present(ctx) })
	g.Go(func() error { return c.keepAdminsOut(ctx, &hub) })
	g.Go(func() error { return c.watchTokens(ctx) })
	g.Go(func() error { return c.campaign(ctx, c.lead) })
	g.Go(func() error { return c.watchConnections(ctx) })
	return g.Wait()
}

// present says every second, and whenever the doors moved, that this node is
// live and what it has loaded.
func (c *Control) present(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var certs certificates
	for {
		rev, closed, open := c.cfg.Doors.Loaded()
		meta := c.cfg.Server.Meta()
		pctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := c.reg.PutStatus(pctx, registry.NodeKey(c.cfg.Node), registry.Presence{
			Name: c.cfg.Node, Revision: rev, Closed: closed, Tenants: open, Client: c.cfg.ClientURL, Version: c.cfg.Version,
			Problem:      first(meta.Problem, unrecordedProblem(&c.unrecorded)),
			Certificates: c.certificates(&certs),
		})
		cancel()
		if err != nil && ctx.Err() == nil {
			c.tel.Log.Debug("presence not stored", "error", err)
		}
		c.cfg.Dialer.Keep(func(key string) bool {
			t := c.reg.View().ByKey[key]
			return t != nil && !t.Account.Deleted
		})
		select {
		case <-ctx.Done():
			c.farewell(ctx)
			return nil
		case <-tick.C:
		case <-c.cfg.Doors.Moved():
		}
	}
}

// farewell says that this node stops, so that nobody waits for it.
func (c *Control) farewell(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, err := c.reg.PutStatus(ctx, registry.NodeKey(c.cfg.Node), registry.Presence{Name: c.cfg.Node, Closed: []string{}, Client: c.cfg.ClientURL, Version: c.cfg.Version, Stopped: true})
	if err != nil {
		c.tel.Log.Debug("farewell not stored", "error", err)
	}
}

// waitNodes blocks until the ingress of every live node has loaded revision
// rev of the registry and has the tenant's door open; Unavailable, naming those that have not, when ctx ends.
func (c *Control) waitNodes(ctx context.Context, id event.Tenant, rev uint64) error {
	for {
		_, changed := c.reg.Status.Revision()
		var behind []string
		live := c.reg.LiveNodes()
		for _, n := range live {
			if n.Revision < rev || slices.Contains(n.Closed, string(id)) {
				behind = append(behind, n.Name)
			}
		}
		if len(live) > 0 && len(behind) == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-time.After(time.Second): // a node may have stopped being live
		case <-ctx.Done():
			return fault.WithHint(fault.New(fault.Unavailable, "stored as revision %d, but not loaded yet by %v", rev, behind),
				"repeat the command; see: midplane status")
		}
	}
}

// doorsWithin is how long a starting node waits for doors that do not open.
const doorsWithin = 5 * time.Second

// Ready waits until this node's services answer and its doors are as the
// registry says.
func (c *Control) Ready(ctx context.Context) error {
	rev, _ := c.reg.Config.Revision()
	began := time.Now()
	for {
		// A door that failed is tried again within a second; one that cannot be
		// opened is that tenant's trouble and keeps the node from nobody else.
		loaded, closed, _ := c.cfg.Doors.Loaded()
		if loaded >= rev && (len(closed) == 0 || time.Since(began) > doorsWithin) {
			if p, seen, ok := registry.Get[registry.Presence](c.reg, registry.NodeKey(c.cfg.Node)); ok && p.Revision >= rev && time.Since(seen) < registry.Live {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fault.Wrap(fault.Unavailable, ctx.Err(), "node %s: control plane", c.cfg.Node)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
