// Package users keeps who may connect: users of tenants and admins, with what
// they may read and how long they live, the tokens that pollers join with, and
// how a user is refused for good. It touches the records of users and tokens.
package users

import (
	"context"
	"slices"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/once"
	"midplane/platform/registry"
	"midplane/tenants"
	"midplane/tenants/account"
)

// Config is what Users are given.
type Config struct {
	Registry *registry.Registry
	Accounts Accounts
	Admins   *Admins
	Tokens   *Tokens
	Life     time.Duration // of a JWT that its user renews
}

// Accounts has an account refuse a user's key.
type Accounts interface {
	RefuseKey(ctx context.Context, t *registry.Tenant, u registry.User) (revision uint64, err error)
}

// Users makes, changes and revokes users.
type Users struct {
	cfg     Config
	renewed once.Every // users that renewed lately
}

// New returns Users.
func New(cfg Config) *Users { return &Users{cfg: cfg} }

// Create signs a user's JWT. The record comes first, by compare-and-set: a
// name is used once per tenant. Asking again with the same key, role and
// subscriptions gives the JWT again, so that a lost answer can be repeated.
func (s *Users) Create(ctx context.Context, who string, req api.CreateUser) (any, error) {
	role := account.Role(req.Role)
	if role == account.RoleAdmin {
		return s.cfg.Admins.Create(ctx, who, req)
	}
	if !slices.Contains(account.UserRoles, role) {
		return nil, fault.WithHint(fault.New(fault.Invalid, "role %q cannot be given to a user", req.Role), "one of poller, producer, reader, app, inspector, or admin, without a tenant")
	}
	if err := event.CheckUserName("user", req.Name); err != nil {
		return nil, err
	}
	t, err := s.cfg.Registry.View().Serving(req.Tenant)
	if err != nil {
		return nil, err
	}
	if err := mayHave(t, role, req); err != nil {
		return nil, err
	}
	life, err := lifeOf(role, s.cfg.Life, req.TTL.Std())
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	u := registry.User{Name: req.Name, Role: role, PublicKey: req.PublicKey, Subs: slices.Sorted(slices.Values(req.Subscriptions)), Created: now, Expires: now.Add(life), By: who}
	if _, err := issue(t, u); err != nil { // before it is stored
		return nil, err
	}
	u, existed, err := s.store(ctx, t, u)
	if err != nil {
		return nil, err
	}
	if u, err = s.prolong(ctx, t.ID, u, life); err != nil {
		return nil, err
	}
	token, err := issue(t, u)
	if err != nil {
		return nil, err
	}
	return api.CreatedUser{JWT: token, Existed: existed, Servers: s.cfg.Registry.Servers(), Expires: u.Expires}, nil
}

// mayHave checks the name and subscriptions against what the tenant's file declares.
func mayHave(t *registry.Tenant, role account.Role, req api.CreateUser) error {
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
		declared := slices.ContainsFunc(t.Spec.Subscriptions, func(sub tenants.Subscription) bool { return sub.Application == req.Name && sub.Name == name })
		if !declared {
			return fault.WithHint(fault.New(fault.NotFound, "subscription %q is not declared for %s in tenant %s", name, req.Name, t.ID),
				"add it under subscriptions in the tenant's file and apply")
		}
	}
	return nil
}

// store stores a new user, or finds the very same one, and waits until
// every live node's ingress knows it. It returns the user as it is stored.
func (s *Users) store(ctx context.Context, t *registry.Tenant, u registry.User) (stored registry.User, existed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	old, existed := t.Users[u.Name]
	if !existed {
		rev, err := s.cfg.Registry.Users.Create(ctx, t.ID, u)
		if err == nil {
			return u, false, s.cfg.Registry.WaitLoaded(ctx, t.ID, rev)
		}
		if !fault.Is(err, fault.Conflict) {
			return u, false, err
		}
		// Stored by another node just now, or by a try whose answer was lost.
		if t, old, err = s.await(ctx, t.ID, u.Name); err != nil {
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
	return old, true, s.cfg.Registry.WaitLoaded(ctx, t.ID, t.Revision)
}

// await waits until this node has seen a user, and returns the tenant with it.
func (s *Users) await(ctx context.Context, id event.Tenant, name string) (*registry.Tenant, registry.User, error) {
	for {
		_, changed := s.cfg.Registry.Config.Revision()
		if t := s.cfg.Registry.View().Tenants[id]; t != nil {
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
