// Package index keeps in memory what devices are found by and counted by: their
// names, their status, their poller, which checks are not ok, and in which order
// devices changed. A list looks here for what it shows, and reads only that from
// the database.
//
// It is made from the database when that is opened, and follows each transaction
// that was committed. Nothing of it is kept on disk: an older version of the
// program may write the database in between. It may import api, fold and store,
// and opens nothing.
package index

import (
	"crypto/rand"
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"midplane/api"
	"midplane/event"
	"midplane/primary/fold"
)

// Index is what is known of all tenants. It may be used by many at once.
type Index struct {
	id   string // in positions: this index, and no other
	seed maphash.Seed

	mu      sync.RWMutex
	n       uint64 // of the newest change
	tenants map[event.Tenant]*tenant
}

// tenant is what is known of one. Removed devices stay, so that it is known when
// they were.
type tenant struct {
	name    string
	deleted bool
	floor   uint64 // changes up to this one are not known
	devices map[fold.DeviceKey]*device
	sorted  []*device           // by site and id
	newest  *device             // the last that changed; those before follow by device.older
	checks  map[checkKey]string // status of the checks that are not ok
	sites   map[event.Site]bool
}

// checkKey names a check of a tenant.
type checkKey struct {
	site   event.Site
	entity event.Entity
}

// device is what one is found by.
type device struct {
	site, id     string
	facets       Facets
	details      details
	status       string // as rows show it
	poller       string
	text         string // that is searched
	changed      uint64
	older, newer *device
}

// details are hashes of what rows show and nothing is found by.
type details struct{ reach, inventory uint64 }

// New returns an empty index.
func New() *Index {
	return &Index{id: rand.Text()[:16], seed: maphash.MakeSeed(), tenants: map[event.Tenant]*tenant{}}
}

// Apply takes what a committed transaction changed.
func (x *Index) Apply(id event.Tenant, known *fold.Known, ch *fold.Changes) {
	x.mu.Lock()
	defer x.mu.Unlock()
	t := x.tenant(id)
	if t.deleted {
		return
	}
	for key, f := range ch.Devices {
		if f.Declared != nil || f.Reachability != nil || f.Inventory != nil {
			x.learn(t, key, f)
		}
	}
	for key := range ch.Parts {
		if d := t.devices[key]; d != nil {
			x.touch(t, d)
		}
	}
	for key, lane := range ch.Winners {
		if key.Type == event.TypeCheck {
			t.check(key.Site, key.Entity, known.States[key].By[lane].Data)
		}
	}
}

// Tenant takes that a tenant is read or was deleted. With wiped, nothing that was
// known of it holds.
func (x *Index) Tenant(id event.Tenant, deleted, wiped bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	t := x.tenant(id)
	if deleted != t.deleted || wiped {
		x.n++
		*t = *newTenant(id)
		t.deleted, t.floor = deleted, x.n
	}
}

func newTenant(id event.Tenant) *tenant {
	return &tenant{name: string(id), devices: map[fold.DeviceKey]*device{}, checks: map[checkKey]string{}, sites: map[event.Site]bool{}}
}

func (x *Index) tenant(id event.Tenant) *tenant {
	t := x.tenants[id]
	if t == nil {
		t = newTenant(id)
		x.tenants[id] = t
	}
	return t
}

// learn takes new facets of a device.
func (x *Index) learn(t *tenant, key fold.DeviceKey, f *fold.Facets) {
	d := t.devices[key]
	isNew := d == nil
	if isNew {
		d = t.add(key)
	}
	facets, details := d.facets, d.details
	facets.take(f)
	details.take(x.seed, f)
	if isNew || facets != d.facets || details != d.details {
		d.put(facets, details)
		x.touch(t, d)
	}
}

func (t *tenant) add(key fold.DeviceKey) *device {
	d := &device{site: string(key.Site), id: string(key.Device)}
	t.devices[key] = d
	t.sites[key.Site] = true
	at, _ := slices.BinarySearchFunc(t.sorted, d, byKey)
	t.sorted = slices.Insert(t.sorted, at, d)
	return d
}

func byKey(a, b *device) int {
	if c := strings.Compare(a.site, b.site); c != 0 {
		return c
	}
	return strings.Compare(a.id, b.id)
}

func (d *device) put(f Facets, more details) {
	d.facets, d.details = f, more
	d.status, d.poller = f.StatusNow(), f.PollerNow()
	d.text = api.SearchText(d.id, f.NameNow(d.id), f.AddressNow())
}

// touch makes a device the last that changed.
func (x *Index) touch(t *tenant, d *device) {
	x.n++
	d.changed = x.n
	if t.newest == d {
		return
	}
	if d.older != nil {
		d.older.newer = d.newer
	}
	if d.newer != nil {
		d.newer.older = d.older
	}
	d.older, d.newer = t.newest, nil
	if t.newest != nil {
		t.newest.newer = d
	}
	t.newest = d
}
