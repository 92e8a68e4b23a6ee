package index

import (
	"hash/maphash"
	"time"

	"midplane/event"
	"midplane/primary/fold"
)

// Row is a device as the database has it.
type Row struct {
	Tenant event.Tenant
	fold.DeviceKey
	Facets
	Message     string
	Since       time.Time
	Description string
}

// Load takes a device from the database. What is loaded has not changed.
func (x *Index) Load(r Row) {
	x.mu.Lock()
	defer x.mu.Unlock()
	d := x.tenant(r.Tenant).add(r.DeviceKey)
	var more details
	if r.Reached {
		more.reach = hashReach(x.seed, r.Message, r.Since)
	}
	if r.Described {
		more.inventory = maphash.String(x.seed, r.Description)
	}
	d.put(r.Facets, more)
}

// LoadCheck takes what counts of a check from the database.
func (x *Index) LoadCheck(id event.Tenant, site event.Site, entity event.Entity, data []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.tenant(id).check(site, entity, data)
}
