package control

import (
	"context"
	"sort"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/registry"
	"midplane/tenants"
)

// adminVerbs is what operators may ask.
func (c *Control) adminVerbs() map[string]api.Handler {
	return map[string]api.Handler{
		api.TenantList:      list(c.tenantRows),
		api.SiteList:        list(c.siteRows),
		api.PollerList:      list(c.pollerRows),
		api.StreamList:      list(c.streamRows),
		api.SchemaList:      list(c.schemaRows),
		api.TenantSpec:      handler(c.tenantSpec),
		api.TenantPut:       handler(c.tenantPut),
		api.TenantStatus:    handler(c.tenantStatus),
		api.TenantDelete:    handler(c.tenantDelete),
		api.UserCreate:      handler(c.userCreate),
		api.TokenCreate:     handler(c.tokenCreate),
		api.TokenList:       list(c.tokenRows),
		api.TokenRevoke:     handler(c.tokenRevoke),
		api.UserList:        list(c.userRows),
		api.UserRevoke:      handler(c.userRevoke),
		api.UserDelete:      handler(c.userDelete),
		api.UserSubscribe:   handler(c.userSubscribe),
		api.UserUnsubscribe: handler(c.userUnsubscribe),
		api.NodeStatus:      handler(c.nodeStatus),
		api.PrimaryDrop:     handler(c.primaryDrop),
		api.AuditList:       handler(c.auditList),
		api.AuditFollow:     handler(c.auditFollow),
		api.AuditReport:     handler(c.auditReport),
		api.RotateKeys:      handler(c.rotateKeys), api.RotateCapability: handler(c.rotateCapability),
		api.RotateFinish: handler(c.rotateFinish), api.RotationList: list(c.rotationRows),
		api.SecretSet:    handler(c.secretSet),
		api.SecretList:   list(c.secretRows),
		api.SecretDelete: handler(c.secretDelete),
	}
}

// row is one row of a list with the key that pages go by.
type row[T any] struct {
	key   string
	value T
}

// list pages what rows returns, by key.
func list[T any](rows func(context.Context, api.ListRequest) ([]row[T], error)) api.Handler {
	return handler(func(ctx context.Context, _ string, req api.ListRequest) (any, error) {
		if req.Limit < 0 || req.Limit > api.MaxPage {
			return nil, fault.New(fault.Invalid, "limit %d, want 1 to %d", req.Limit, api.MaxPage)
		}
		if req.Limit == 0 {
			req.Limit = api.DefaultPage
		}
		all, err := rows(ctx, req)
		if err != nil {
			return nil, err
		}
		sort.Slice(all, func(i, j int) bool { return all[i].key < all[j].key })
		page := api.Page[T]{Items: []T{}}
		for i, r := range all {
			if r.key <= req.After && req.After != "" {
				continue
			}
			if len(page.Items) == req.Limit {
				page.Next = all[i-1].key
				break
			}
			page.Items = append(page.Items, r.value)
		}
		return page, nil
	})
}

// each calls f for every declared tenant that the request asks for.
func (c *Control) each(req api.ListRequest, f func(*registry.Tenant)) error {
	if req.Tenant != "" {
		t, err := c.tenant(req.Tenant)
		if err != nil {
			return err
		}
		f(t)
		return nil
	}
	for _, t := range c.reg.View().Tenants {
		if t.Spec != nil {
			f(t)
		}
	}
	return nil
}

func (c *Control) tenantRow(t *registry.Tenant) api.Tenant {
	out := api.Tenant{ID: string(t.ID), Tenant: string(t.ID), Name: t.Spec.Name, Contact: t.Spec.Contact, Account: t.Account.Key,
		Policy: t.Spec.Policy, Sites: len(t.Spec.Sites), Revision: t.SpecRevision, Conditions: []api.Condition{}}
	for _, s := range t.Spec.Sites {
		out.Pollers += len(s.Pollers)
		out.Devices += len(s.Devices)
	}
	status, _, ok := registry.Get[registry.TenantStatus](c.reg, registry.TenantKey(string(t.ID)))
	if !ok || status.Revision != t.SpecRevision {
		for _, typ := range []string{api.AccountPushed, api.StreamsReady, api.SchemasBound, api.IngressOpen, api.PrimaryReading} {
			out.Conditions = append(out.Conditions, api.Condition{Type: typ, Message: "the control plane has not looked yet"})
		}
		return out
	}
	out.Conditions, out.Ready = status.Conditions, true
	for _, cond := range status.Conditions {
		out.Ready = out.Ready && cond.OK
	}
	return out
}

func (c *Control) tenantRows(_ context.Context, req api.ListRequest) (out []row[api.Tenant], err error) {
	err = c.each(req, func(t *registry.Tenant) {
		out = append(out, row[api.Tenant]{string(t.ID), c.tenantRow(t)})
	})
	return out, err
}

func (c *Control) tenantStatus(_ context.Context, _ string, req api.TenantRef) (any, error) {
	t, err := c.tenant(req.Tenant)
	if err == nil {
		return c.tenantRow(t), nil
	}
	if c.leaving(req.Tenant) {
		return api.Tenant{ID: req.Tenant, Tenant: req.Tenant, Conditions: []api.Condition{{Type: api.AccountPushed, Message: "the tenant is being deleted"}}}, nil
	}
	return nil, err
}

// leaving reports whether a tenant's spec is gone but not yet all the rest.
func (c *Control) leaving(id string) bool {
	t := c.reg.View().Tenants[event.Tenant(id)]
	return t != nil && t.Leaving()
}

func (c *Control) tenantSpec(_ context.Context, _ string, req api.TenantRef) (any, error) {
	t, err := c.tenant(req.Tenant)
	if err != nil {
		return nil, err
	}
	data, err := t.Spec.JSON()
	if err != nil {
		return nil, err
	}
	return api.SpecAnswer{Spec: data, Revision: t.SpecRevision}, nil
}

// tenantPut stores a spec. It is checked here again, whatever client sent it,
// and compiled with everything it brings, before anything changes.
func (c *Control) tenantPut(ctx context.Context, _ string, req api.PutTenant) (any, error) {
	spec, err := tenants.ParseJSON(req.Spec)
	if err != nil {
		return nil, err
	}
	if err := c.checkSchemas(spec); err != nil {
		return nil, err
	}
	if t := c.reg.View().Tenants[spec.ID]; t != nil {
		if t.Leaving() {
			return nil, fault.WithHint(fault.New(fault.Conflict, "tenant %s is being deleted", spec.ID), "wait until it is gone, then apply again")
		}
		for _, p := range spec.Pollers() {
			if u, ok := t.Users[string(p.ID)]; ok && u.Role != "poller" {
				return nil, fault.New(fault.Conflict, "poller %s/%s: the name is taken by a user of role %s", spec.ID, p.ID, u.Role)
			}
		}
	}
	rev, err := c.reg.PutSpec(ctx, spec, req.Revision)
	if err != nil {
		return nil, err
	}
	// Whoever asks this node next sees what was stored.
	if _, err := c.reg.WaitView(ctx, rev); err != nil {
		return nil, err
	}
	return api.TenantRevision{Tenant: string(spec.ID), Revision: rev}, nil
}

// tenantDelete writes down, by compare-and-set, that the tenant is to go, and
// takes its spec away; the leader does the rest, and goes on with it after any
// interruption.
func (c *Control) tenantDelete(ctx context.Context, _ string, req api.TenantRef) (any, error) {
	for again := false; ; again = true {
		err := c.askToLeave(ctx, event.Tenant(req.Tenant))
		if again && fault.Is(err, fault.NotFound) {
			return nil, nil // the leader was faster
		}
		if !fault.Is(err, fault.Conflict) || ctx.Err() != nil {
			return nil, err
		}
		// Whatever changed meanwhile, the tenant is to go.
		if err := c.reg.Fresh(ctx); err != nil {
			return nil, err
		}
	}
}

func (c *Control) askToLeave(ctx context.Context, id event.Tenant) error {
	t := c.reg.View().Tenants[id]
	if t == nil || t.SpecRevision == 0 && !t.Leaving() {
		_, err := c.tenant(string(id))
		return err
	}
	if t.Account.Key == "" && t.AccountRevision != 0 && !t.Account.Leaving {
		return fault.WithHint(fault.New(fault.Unavailable, "the account of tenant %s cannot be read by this node: %s", t.ID, t.Problem), "is it older than the others?")
	}
	if !t.Account.Leaving {
		// Also where there is no account yet, or a tombstone: whoever is making one
		// at this moment finds the record changed and leaves it.
		next := t.Account
		next.Leaving = true
		if _, err := c.reg.PutAccount(ctx, t.ID, next, t.AccountRevision); err != nil {
			return err
		}
	}
	if t.SpecRevision == 0 {
		return nil // asked before
	}
	return c.reg.DeleteSpec(ctx, t.ID, t.SpecRevision)
}

// primaryDrop forgets a primary: its cursors hold nothing back any more.
func (c *Control) primaryDrop(ctx context.Context, _ string, req api.PrimaryRef) (any, error) {
	_, _, known := registry.Get[time.Time](c.reg, registry.PrimaryKey(req.Primary))
	if !known {
		return nil, fault.New(fault.NotFound, "primary %q is not known", req.Primary)
	}
	for id := range c.reg.View().Tenants {
		key := registry.CursorKey(string(id), req.Primary)
		if _, ok := c.reg.Status.Get(key); ok {
			if err := c.reg.DropStatus(ctx, key); err != nil {
				return nil, err
			}
		}
	}
	return nil, c.reg.DropStatus(ctx, registry.PrimaryKey(req.Primary))
}
