// Package ingress is the only door into a tenant's streams. In each tenant's
// account every node subscribes in.> and takes only what arrives at itself;
// Admit (check.go, pure) decides; what is let in goes on with the producer's
// own reply subject, so that the stream's PubAck goes straight back and the
// ingress keeps no state. What is refused is answered with a PubAck whose
// error says why. It knows the broker by the few questions of Broker.
package ingress

import (
	"context"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/registry"
	"midplane/telemetry"
	"midplane/tenants"
	"midplane/tenants/account"
)

// Broker is what the ingress needs of the embedded server.
type Broker interface {
	// Interest reports whether anybody listens on subj in the account.
	Interest(accountKey, subj string) bool
	// Apply gives the server an account's JWT and reads it back.
	Apply(accountKey, token string) error
	// KickUser closes a user's connections to this node.
	KickUser(accountKey, userKey string)
}

// Config is what the ingress is given.
type Config struct {
	Broker   Broker
	Registry *registry.Registry
	// Connect opens an in-process connection as midplane-ingress of a tenant.
	Connect func(t *registry.Tenant) (*nats.Conn, error)
	// StateHas reports whether STATE of a tenant holds a subject.
	StateHas func(ctx context.Context, t event.Tenant, storedSubject string) (bool, error)
	// StateFill returns the bytes STATE of an account uses and may use.
	StateFill func(accountKey string) (used, limit uint64)
}

// Ingress holds this node's doors.
type Ingress struct {
	cfg         Config
	tel         telemetry.Telemetry
	instruments *instruments

	mu     sync.Mutex
	doors  map[event.Tenant]*door
	loaded map[event.Tenant]uint64 // revision of the tenant that its door runs with
	rev    uint64
	closed []string
	shut   bool // the last door that was tried could not be opened at our own server
	notify chan struct{}

	outlaws outlaws
}

// New returns an Ingress; Run opens its doors.
func New(cfg Config, tel telemetry.Telemetry) (*Ingress, error) {
	i := &Ingress{cfg: cfg, tel: tel, doors: map[event.Tenant]*door{}, loaded: map[event.Tenant]uint64{}, notify: make(chan struct{}, 1)}
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

// Run keeps the doors as the registry says until ctx ends.
func (i *Ingress) Run(ctx context.Context) error {
	defer i.closeAll()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	nodes := 0
	for {
		_, changed := i.cfg.Registry.Config.Revision()
		live := max(len(i.cfg.Registry.LiveNodes()), 1)
		i.sync(ctx, i.cfg.Registry.View(), live, live != nodes)
		nodes = live
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-tick.C:
			i.measure()
		}
	}
}

// sync brings every tenant to the view. Eight at a time: opening one waits for
// the server. A tenant that fails is tried again at the next tick.
func (i *Ingress) sync(ctx context.Context, view *registry.View, live int, resize bool) {
	var g errgroup.Group
	g.SetLimit(8)
	var mu sync.Mutex
	var closed []string
	for _, t := range view.Tenants {
		if t.Account.JWT == "" {
			continue // not made yet
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

// tenant applies the account's JWT to the server and opens, changes or closes the door.
func (i *Ingress) tenant(t *registry.Tenant, live int) error {
	for key, token := range t.Account.Former {
		if err := i.cfg.Broker.Apply(key, token); err != nil {
			return err
		}
	}
	if err := i.cfg.Broker.Apply(t.Account.Key, t.Account.JWT); err != nil {
		return err
	}
	i.mu.Lock()
	d := i.doors[t.ID]
	i.mu.Unlock()
	if d != nil && t.Open() && d.account == t.Account.Key && !d.fits(t) {
		next, err := i.swap(d, t, live)
		if next == nil {
			return err // d goes on
		}
		i.mu.Lock()
		i.doors[t.ID] = next
		if err != nil {
			delete(i.doors, t.ID)
		}
		i.mu.Unlock()
		if err != nil {
			return err
		}
		d = next
	}
	if d != nil && (!t.Open() || d.account != t.Account.Key) {
		d.close()
		d = nil
		i.mu.Lock()
		delete(i.doors, t.ID)
		i.mu.Unlock()
	}
	if t.Open() {
		if d == nil {
			var err error
			d, err = i.newDoor(t, live)
			i.mu.Lock()
			i.shut = err != nil
			i.mu.Unlock()
			if err != nil {
				return err
			}
		} else {
			d.limit.set(t.Spec.Quota, live)
			d.room.set(uint64(t.Spec.Limits().MaxBytes(event.KindState)), live)
			snap := snapshotOf(t)
			d.snapshot.Store(snap)
			d.limit.keep(snap.Users)
		}
	}
	if t.Spec != nil && t.Problem != "" {
		return fault.New(fault.Other, "%s", t.Problem)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if d != nil {
		i.doors[t.ID] = d
	}
	i.loaded[t.ID] = t.Revision
	return nil
}

func (i *Ingress) newDoor(t *registry.Tenant, live int) (*door, error) {
	d, err := i.makeDoor(t, live)
	if err != nil {
		return nil, err
	}
	if err := d.open(); err != nil {
		d.nc.Close()
		return nil, err
	}
	return d, nil
}

// makeDoor connects; nobody comes in yet.
func (i *Ingress) makeDoor(t *registry.Tenant, live int) (*door, error) {
	nc, err := i.cfg.Connect(t)
	if err != nil {
		return nil, err
	}
	id := t.ID
	d := &door{tenant: id, account: t.Account.Key, key: t.Keys.Roles[account.RoleIngress], nc: nc, connected: nc.IsConnected, outlaws: &i.outlaws, broker: i.cfg.Broker, tel: i.tel, dead: newDeadLetters(nc),
		room: &headroom{known: func(ctx context.Context, subj string) (bool, error) { return i.cfg.StateHas(ctx, id, subj) }}}
	d.counts.latency, d.counts.attrs = i.instruments.latency, attributes(id)
	d.counts.refusals, d.counts.drops = map[string]uint64{}, map[string]uint64{}
	d.limit.set(t.Spec.Quota, live)
	d.room.set(uint64(t.Spec.Limits().MaxBytes(event.KindState)), live)
	d.snapshot.Store(snapshotOf(t))
	return d, nil
}

func snapshotOf(t *registry.Tenant) *Snapshot {
	s := &Snapshot{Tenant: t.ID, Schemas: t.Schemas, Capability: t.Capability, Warn: t.Spec.Policy == tenants.PolicyWarn, MaxMessage: int(t.Spec.Quota.MessageSize),
		Users: make(map[string]User, len(t.Users))}
	for name, u := range t.Users {
		if !u.Live() {
			continue
		}
		s.Users[name] = User{Role: u.Role, Site: t.SiteOf(name), Key: u.PublicKey}
	}
	return s
}

// measure looks how full STATE is, everywhere.
func (i *Ingress) measure() {
	i.mu.Lock()
	doors := make([]*door, 0, len(i.doors))
	for _, d := range i.doors {
		doors = append(doors, d)
	}
	i.mu.Unlock()
	for _, d := range doors {
		d.room.fill(i.cfg.StateFill(d.account))
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
// whose door is not open though it should be, and how many are.
func (i *Ingress) Loaded() (revision uint64, closed []string, open int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	open = len(i.doors)
	for id := range i.doors {
		if slices.Contains(i.closed, string(id)) {
			open--
		}
	}
	return i.rev, append([]string{}, i.closed...), open
}

// Shut reports whether no door is open because this node's own server lets
// none be opened: the node serves nobody.
func (i *Ingress) Shut() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.shut && len(i.doors) == 0
}

// Moved is signalled when Loaded changes.
func (i *Ingress) Moved() <-chan struct{} { return i.notify }
