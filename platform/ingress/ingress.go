// Package ingress is the only door into a tenant's streams. In each tenant's
// account every node subscribes in.> and takes only what arrives at itself;
// package admit decides; what is let in goes on with the producer's own reply
// subject, so that the stream's PubAck goes straight back and the ingress keeps
// no state. What is refused is answered with a PubAck whose error says why. It
// knows the broker by the few questions of Broker.
package ingress

import (
	"context"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/pulse"
	"midplane/platform/registry"
	"midplane/telemetry"
)

// Broker is what the ingress needs of the embedded server.
type Broker interface {
	// Interest reports whether there is a listener on subj in the account.
	Interest(accountKey, subj string) bool
	// Apply gives the server an account's JWT and reads it back.
	Apply(accountKey, token string) error
	// Runs reports an error unless the server runs the account with exactly this JWT.
	Runs(accountKey, token string) error
	// Store is what this node may store on its disk, and what it does.
	Store() api.Store
	// KickUser closes a user's connections to this node.
	KickUser(accountKey, userKey string)
	// KickClients closes all connections to this node of clients of an account, and
	// returns how many.
	KickClients(accountKey string) int
}

// Config is what the ingress is given.
type Config struct {
	Broker   Broker
	Registry *registry.Registry
	// Connect opens an in-process connection as midplane-ingress of a tenant.
	Connect func(t *registry.Tenant) (*nats.Conn, error)
	// StateHas reports whether STATE of a tenant holds a subject.
	StateHas func(ctx context.Context, t event.Tenant, storedSubject string) (bool, error)
	// Measure returns how many bytes each stream of a tenant holds.
	Measure func(ctx context.Context, t event.Tenant) (Measured, error)
	// Pulse is that of this process; the ingress has it beat. nil: none is watched.
	Pulse *pulse.Pulse
}

// Ingress holds this node's doors.
type Ingress struct {
	cfg         Config
	tel         telemetry.Telemetry
	instruments *instruments

	mu     sync.Mutex
	doors  map[event.Tenant]*door
	loaded map[event.Tenant]uint64 // revision of the tenant that its door runs with
	// applied are the JWTs that our server runs accounts with, by account key. Most
	// changes of a tenant change none, and applying one takes milliseconds.
	applied map[string]string
	rev     uint64
	closed  []string
	shut    bool // the last door that was tried could not be opened at our own server
	notify  chan struct{}

	excluded exclusions
	stores   stores
	stops    atomic.Uint64 // how often this process stood still
}

// New returns an Ingress; Run opens its doors.
func New(cfg Config, tel telemetry.Telemetry) (*Ingress, error) {
	i := &Ingress{cfg: cfg, tel: tel, doors: map[event.Tenant]*door{}, loaded: map[event.Tenant]uint64{}, applied: map[string]string{}, notify: make(chan struct{}, 1)}
	i.stores.here = cfg.Broker.Store
	var err error
	i.instruments, err = newInstruments(tel, i.each)
	return i, err
}

func (i *Ingress) each(f func(*door)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, d := range i.doors {
		f(d)
	}
}

// Run keeps the doors as the registry has them until ctx ends.
func (i *Ingress) Run(ctx context.Context) error {
	defer i.closeAll()
	var watch sync.WaitGroup
	defer watch.Wait()
	watch.Go(func() { i.watch(ctx) })
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	nodes := 0
	for {
		_, changed := i.cfg.Registry.Config.Revision()
		nodesLive := i.cfg.Registry.LiveNodes()
		i.stores.others(nodesLive)
		live := max(len(nodesLive), 1)
		i.sync(ctx, i.cfg.Registry.View(), live, live != nodes)
		nodes = live
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-tick.C:
			i.countDropped()
		}
	}
}

// sync brings every tenant to the view. Eight at a time: opening one waits for
// the server. A tenant that fails is tried again at the next tick.
func (i *Ingress) sync(ctx context.Context, view *registry.View, live int, resize bool) {
	if i.cfg.Pulse.Stopped(time.Now()) {
		return // nothing opens before what waits is gone
	}
	var g errgroup.Group
	g.SetLimit(8)
	var mu sync.Mutex
	var closed []string
	for _, t := range view.Tenants {
		if t.Account.JWT == "" && (t.Problem == "" || t.AccountRevision == 0) {
			continue // not made yet; one that cannot be read closes its door
		}
		i.mu.Lock()
		done := i.loaded[t.ID] == t.Revision
		i.mu.Unlock()
		if done && !resize {
			continue
		}
		g.Go(func() error {
			if err := i.tenant(t, live); err != nil && ctx.Err() == nil {
				i.tel.Log.Warn("door stays closed", "tenant", t.ID, "error", err)
				mu.Lock()
				closed = append(closed, string(t.ID))
				mu.Unlock()
			}
			return nil
		})
	}
	_ = g.Wait() // every error is in closed
	i.mu.Lock()
	for id, d := range i.doors {
		if d.outage.long(d.connected(), time.Now()) && !slices.Contains(closed, string(id)) {
			closed = append(closed, string(id))
		}
	}
	sort.Strings(closed)
	moved := i.rev != view.Revision || !slices.Equal(closed, i.closed)
	i.rev, i.closed = view.Revision, closed
	i.mu.Unlock()
	if moved {
		select {
		case i.notify <- struct{}{}:
		default:
		}
	}
}

// tenant applies the account's JWTs to the server, and then its door follows.
func (i *Ingress) tenant(t *registry.Tenant, live int) error {
	for key, token := range t.Account.Former {
		if err := i.apply(key, token); err != nil {
			return err
		}
	}
	if t.Account.JWT != "" {
		if err := i.apply(t.Account.Key, t.Account.JWT); err != nil {
			return err
		}
	}
	stops := i.stops.Load()
	if err := i.follow(t, live); err != nil {
		return err
	}
	if t.Spec != nil && t.Problem != "" {
		return fault.New(fault.Other, "%s", t.Problem)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.stops.Load() == stops { // else the door forwards nothing: it is made again
		i.loaded[t.ID] = t.Revision
	}
	return nil
}

// apply gives our server an account's JWT, once; afterwards it makes sure that the
// server still runs the account with it.
func (i *Ingress) apply(accountKey, token string) error {
	i.mu.Lock()
	done := i.applied[accountKey] == token
	i.mu.Unlock()
	if done {
		return i.cfg.Broker.Runs(accountKey, token)
	}
	if err := i.cfg.Broker.Apply(accountKey, token); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.applied[accountKey] = token
	return nil
}

// follow opens, changes or closes a tenant's door.
func (i *Ingress) follow(t *registry.Tenant, live int) error {
	i.mu.Lock()
	d := i.doors[t.ID]
	i.mu.Unlock()
	stays := d != nil && t.Open() && d.account == t.Account.Key && d.born == i.stops.Load()
	switch {
	case stays && d.fits(t):
		d.follow(t, live)
		return nil
	case stays:
		next, err := i.swap(d, t, live)
		if next == nil {
			return err // d goes on
		}
		if err != nil {
			i.put(t.ID, nil)
			return err
		}
		i.put(t.ID, next)
		return nil
	case d != nil:
		d.close()
		i.put(t.ID, nil)
	}
	if !t.Open() {
		return nil
	}
	d, err := i.newDoor(t, live)
	i.mu.Lock()
	i.shut = err != nil
	i.mu.Unlock()
	if err == nil {
		i.put(t.ID, d)
	}
	return err
}

// put takes in a tenant's door; nil: it has none.
func (i *Ingress) put(id event.Tenant, d *door) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if d == nil {
		delete(i.doors, id)
		return
	}
	i.doors[id] = d
}

// countDropped counts what did not fit into the doors' queues.
func (i *Ingress) countDropped() {
	i.mu.Lock()
	doors := make([]*door, 0, len(i.doors))
	for _, d := range i.doors {
		doors = append(doors, d)
	}
	i.mu.Unlock()
	for _, d := range doors {
		if n, err := d.sub.Dropped(); err == nil && n > 0 {
			d.counts.mu.Lock()
			d.counts.drops["pending"] = uint64(n)
			d.counts.mu.Unlock()
		}
	}
}

func (i *Ingress) closeAll() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for id, d := range i.doors {
		d.close()
		delete(i.doors, id)
	}
}

// Loaded returns the registry's revision that the doors run with, the tenants
// whose door is not open though it should be, and of how many customers it is.
func (i *Ingress) Loaded() (revision uint64, closed []string, open int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for id := range i.doors {
		if !id.OfSystem() && !slices.Contains(i.closed, string(id)) {
			open++
		}
	}
	return i.rev, append([]string{}, i.closed...), open
}

// Shut reports whether no door is open because this node's own server lets
// none be opened: the node serves no clients.
func (i *Ingress) Shut() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.shut && len(i.doors) == 0
}

// Moved is signalled when Loaded changes.
func (i *Ingress) Moved() <-chan struct{} { return i.notify }
