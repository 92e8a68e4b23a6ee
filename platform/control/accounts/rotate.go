package accounts

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/platform/control/service"
	"midplane/platform/registry"
	"midplane/subject"
	"midplane/tenants/account"
)

// maxRetired is how many former keys of one role may hold at once.
const maxRetired = 3

// Rotations replaces the keys and capabilities of tenants.
type Rotations struct {
	Registry *registry.Registry
	Accounts *Accounts
	Life     time.Duration // of the JWT of a user that renews it
	Overlap  time.Duration // a replaced key of the system's own users still holds after every live node has moved
	Log      *slog.Logger
}

// Keys gives roles new signing keys. What the former keys have signed
// stays good: users that renew come under the new key by themselves, the
// others until they are made again or the rotation is finished.
func (c *Rotations) Keys(ctx context.Context, _ string, req api.Rotate) (any, error) {
	roles := account.UserRoles
	if len(req.Roles) > 0 {
		roles = nil
		for _, name := range req.Roles {
			r := account.Role(name)
			if !slices.Contains(account.TenantRoles, r) || r == account.RolePrimary {
				return nil, fault.WithHint(fault.New(fault.Invalid, "role %q has no key that is rotated", name), "one of poller, producer, reader, app, inspector, ingress, control")
			}
			if !slices.Contains(roles, r) {
				roles = append(roles, r)
			}
		}
	}
	return c.change(ctx, req.Tenant, func(t *registry.Tenant, s *registry.Secrets) error {
		for _, r := range roles {
			n := 0
			for _, old := range s.Retired {
				if old.Role == r {
					n++
				}
			}
			if n >= maxRetired {
				return fault.WithHint(fault.New(fault.Conflict, "%d former keys of role %s still hold in tenant %s", n, r, t.ID), "see: midplane rotate status; finish with: midplane rotate keys --tenant %s --finish", t.ID)
			}
		}
		return rekey(t, s, roles...)
	})
}

// rekey replaces keys in s; the former ones of the system's own users keep the
// capability that they were made for.
func rekey(t *registry.Tenant, s *registry.Secrets, roles ...account.Role) error {
	keys, retired, err := s.Keys.Rekey(t.Capability, time.Now().UTC().Truncate(time.Second), roles...)
	if err != nil {
		return err
	}
	s.Keys = keys
	s.Retired = slices.Concat(s.Retired, retired)
	return nil
}

// Capability begins a new capability; the leader does the rest.
func (c *Rotations) Capability(ctx context.Context, _ string, req api.Rotate) (any, error) {
	return c.change(ctx, req.Tenant, func(t *registry.Tenant, s *registry.Secrets) error {
		if t.Rotating() {
			return fault.WithHint(fault.New(fault.Conflict, "a rotation in tenant %s has not ended", t.ID), "it takes less than a minute when all nodes are up; see: midplane rotate status")
		}
		s.Next = newCapability()
		return nil
	})
}

// Finish drops former keys of users at once.
func (c *Rotations) Finish(ctx context.Context, _ string, req api.Rotate) (any, error) {
	return c.change(ctx, req.Tenant, func(t *registry.Tenant, s *registry.Secrets) error {
		var keep []account.Retired
		var cut []string
		for _, r := range s.Retired {
			if r.Role.System() || len(req.Roles) > 0 && !slices.Contains(req.Roles, string(r.Role)) {
				keep = append(keep, r)
				continue
			}
			cut = append(cut, c.holders(t, r, time.Now())...)
		}
		if len(cut) > 0 && !req.Yes {
			slices.Sort(cut)
			cut = slices.Compact(cut)
			return fault.WithHint(fault.New(fault.Conflict, "%d users of tenant %s may still have credentials of a former key: %s", len(cut), t.ID, strings.Join(cut[:min(len(cut), 10)], ", ")),
				"make them new credentials first, or cut them off with --yes")
		}
		s.Retired = keep
		return nil
	})
}

// change changes a tenant's secrets by compare-and-set, signs its account
// accordingly, and waits until the live nodes run with it.
func (c *Rotations) change(ctx context.Context, tenant string, rotate func(*registry.Tenant, *registry.Secrets) error) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		t, err := c.Registry.View().Serving(tenant)
		if err != nil {
			return nil, err
		}
		s := t.Unsealed()
		if err := rotate(t, &s); err != nil {
			return nil, err
		}
		rev, err := c.put(ctx, t, s)
		if err == nil {
			if err := c.Registry.WaitLoaded(ctx, t.ID, rev); err != nil {
				return nil, fault.WithHint(fault.Wrap(fault.Unavailable, err, "it is begun, and goes on by itself"), "see: midplane rotate status")
			}
			return api.Page[api.Rotation]{Items: c.of(c.Registry.View().Tenants[t.ID])}, nil
		}
		if !fault.Is(err, fault.Conflict) {
			return nil, err
		}
		if err := c.Registry.Fresh(ctx); err != nil {
			return nil, err
		}
	}
}

// put stores secrets and the JWT that goes with them.
func (c *Rotations) put(ctx context.Context, t *registry.Tenant, s registry.Secrets) (uint64, error) {
	next, err := c.withSecrets(t, s)
	if err != nil {
		return 0, err
	}
	return c.Registry.Accounts.Put(ctx, t.ID, next, t.AccountRevision)
}

func (c *Rotations) withSecrets(t *registry.Tenant, s registry.Secrets) (registry.Account, error) {
	next := t.Account
	var err error
	if next.Sealed, err = c.Registry.Accounts.Seal(t.ID, s); err != nil {
		return next, err
	}
	after, _, err := account.IssuedAt(t.Account.JWT)
	if err != nil {
		return next, err
	}
	changed := *t
	changed.Keys, changed.Capability, changed.Retired = s.Keys, subject.Capability(s.Capability), s.Retired
	next.JWT, err = c.Accounts.sign(&changed, next, after)
	return next, err
}

// Step takes a tenant's rotation one step further, and reports whether there was
// one. It is called when the streams listen behind every capability of the record,
// and after a step they have to again.
//
// A capability goes in three records: with the next one in it, streams listen
// behind both; with the next one in the place of the old, doors and control
// plane get new keys whose templates name it, and every node moves when it sees
// the record; when all live nodes have, and a moment has passed, the former keys
// and with them the old capability go. A message is never published where no
// stream listens, and a node that stops anywhere finds in the record what is left to do.
func (c *Rotations) Step(ctx context.Context, t *registry.Tenant) (next *registry.Tenant, moved bool, err error) {
	s := t.Unsealed()
	if t.Next != "" {
		if err := rekey(t, &s, account.RoleIngress, account.RoleControl); err != nil {
			return t, false, err
		}
		s.Capability, s.Next = s.Next, ""
	} else {
		now := time.Now()
		s.Retired = slices.DeleteFunc(slices.Clone(t.Retired), func(r account.Retired) bool { return c.over(t, r, now) })
		if len(s.Retired) == len(t.Retired) {
			return t, false, nil
		}
	}
	rec, err := c.withSecrets(t, s)
	if err != nil {
		return t, false, err
	}
	if t, err = c.Accounts.Put(ctx, t, rec); err != nil {
		return t, false, err
	}
	c.Log.Info("keys rotated", "tenant", t.ID, "former", len(t.Retired))
	return t, true, nil
}

// over reports whether a former key is not needed any more.
func (c *Rotations) over(t *registry.Tenant, r account.Retired, now time.Time) bool {
	if !r.Role.System() {
		return len(c.holders(t, r, now)) == 0 && now.Sub(r.Since) > c.Overlap
	}
	for _, n := range c.Registry.LiveNodes() {
		if n.Revision < t.AccountRevision || slices.Contains(n.Closed, string(t.ID)) {
			return false
		}
	}
	return now.Sub(r.Since) > c.Overlap
}

// holders returns the users whose newest credentials may be of a former key.
// The record says when a user was made and how long its JWT lives; one that
// renews has come under the new key a life after it was made.
func (c *Rotations) holders(t *registry.Tenant, r account.Retired, now time.Time) (out []string) {
	for name, u := range t.Users {
		if u.Role != r.Role || !u.Live() || !u.Created.Before(r.Since.Add(leeway)) {
			continue
		}
		if !u.Expires.IsZero() && now.After(u.Expires.Add(leeway)) {
			continue
		}
		if u.Role.Renews() && now.After(r.Since.Add(c.Life+2*leeway)) {
			continue
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func (c *Rotations) of(t *registry.Tenant) []api.Rotation {
	out := []api.Rotation{}
	if t == nil {
		return out
	}
	id := string(t.ID)
	if t.Next != "" {
		out = append(out, api.Rotation{ID: "capability", Tenant: id, What: api.RotatedCapability, State: "streams come to listen behind the new one", Holders: []string{}})
	}
	now := time.Now()
	for _, r := range t.Retired {
		row := api.Rotation{ID: r.Key, Tenant: id, What: api.RotatedKey, Role: string(r.Role), Key: r.Key, Since: r.Since, Holders: c.holders(t, r, now)}
		switch {
		case r.Role.System():
			row.State = "every live node moves to the new one, then it goes by itself"
			if r.Capability != t.Capability {
				row.What = api.RotatedCapability
			}
		case r.Role.Renews():
			row.State = fmt.Sprintf("users renew; it goes by itself at %s", r.Since.Add(c.Life+2*leeway).UTC().Format(time.RFC3339))
		default:
			row.State = "users cannot renew: make them new credentials, then finish"
		}
		if row.Holders == nil {
			row.Holders = []string{}
		}
		out = append(out, row)
	}
	return out
}

// Rows lists what is being replaced.
func (c *Rotations) Rows(_ context.Context, req api.ListRequest) (out []service.Row[api.Rotation], err error) {
	err = service.Each(c.Registry.View(), req, func(t *registry.Tenant) {
		for _, r := range c.of(t) {
			out = append(out, service.RowOf(string(t.ID)+"/"+r.What+"/"+r.Role+"/"+r.ID, r))
		}
	})
	return out, err
}
