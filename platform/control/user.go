package control

import (
	"context"
	"slices"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/registry"
	"midplane/subject"
	"midplane/tenants"
	"midplane/tenants/account"
)

func capabilityOf(s registry.Secrets) subject.Capability { return subject.Capability(s.Capability) }

// userCreate signs a user's JWT. The record comes first, by compare-and-set: a
// name is used once per tenant. Asking again with the same key, role and
// subscriptions gives the JWT again, so that a lost answer can be repeated.
func (c *Control) userCreate(ctx context.Context, who string, req api.CreateUser) (any, error) {
	role := account.Role(req.Role)
	if role == account.RoleAdmin {
		return c.adminCreate(ctx, who, req)
	}
	if !slices.Contains(account.UserRoles, role) {
		return nil, fault.WithHint(fault.New(fault.Invalid, "role %q cannot be given to a user", req.Role), "one of poller, producer, reader, app, inspector, or admin, without a tenant")
	}
	if err := event.CheckUserName("user", req.Name); err != nil {
		return nil, err
	}
	t, err := c.tenant(req.Tenant)
	if err != nil {
		return nil, err
	}
	if !t.Open() {
		return nil, fault.WithHint(fault.New(fault.Unavailable, "tenant %s is not ready", t.ID), "wait for it: midplane status")
	}
	if err := c.mayHave(t, role, req); err != nil {
		return nil, err
	}
	life, err := c.lifeOf(role, req.TTL.Std())
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	u := registry.User{Name: req.Name, Role: role, PublicKey: req.PublicKey, Subs: slices.Sorted(slices.Values(req.Subscriptions)), Created: now, Expires: now.Add(life), By: who}
	if _, err := c.issue(t, u); err != nil { // before it is stored
		return nil, err
	}
	u, existed, err := c.storeUser(ctx, t, u)
	if err != nil {
		return nil, err
	}
	if u, err = c.prolong(ctx, t.ID, u, life); err != nil {
		return nil, err
	}
	token, err := c.issue(t, u)
	if err != nil {
		return nil, err
	}
	return api.CreatedUser{JWT: token, Existed: existed, Servers: c.servers(), Expires: u.Expires}, nil
}

// mayHave checks the name and subscriptions against what the tenant's file declares.
func (c *Control) mayHave(t *registry.Tenant, role account.Role, req api.CreateUser) error {
	_, poller := t.Spec.SiteOf(event.Producer(req.Name))
	switch {
	case role == account.RolePoller && !poller:
		return fault.WithHint(fault.New(fault.NotFound, "poller %s is not declared in tenant %s", req.Name, t.ID), "add it to a site in the tenant's file and apply")
	case role != account.RolePoller && poller:
		return fault.New(fault.Conflict, "%s is declared as a poller of tenant %s", req.Name, t.ID)
	}
	if len(req.Subscriptions) > 0 && role != account.RoleReader && role != account.RoleApp && role != account.RoleInspector {
		return fault.New(fault.Invalid, "role %s has no subscriptions", role)
	}
	for _, name := range req.Subscriptions {
		declared := slices.ContainsFunc(t.Spec.Subscriptions, func(s tenants.Subscription) bool { return s.Application == req.Name && s.Name == name })
		if !declared {
			return fault.WithHint(fault.New(fault.NotFound, "subscription %q is not declared for %s in tenant %s", name, req.Name, t.ID),
				"add it under subscriptions in the tenant's file and apply")
		}
	}
	return nil
}

// storeUser stores a new user, or finds the very same one, and waits until
// every live node's ingress knows it. It returns the user as it is stored.
func (c *Control) storeUser(ctx context.Context, t *registry.Tenant, u registry.User) (stored registry.User, existed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	old, existed := t.Users[u.Name]
	if !existed {
		rev, err := c.reg.CreateUser(ctx, t.ID, u)
		if err == nil {
			return u, false, c.waitNodes(ctx, t.ID, rev)
		}
		if !fault.Is(err, fault.Conflict) {
			return u, false, err
		}
		// Stored meanwhile, by another node or by a try whose answer was lost.
		if t, old, err = c.awaitUser(ctx, t.ID, u.Name); err != nil {
			return u, false, err
		}
	}
	if !old.Live() {
		return old, true, fault.WithHint(fault.New(fault.Conflict, "user %s/%s was revoked at %s", t.ID, u.Name, old.Revoked.Format(time.RFC3339)),
			"free its name for a new key with: midplane user delete %s/%s --yes", t.ID, u.Name)
	}
	if old.Role != u.Role || old.PublicKey != u.PublicKey || !slices.Equal(old.Subs, u.Subs) {
		return old, true, fault.WithHint(fault.New(fault.Conflict, "user %s/%s exists already, as %s", t.ID, u.Name, old.Role),
			"its credentials were written once and cannot be read back; use another name")
	}
	return old, true, c.waitNodes(ctx, t.ID, t.Revision)
}

// awaitUser waits until this node has seen a user, and returns the tenant with it.
func (c *Control) awaitUser(ctx context.Context, id event.Tenant, name string) (*registry.Tenant, registry.User, error) {
	for {
		_, changed := c.reg.Config.Revision()
		if t := c.reg.View().Tenants[id]; t != nil {
			if u, ok := t.Users[name]; ok {
				return t, u, nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, registry.User{}, fault.New(fault.Conflict, "user %s/%s exists already", id, name)
		}
	}
}
