package status

import (
	"context"

	"midplane/api"
	"midplane/event"
	"midplane/platform/control/service"
	"midplane/platform/registry"
)

func (s *Status) tenantRow(t *registry.Tenant) api.Tenant {
	out := api.Tenant{ID: string(t.ID), Tenant: string(t.ID), Name: t.Spec.Name, Contact: t.Spec.Contact, Account: t.Account.Key,
		Policy: t.Spec.Policy, Sites: len(t.Spec.Sites), Revision: t.SpecRevision, Conditions: []api.Condition{}}
	for _, site := range t.Spec.Sites {
		out.Pollers += len(site.Pollers)
		out.Devices += len(site.Devices)
	}
	found, _, ok := registry.Get[registry.TenantStatus](s.cfg.Registry, registry.TenantKey(string(t.ID)))
	if !ok || found.Revision != t.SpecRevision {
		for _, typ := range []string{api.AccountPushed, api.StreamsReady, api.SchemasBound, api.IngressOpen, api.PrimaryReading} {
			out.Conditions = append(out.Conditions, api.Condition{Type: typ, Message: "the control plane has not looked yet"})
		}
		return out
	}
	out.Conditions, out.Ready = found.Conditions, true
	for _, cond := range found.Conditions {
		out.Ready = out.Ready && cond.OK
	}
	return out
}

// Tenants lists tenants.
func (s *Status) Tenants(_ context.Context, req api.ListRequest) (out []service.Row[api.Tenant], err error) {
	err = service.Each(s.cfg.Registry.View(), req, func(t *registry.Tenant) {
		out = append(out, service.RowOf(string(t.ID), s.tenantRow(t)))
	})
	return out, err
}

// Tenant is the row of one tenant; one that is being deleted has a condition only.
func (s *Status) Tenant(_ context.Context, _ string, req api.TenantRef) (any, error) {
	t, err := s.cfg.Registry.View().Declared(req.Tenant)
	if err == nil {
		return s.tenantRow(t), nil
	}
	if s.leaving(req.Tenant) {
		return api.Tenant{ID: req.Tenant, Tenant: req.Tenant, Conditions: []api.Condition{{Type: api.AccountPushed, Message: "the tenant is being deleted"}}}, nil
	}
	return nil, err
}

// leaving reports whether a tenant's spec is gone but not yet all the rest.
func (s *Status) leaving(id string) bool {
	t := s.cfg.Registry.View().Tenants[event.Tenant(id)]
	return t != nil && t.Leaving()
}
