package status

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/wait"
	"midplane/platform/registry"
)

// Doors is what a presence asks of its own node's doors.
type Doors interface {
	Loaded() (revision uint64, closed []string, open int)
	Moved() <-chan struct{}
	// Held returns the producers that this node's doors hold back.
	Held() []api.HeldProducer
}

// PresenceConfig is what a Presence is given.
type PresenceConfig struct {
	Node, Client string // Client is the URL of this node, as clients reach it
	Understands  api.Understands
	Registry     *registry.Registry
	Server       Server
	Doors        Doors
	Replicas     *Replicas
	Clients      func() int   // connections of users to this node
	Unrecorded   func() int64 // acts that are missing in the audit log
	Probe        func() *api.Probe
	Stuck        func() []api.StuckStream // streams that this node leads and that get no further
	// Certificates returns what is wrong with this node's certificates, "" when
	// nothing is; nil without TLS.
	Certificates func() string
	Log          *slog.Logger
}

// Presence is that this node is there, as all nodes see it.
type Presence struct{ cfg PresenceConfig }

// NewPresence returns a Presence; Run stores it.
func NewPresence(cfg PresenceConfig) *Presence { return &Presence{cfg: cfg} }

// Run stores every second, and when the doors moved, that this node is live and
// what it has loaded, until ctx ends.
func (p *Presence) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var certs certificates
	var store *api.Store
	started := time.Now().UTC()
	need, _ := p.cfg.Registry.Config.Revision()
	for {
		rev, closed, open := p.cfg.Doors.Loaded()
		if s := p.cfg.Server.Store(); s.Limit > 0 {
			store = &s
		}
		meta, unrecorded := p.cfg.Server.Meta(), p.cfg.Unrecorded()
		// A node that has just started counts once its doors know what the registry says:
		// before, every tenant would be shown as missing on it.
		if rev >= need || time.Since(started) > doorsWithin {
			p.store(ctx, 2*time.Second, registry.Presence{
				Name: p.cfg.Node, Revision: rev, Closed: closed, Tenants: open, Client: p.cfg.Client, Version: p.cfg.Understands.Version,
				Problem: cmp.Or(meta.Problem, api.Unrecorded(unrecorded)), Unrecorded: unrecorded,
				Certificates: p.certificates(&certs), Held: p.cfg.Doors.Held(),
				Types: p.cfg.Understands.Types, Formats: p.cfg.Understands.Formats, Store: store,
				Behind: p.cfg.Replicas.Behind(), Leads: p.cfg.Replicas.Leads(), Clients: p.cfg.Clients(), Started: &started, Probe: p.cfg.Probe(),
				Stuck: p.cfg.Stuck(), OutOfStorage: meta.Disabled,
			})
		}
		select {
		case <-ctx.Done():
			p.farewell(ctx, store)
			return nil
		case <-tick.C:
		case <-p.cfg.Doors.Moved():
		}
	}
}

// farewell stores that this node stops, so that the others do not wait for it, and
// what it has on disk.
func (p *Presence) farewell(ctx context.Context, store *api.Store) {
	p.store(context.WithoutCancel(ctx), time.Second, registry.Presence{
		Name: p.cfg.Node, Closed: []string{}, Client: p.cfg.Client, Stopped: true, Store: store, OutOfStorage: p.cfg.Server.Meta().Disabled,
		Version: p.cfg.Understands.Version, Types: p.cfg.Understands.Types, Formats: p.cfg.Understands.Formats,
	})
}

// store stores what this node reports of itself. What fails is stored again a second later.
func (p *Presence) store(ctx context.Context, within time.Duration, says registry.Presence) {
	pctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if _, err := p.cfg.Registry.PutStatus(pctx, registry.NodeKey(p.cfg.Node), says); err != nil && ctx.Err() == nil {
		p.cfg.Log.Debug("presence not stored", "stopped", says.Stopped, "error", err)
	}
}

// doorsWithin is how long a starting node waits for doors that do not open.
const doorsWithin = 5 * time.Second

// Ready waits until this node's services answer and its doors are as the
// registry says.
func (p *Presence) Ready(ctx context.Context) error {
	rev, _ := p.cfg.Registry.Config.Revision()
	began := time.Now()
	for {
		// A door that failed is tried again within a second; one that cannot be
		// opened is that tenant's trouble and keeps the node from no other tenant.
		loaded, closed, _ := p.cfg.Doors.Loaded()
		if loaded >= rev && (len(closed) == 0 || time.Since(began) > doorsWithin) {
			if p, seen, ok := registry.Get[registry.Presence](p.cfg.Registry, registry.NodeKey(p.cfg.Node)); ok && p.Revision >= rev && time.Since(seen) < registry.Live {
				return nil
			}
		}
		if wait.For(ctx, 20*time.Millisecond) != nil {
			return fault.Wrap(fault.Unavailable, ctx.Err(), "node %s: control plane", p.cfg.Node)
		}
	}
}
