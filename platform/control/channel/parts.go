package channel

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/registry"
	"midplane/tenants"
	"midplane/tenants/account"
)

// pieces remembers how the parts of pollers' configurations are named: what a
// poller has to do about a part of the spec follows from that part and from who
// shares the site's devices.
type pieces struct {
	mu sync.Mutex
	of map[string]named // by account and poller
}

type named struct {
	pollers []event.Producer
	names   map[string]string // by the part of the spec; "" when none of it is this poller's
}

// devices returns the poller's configuration: with its devices, or with the names
// of the parts that they are in.
func (c *Channel) devices(t *registry.Tenant, u registry.User, readsParts bool) (api.PollerConfig, error) {
	id := event.Producer(u.Name)
	site, declared := t.Spec.SiteOf(id)
	if !declared { // not, or no longer: nothing to do
		return api.PollerConfig{Tenant: t.ID, Site: u.Site, Poller: id}, nil
	}
	if t.PartNames != nil && readsParts {
		cfg := api.PollerConfig{Tenant: t.ID, Site: site.ID, Poller: id}
		names, err := c.names(t, site, id)
		for _, ref := range t.PartNames[site.ID] {
			if name := names[ref]; name != "" {
				cfg.Parts = append(cfg.Parts, name)
			}
		}
		return cfg, err
	}
	cfg, _ := t.Spec.PollerConfig(id) // declared
	return cfg, cfg.Fits()
}

// names returns the names of a poller's parts, by the parts of the spec. Only those
// of parts that are new are made.
func (c *Channel) names(t *registry.Tenant, site tenants.Site, id event.Producer) (map[string]string, error) {
	c.pieces.mu.Lock()
	was := c.pieces.of[t.Account.Key+string(id)]
	c.pieces.mu.Unlock()
	now := named{pollers: site.PollerIDs(), names: map[string]string{}}
	same := slices.Equal(was.pollers, now.pollers)
	for _, ref := range t.PartNames[site.ID] {
		if name, known := was.names[ref]; known && same {
			now.names[ref] = name
			continue
		}
		data, err := c.piece(t, site, id, ref)
		if err != nil {
			return nil, err
		}
		if now.names[ref] = ""; data != nil {
			now.names[ref] = api.PartName(data)
		}
	}
	c.pieces.mu.Lock()
	defer c.pieces.mu.Unlock()
	c.pieces.of[t.Account.Key+string(id)] = now
	return now.names, nil
}

// piece returns a part of a poller's configuration; nil when it has no device.
func (c *Channel) piece(t *registry.Tenant, site tenants.Site, id event.Producer, ref string) ([]byte, error) {
	p, err := c.cfg.Registry.Specs.Part(t.ID, ref)
	if err != nil {
		return nil, err
	}
	devices := site.Watched(id, p.Devices)
	if len(devices) == 0 {
		return nil, nil
	}
	data, err := json.Marshal(devices)
	return data, fault.Wrap(fault.Other, err, "encode a configuration")
}

// parts answers with parts of a poller's configuration.
func (c *Channel) parts(ctx context.Context, t *registry.Tenant, u registry.User, req api.ConfigParts) (any, error) {
	if u.Role != account.RolePoller {
		return nil, fault.New(fault.Denied, "role %s has no configuration", u.Role)
	}
	t, err := c.catchUp(ctx, t, req.Revision)
	if err != nil {
		return nil, err
	}
	site, _ := t.Spec.SiteOf(event.Producer(u.Name)) // without it there are no parts
	names, err := c.names(t, site, event.Producer(u.Name))
	if err != nil {
		return nil, err
	}
	refs := map[string]string{}
	for ref, name := range names {
		refs[name] = ref
	}
	return api.AnswerParts(req.Parts, func(name string) (json.RawMessage, error) {
		ref, ok := refs[name]
		if !ok || name == "" {
			return nil, fault.WithHint(fault.New(fault.NotFound, "the configuration of poller %s has no such part", u.Name), "it was changed in between: ask for it again")
		}
		return c.piece(t, site, event.Producer(u.Name), ref)
	})
}
