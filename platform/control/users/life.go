package users

import (
	"context"
	"slices"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/service"
	"midplane/platform/registry"
	"midplane/tenants"
	"midplane/tenants/account"
)

// Lives of JWTs that cannot be renewed.
const (
	defaultTTL = 365 * 24 * time.Hour
	maxTTL     = 10 * defaultTTL
)

// lifeOf returns how long a JWT of a role lives: life when its user renews it, else
// ttl, which is what was asked for, 0 nothing.
func lifeOf(r account.Role, life, ttl time.Duration) (time.Duration, error) {
	switch {
	case r.Renews() && ttl != 0:
		return 0, fault.WithHint(fault.New(fault.Invalid, "a %s renews its credentials, which live for %s", r, life), "leave --ttl out; it is for producers and readers")
	case r.Renews():
		return life, nil
	case ttl == 0:
		return defaultTTL, nil
	case ttl < time.Second || ttl > maxTTL:
		return 0, fault.New(fault.Invalid, "a life of %s, want 1 second to 10 years", ttl)
	}
	return ttl, nil
}

// issue signs a user's JWT as its record says. It is the only place where a
// tenant's user gets one: never for a key that was revoked.
func issue(t *registry.Tenant, u registry.User) (string, error) {
	if !u.Live() || t.Account.Revoked[u.PublicKey] != 0 {
		return "", fault.WithHint(fault.New(fault.Denied, "the key of user %s/%s was revoked", t.ID, u.Name), "its key is dead for good: make another one")
	}
	return account.IssueUser(t.Keys, u.Role, account.User{Name: u.Name, Key: u.PublicKey, Subs: subsNow(t, u), Expires: u.Expires})
}

// subsNow are the subscriptions of a user that its tenant's file still declares.
func subsNow(t *registry.Tenant, u registry.User) []string {
	out := []string{}
	for _, name := range u.Subs {
		if slices.ContainsFunc(t.Spec.Subscriptions, func(sub tenants.Subscription) bool { return sub.Application == u.Name && sub.Name == name }) {
			out = append(out, name)
		}
	}
	return out
}

// prolong gives a user a new life when what is left of the one in its record is
// less than three quarters: asking often does not write often.
func (s *Users) prolong(ctx context.Context, id event.Tenant, u registry.User, life time.Duration) (registry.User, error) {
	key := u.PublicKey
	out, _, err := s.cfg.Registry.Users.Change(ctx, id, u.Name, func(u *registry.User) (bool, error) {
		now := time.Now().UTC().Truncate(time.Second)
		switch {
		case u.PublicKey != key || !u.Live():
			return false, fault.New(fault.Denied, "user %s/%s was revoked in between", id, u.Name)
		case u.Expires.IsZero() && !u.Role.Renews(): // made before lives were bounded
			return false, nil
		case u.Expires.Sub(now) > life*3/4:
			return false, nil
		case !u.Role.Renews() && u.Expires.After(now): // only what has ended begins again, when an operator asks for it
			return false, nil
		}
		u.Expires = now.Add(life)
		return true, nil
	})
	return out, err
}

// Renew gives a poller, application or inspector a new JWT, with what is
// assigned to it and declared now.
func (s *Users) Renew(ctx context.Context, t *registry.Tenant, u registry.User) (any, error) {
	if !u.Role.Renews() {
		return nil, fault.New(fault.Denied, "a %s cannot renew its credentials", u.Role)
	}
	// A revocation or subscription that another node stored a moment ago counts.
	if s.renewed.Due(string(t.ID)+"."+u.Name, time.Second) {
		if err := s.cfg.Registry.Fresh(ctx); err != nil {
			return nil, err
		}
	}
	now := s.cfg.Registry.View().Tenants[t.ID]
	if now == nil || !now.Open() || now.Account.Key != t.Account.Key {
		return nil, fault.New(fault.Denied, "tenant %s is gone or not ready", t.ID)
	}
	u, err := s.prolong(ctx, t.ID, u, s.cfg.Life)
	if err != nil {
		return nil, err
	}
	token, err := issue(now, u)
	if err != nil {
		return nil, err
	}
	return api.Renewed{JWT: token, Expires: u.Expires, Subscriptions: subsNow(now, u)}, nil
}

// Rows lists the users of tenants; the system's own are not among them.
func (s *Users) Rows(_ context.Context, req api.ListRequest) (out []service.Row[api.User], err error) {
	err = service.Each(s.cfg.Registry.View(), req, func(t *registry.Tenant) {
		for _, u := range t.Users {
			out = append(out, service.RowOf(string(t.ID)+"/"+u.Name, userRow(t, u)))
		}
	})
	if req.Tenant == "" {
		out = append(out, s.cfg.Admins.rows()...)
	}
	return out, err
}

func userRow(t *registry.Tenant, u registry.User) api.User {
	r := recordRow(u)
	r.Tenant, r.Subscriptions = string(t.ID), subsNow(t, u)
	if u.Role == account.RolePoller {
		r.Site = string(t.SiteOf(u.Name))
	}
	return r
}

// recordRow is what a user's record alone says.
func recordRow(u registry.User) api.User {
	r := api.User{ID: u.Name, Name: u.Name, Role: string(u.Role), Status: api.UserActive, Created: u.Created.UTC(), Renews: u.Role.Renews(), Subscriptions: []string{}}
	if !u.Expires.IsZero() {
		at := u.Expires.UTC()
		r.Expires = &at
		if !time.Now().Before(at) {
			r.Status = api.UserExpired
		}
	}
	if !u.Live() {
		at := u.Revoked.UTC()
		r.Revoked, r.Status = &at, api.UserRevoked
	}
	return r
}
