package control

import (
	"context"
	"slices"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/registry"
	"midplane/tenants"
	"midplane/tenants/account"
)

// Lives of JWTs that cannot be renewed.
const (
	defaultTTL = 365 * 24 * time.Hour
	maxTTL     = 10 * defaultTTL
)

// renews reports whether users of a role renew their JWTs over the control channel.
func renews(r account.Role) bool {
	return r == account.RolePoller || r == account.RoleApp || r == account.RoleInspector
}

// lifeOf returns how long a JWT of a role lives; ttl is what was asked for, 0 nothing.
func (c *Control) lifeOf(r account.Role, ttl time.Duration) (time.Duration, error) {
	switch {
	case renews(r) && ttl != 0:
		return 0, fault.WithHint(fault.New(fault.Invalid, "a %s renews its credentials, which live for %s", r, c.cfg.Pace.Life), "leave --ttl out; it is for producers and readers")
	case renews(r):
		return c.cfg.Pace.Life, nil
	case ttl == 0:
		return defaultTTL, nil
	case ttl < time.Second || ttl > maxTTL:
		return 0, fault.New(fault.Invalid, "a life of %s, want 1 second to 10 years", ttl)
	}
	return ttl, nil
}

// issue signs a user's JWT as its record says. It is the only place where a
// tenant's user gets one: never for a key that was revoked.
func (c *Control) issue(t *registry.Tenant, u registry.User) (string, error) {
	if !u.Live() || t.Account.Revoked[u.PublicKey] != 0 {
		return "", fault.WithHint(fault.New(fault.Denied, "the key of user %s/%s was revoked", t.ID, u.Name), "its key is dead for good: make another one")
	}
	return account.IssueUser(t.Keys, u.Role, account.User{Name: u.Name, Key: u.PublicKey, Subs: subsNow(t, u), Expires: u.Expires})
}

// subsNow are the subscriptions of a user that its tenant's file still declares.
func subsNow(t *registry.Tenant, u registry.User) []string {
	out := []string{}
	for _, name := range u.Subs {
		if slices.ContainsFunc(t.Spec.Subscriptions, func(s tenants.Subscription) bool { return s.Application == u.Name && s.Name == name }) {
			out = append(out, name)
		}
	}
	return out
}

// prolong gives a user a new life when what is left of the one in its record is
// less than three quarters: asking often does not write often.
func (c *Control) prolong(ctx context.Context, id event.Tenant, u registry.User, life time.Duration) (registry.User, error) {
	key := u.PublicKey
	out, _, err := c.reg.ChangeUser(ctx, id, u.Name, func(u *registry.User) (bool, error) {
		now := time.Now().UTC().Truncate(time.Second)
		switch {
		case u.PublicKey != key || !u.Live():
			return false, fault.New(fault.Denied, "user %s/%s was revoked meanwhile", id, u.Name)
		case u.Expires.IsZero() && !renews(u.Role): // made before lives were bounded
			return false, nil
		case u.Expires.Sub(now) > life*3/4:
			return false, nil
		case !renews(u.Role) && u.Expires.After(now): // only what has ended begins anew, by an operator's word
			return false, nil
		}
		u.Expires = now.Add(life)
		return true, nil
	})
	return out, err
}

// channelRenew gives a poller, application or inspector a new JWT, with what is
// assigned to it and declared now.
func (c *Control) channelRenew(ctx context.Context, t *registry.Tenant, u registry.User, _ api.RenewRequest) (any, error) {
	if !renews(u.Role) {
		return nil, fault.New(fault.Denied, "a %s cannot renew its credentials", u.Role)
	}
	// A revocation or subscription that another node stored a moment ago counts.
	if c.seen.due("renew."+string(t.ID)+"."+u.Name, time.Second) {
		if err := c.reg.Fresh(ctx); err != nil {
			return nil, err
		}
	}
	now := c.reg.View().Tenants[t.ID]
	if now == nil || !now.Open() || now.Account.Key != t.Account.Key {
		return nil, fault.New(fault.Denied, "tenant %s is gone or not ready", t.ID)
	}
	u, err := c.prolong(ctx, t.ID, u, c.cfg.Pace.Life)
	if err != nil {
		return nil, err
	}
	token, err := c.issue(now, u)
	if err != nil {
		return nil, err
	}
	return api.Renewed{JWT: token, Expires: u.Expires, Subscriptions: subsNow(now, u)}, nil
}

// userRows lists the users of tenants; the system's own are not among them.
func (c *Control) userRows(_ context.Context, req api.ListRequest) (out []row[api.User], err error) {
	err = c.each(req, func(t *registry.Tenant) {
		for _, u := range t.Users {
			out = append(out, row[api.User]{string(t.ID) + "/" + u.Name, userRow(t, u)})
		}
	})
	if req.Tenant == "" {
		out = append(out, c.adminRows()...)
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
	r := api.User{ID: u.Name, Name: u.Name, Role: string(u.Role), Status: api.UserActive, Created: u.Created.UTC(), Renews: renews(u.Role), Subscriptions: []string{}}
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
