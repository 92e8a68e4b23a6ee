package fold

import (
	"encoding/json"
	"strings"
	"time"

	"midplane/event"
)

// DeviceKey names a device within a tenant.
type DeviceKey struct {
	Site   event.Site
	Device event.Entity
}

// Facets is what a batch learned of a device. Each facet comes from one type
// of state and stands by itself, so that they may arrive in any order. A nil
// facet is unchanged.
type Facets struct {
	Seen         time.Time // of the newest message about it or its parts; zero = none
	Declared     *event.Declared
	Reachability *Reach
	Inventory    *event.Inventory // without components: they stay in the state
}

// Reach is the reachability facet.
type Reach struct {
	event.Reachability
	Since    time.Time
	Producer event.Producer
}

func (ch *Changes) device(key DeviceKey) *Facets {
	f := ch.Devices[key]
	if f == nil {
		f = &Facets{}
		ch.Devices[key] = f
	}
	return f
}

// seen notes that the device that m is about was seen. What the control plane
// declares, and what the system reports about itself, is no sighting.
func (ch *Changes) seen(m *Message) {
	if m.Type == event.TypeDeclared || isLedger(m.Type) || m.Type == event.TypeOverflow || strings.HasPrefix(string(m.Producer), event.SystemPrefix) {
		return
	}
	f := ch.device(DeviceKey{m.Site, m.Entity.Device()})
	if at := m.Made(); at.After(f.Seen) {
		f.Seen = at
	}
}

// facet sets the facet of the device that the winning version of a fact is. A
// payload that does not decode (its schema was not enforced) changes nothing.
func (ch *Changes) facet(key StateKey, lane Lane, v *Version) {
	dev := DeviceKey{key.Site, key.Entity}
	switch key.Type {
	case event.TypeDeclared:
		var d event.Declared
		if json.Unmarshal(v.Data, &d) == nil {
			ch.device(dev).Declared = &d
		}
	case event.TypeReachability:
		r := Reach{Since: v.Since, Producer: lane.Producer}
		if json.Unmarshal(v.Data, &r.Reachability) == nil {
			ch.device(dev).Reachability = &r
		}
	case event.TypeInventory:
		var i event.Inventory
		if json.Unmarshal(v.Data, &i) == nil {
			i.Components = nil
			ch.device(dev).Inventory = &i
		}
	}
}
