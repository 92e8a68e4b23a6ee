package index

import (
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"time"

	"midplane/event"
	"midplane/primary/fold"
)

// Facets is what is known of a device, by who says so. Each facet comes from one
// type of state, and a row shows the first that has a value.
type Facets struct {
	Declared, Removed      bool   // what the tenant declares
	Name, Address, Poller  string // as declared
	Reached                bool   // what a poller found when it tried to reach the device
	Status, From, Producer string // From is the address that it was reached at
	Described              bool   // what the device says of itself
	SysName                string
}

// Shown reports whether it is a device, and not removed.
func (f *Facets) Shown() bool { return !f.Removed && (f.Declared || f.Reached || f.Described) }

// NameNow is the name of the device in rows.
func (f *Facets) NameNow(id string) string { return cmp.Or(f.Name, f.SysName, id) }

// AddressNow is its address in rows.
func (f *Facets) AddressNow() string { return cmp.Or(f.Address, f.From) }

// PollerNow is its poller in rows.
func (f *Facets) PollerNow() string { return cmp.Or(f.Poller, f.Producer) }

// StatusNow is its status in rows.
func (f *Facets) StatusNow() string {
	if f.Status == event.StatusUp || f.Status == event.StatusDown {
		return f.Status
	}
	return event.StatusUnknown
}

func (f *Facets) take(now *fold.Facets) {
	if d := now.Declared; d != nil {
		f.Declared, f.Removed, f.Name, f.Address, f.Poller = true, d.Removed, d.Name, d.Address, d.Poller
	}
	if r := now.Reachability; r != nil {
		f.Reached, f.Status, f.From, f.Producer = true, r.Status, r.Address, string(r.Producer)
	}
	if i := now.Inventory; i != nil {
		f.Described, f.SysName = true, i.Name
	}
}

func (d *details) take(seed maphash.Seed, now *fold.Facets) {
	if r := now.Reachability; r != nil {
		d.reach = hashReach(seed, r.Message, r.Since)
	}
	if i := now.Inventory; i != nil {
		d.inventory = maphash.String(seed, i.Description)
	}
}

func hashReach(seed maphash.Seed, message string, since time.Time) uint64 {
	return maphash.Bytes(seed, binary.BigEndian.AppendUint64([]byte(message), uint64(since.UnixNano())))
}
