package ingress

import (
	"context"

	"midplane/event"
	"midplane/platform/ingress/admit"
	"midplane/platform/registry"
	"midplane/tenants"
	"midplane/tenants/account"
)

// newDoor opens a door of a tenant.
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

// makeDoor connects; no message comes in yet.
func (i *Ingress) makeDoor(t *registry.Tenant, live int) (*door, error) {
	born := i.stops.Load() // before it can take anything in
	nc, err := i.cfg.Connect(t)
	if err != nil {
		return nil, err
	}
	id := t.ID
	d := &door{tenant: id, account: t.Account.Key, key: t.Keys.Roles[account.RoleIngress], nc: nc, connected: nc.IsConnected, pulse: i.cfg.Pulse, stops: &i.stops, born: born,
		excluded: &i.excluded, broker: i.cfg.Broker, tel: i.tel, stores: &i.stores,
		room: &shares{
			measure: func(ctx context.Context) (Measured, error) { return i.cfg.Measure(ctx, id) },
			known:   func(ctx context.Context, subj string) (bool, error) { return i.cfg.StateHas(ctx, id, subj) },
		}}
	d.dead = newDeadLetters(nc, d.deadFits)
	d.counts.latency, d.counts.attrs = i.instruments.latency, attributes(id)
	d.counts.refusals, d.counts.drops = map[string]uint64{}, map[string]uint64{}
	d.follow(t, live)
	return d, nil
}

// follow takes over what the registry has of the tenant, and how many nodes
// share its rates.
func (d *door) follow(t *registry.Tenant, live int) {
	d.limit.set(t.Spec.Quota, live)
	d.room.set(t.Spec.Limits(), live)
	snap := snapshotOf(t)
	d.snapshot.Store(snap)
	d.limit.keep(snap.Users)
}

// snapshotOf is what a door decides by, out of the registry.
func snapshotOf(t *registry.Tenant) *admit.Snapshot {
	s := &admit.Snapshot{Tenant: t.ID, Schemas: t.Schemas, Capability: t.Capability, Warn: t.Spec.Policy == tenants.PolicyWarn, MaxMessage: int(t.Spec.Quota.MessageSize),
		Users: make(map[string]admit.User, len(t.Users))}
	if t.ID == event.ProbeTenant {
		s.Users[account.UserProbe] = admit.User{Role: account.RoleProducer, Site: event.NoSite} // each node makes a key
	}
	for name, u := range t.Users {
		if !u.Live() {
			continue
		}
		s.Users[name] = admit.User{Role: u.Role, Site: t.SiteOf(name), Key: u.PublicKey}
	}
	return s
}
