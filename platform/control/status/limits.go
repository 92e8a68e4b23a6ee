package status

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/service"
	"midplane/platform/registry"
	"midplane/tenants/account"
)

// Loads asks the live nodes what they see of tenants' limits.
type Loads interface {
	// Everywhere returns what they answer, and the names of those that do not.
	Everywhere(ctx context.Context, tenants []event.Tenant) (loads []api.NodeLoad, silent []string, err error)
}

// Limits lists limits with what is used of them. Nodes are asked about the
// tenants of one page only, so that each answer fits into one message; a page may
// be shorter than was asked for.
func (s *Status) Limits(ctx context.Context, _ string, req api.ListRequest) (any, error) {
	if err := service.CheckPage(&req); err != nil {
		return nil, err
	}
	asked, more, err := s.limitsOf(req)
	if err != nil || len(asked) == 0 {
		return api.Page[api.Limit]{Items: []api.Limit{}}, err
	}
	ids := make([]event.Tenant, len(asked))
	for i, a := range asked {
		ids[i] = a.tenant.ID
	}
	loads, silent, err := s.cfg.Loads.Everywhere(ctx, ids)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "what is used of the limits")
	}
	var rows []service.Row[api.Limit]
	for _, a := range asked {
		f := s.limitFacts(a, loads, silent)
		for _, l := range f.rows(req.Producer == "") {
			rows = append(rows, service.RowOf(limitKey(l), l))
		}
	}
	page := service.PageOf(rows, req)
	if page.Next == "" && more {
		page.Next = rows[len(rows)-1].Key // PageOf has sorted them
	}
	return page, nil
}

// limitKey is what pages of limits go by.
func limitKey(l api.Limit) string { return l.Tenant + "/" + l.Producer + "/" + l.Limit }

// limitsAsked is a tenant of a page, and its producers.
type limitsAsked struct {
	tenant    *registry.Tenant
	producers []event.Producer
}

// limitsOf returns the tenants whose limits fill the page, and whether there are
// more after them.
func (s *Status) limitsOf(req api.ListRequest) (out []limitsAsked, more bool, err error) {
	first, _, _ := strings.Cut(req.After, "/")
	var all []limitsAsked
	err = service.Each(s.cfg.Registry.View(), req, func(t *registry.Tenant) {
		a := limitsAsked{t, producersOf(t, event.Producer(req.Producer))}
		if string(t.ID)+"/" >= first+"/" && (req.Producer == "" || len(a.producers) > 0) {
			all = append(all, a)
		}
	})
	// By the keys of their rows, where a slash follows the name.
	slices.SortFunc(all, func(a, b limitsAsked) int {
		return cmp.Compare(string(a.tenant.ID)+"/", string(b.tenant.ID)+"/")
	})
	rows := 0
	for i, a := range all {
		if rows > req.Limit && string(all[i-1].tenant.ID) != first { // of the first one, the page may show nothing
			return all[:i], true, err
		}
		rows += len(tenantLimits) + len(producerLimits)*len(a.producers)
	}
	return all, false, err
}

// producersOf returns the users of a tenant that may publish; only is one of them, ""
// for all.
func producersOf(t *registry.Tenant, only event.Producer) (out []event.Producer) {
	for name, u := range t.Users {
		publishes := u.Role == account.RolePoller || u.Role == account.RoleProducer || u.Role == account.RoleApp || u.Role == account.RoleInspector
		if publishes && u.Live() && (only == "" || only == event.Producer(name)) {
			out = append(out, event.Producer(name))
		}
	}
	slices.Sort(out)
	return out
}

// limitFacts is what is known of a tenant's limits.
func (s *Status) limitFacts(a limitsAsked, loads []api.NodeLoad, silent []string) limitFacts {
	t := a.tenant
	pollers := t.Pollers()
	f := limitFacts{
		Tenant: t.ID, Quota: t.Spec.Quota, Producers: a.producers, Silent: silent,
		Share: t.Spec.Pace(len(s.cfg.Registry.LiveNodes()), len(pollers)).Share,
	}
	for _, site := range t.Spec.Sites {
		f.Devices += len(site.Devices)
	}
	spec, _ := s.cfg.Registry.Specs.Stored(t.ID)
	f.SpecBytes = int64(len(spec))
	var held []api.HeldProducer
	for _, node := range loads {
		load := node.Tenants[t.ID]
		f.Loads = append(f.Loads, load)
		for p, l := range load.Producers {
			if l.Held != nil {
				held = append(held, api.HeldProducer{Tenant: t.ID, Producer: p, Held: *l.Held, ShutOut: l.ShutOut})
			}
		}
	}
	for name, n := range s.cfg.Registry.Nodes() { // what such a node reports all the time
		if slices.Contains(silent, name) {
			for _, h := range n.Value.Held {
				if h.Tenant == t.ID {
					held = append(held, h)
				}
			}
		}
	}
	f.Held = s.held(t, pollers, held)
	return f
}
