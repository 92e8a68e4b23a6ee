package ingress

import (
	"cmp"
	"slices"
	"time"

	"midplane/api"
	"midplane/event"
)

// How many producers a node names, and of one tenant: its presence is small, and
// one tenant must not hide the others.
const (
	maxHeld       = 32
	maxHeldTenant = 8
)

// Held returns the producers that this node's doors hold back or shut out, those
// first that were refused most.
func (i *Ingress) Held() []api.HeldProducer {
	now := time.Now()
	var out []api.HeldProducer
	i.each(func(d *door) {
		users := d.snapshot.Load().Users
		for p, h := range d.limit.held(now) {
			out = append(out, api.HeldProducer{Tenant: d.tenant, Producer: p, Held: h, ShutOut: d.excluded.until(users[string(p)].Key, now)})
		}
	})
	slices.SortFunc(out, func(a, b api.HeldProducer) int {
		return cmp.Or(cmp.Compare(b.Refused, a.Refused), cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Producer, b.Producer))
	})
	of := map[event.Tenant]int{}
	out = slices.DeleteFunc(out, func(h api.HeldProducer) bool {
		of[h.Tenant]++
		return of[h.Tenant] > maxHeldTenant
	})
	return out[:min(len(out), maxHeld)]
}
