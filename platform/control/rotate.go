package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/platform/control/registry"
	"midplane/tenants/account"
)

// maxRetired is how many former keys of one role may hold at once.
const maxRetired = 3

// rotateKeys gives roles new signing keys. What the former keys have signed
// stays good: users that renew come under the new key by themselves, the
// others until they are made anew or the rotation is finished.
func (c *Control) rotateKeys(ctx context.Context, _ string, req api.Rotate) (any, error) {
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
	return c.rotateSecrets(ctx, req.Tenant, func(t *registry.Tenant, s *registry.Secrets) error {
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

// rotateCapability begins a new capability; the leader does the rest.
func (c *Control) rotateCapability(ctx context.Context, _ string, req api.Rotate) (any, error) {
	return c.rotateSecrets(ctx, req.Tenant, func(t *registry.Tenant, s *registry.Secrets) error {
		if t.Rotating() {
			return fault.WithHint(fault.New(fault.Conflict, "a rotation in tenant %s has not ended", t.ID), "it takes less than a minute when all nodes are up; see: midplane rotate status")
		}
		s.Next = randomToken()
		return nil
	})
}

// rotateFinish drops former keys of users at once.
func (c *Control) rotateFinish(ctx context.Context, _ string, req api.Rotate) (any, error) {
	return c.rotateSecrets(ctx, req.Tenant, func(t *registry.Tenant, s *registry.Secrets) error {
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

// rotateSecrets changes a tenant's secrets by compare-and-set, signs its
// account accordingly, and waits until the live nodes run with it.
func (c *Control) rotateSecrets(ctx context.Context, tenant string, change func(*registry.Tenant, *registry.Secrets) error) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		t, err := c.tenant(tenant)
		if err != nil {
			return nil, err
		}
		if !t.Open() {
			return nil, fault.WithHint(fault.New(fault.Unavailable, "tenant %s is not ready", t.ID), "wait for it: midplane status")
		}
		s := t.Unsealed()
		if err := change(t, &s); err != nil {
			return nil, err
		}
		rev, err := c.putSecrets(ctx, t, s)
		if err == nil {
			if err := c.waitNodes(ctx, t.ID, rev); err != nil {
				return nil, fault.WithHint(fault.Wrap(fault.Unavailable, err, "it is begun, and goes on by itself"), "see: midplane rotate status")
			}
			return api.Page[api.Rotation]{Items: c.rotationsOf(c.reg.View().Tenants[t.ID])}, nil
		}
		if !fault.Is(err, fault.Conflict) {
			return nil, err
		}
		if err := c.reg.Fresh(ctx); err != nil {
			return nil, err
		}
	}
}

// putSecrets stores secrets and the JWT that goes with them.
func (c *Control) putSecrets(ctx context.Context, t *registry.Tenant, s registry.Secrets) (uint64, error) {
	next, err := c.withSecrets(t, s)
	if err != nil {
		return 0, err
	}
	return c.reg.PutAccount(ctx, t.ID, next, t.AccountRevision)
}

func (c *Control) withSecrets(t *registry.Tenant, s registry.Secrets) (registry.Account, error) {
	next := t.Account
	var err error
	if next.Sealed, err = c.reg.Seal(t.ID, s); err != nil {
		return next, err
	}
	after, _, err := account.IssuedAt(t.Account.JWT)
	if err != nil {
		return next, err
	}
	changed := *t
	changed.Keys, changed.Capability, changed.Retired = s.Keys, capabilityOf(s), s.Retired
	next.JWT, err = c.sign(&changed, next, after)
	return next, err
}

// rotate takes a tenant's rotation one step further. It is called when the
// streams listen behind every capability of the record.
//
// A capability goes in three records: with the next one in it, streams listen
// behind both; with the next one in the place of the old, doors and control
// plane get new keys whose templates name it, and every node moves when it sees
// the record; when all live nodes have, and a moment has passed, the former keys
// and with them the old capability go. A message is never published where nobody
// listens, and a node that stops anywhere finds in the record what is left to do.
func (l *leader) rotate(ctx context.Context, t *registry.Tenant) (*registry.Tenant, error) {
	s := t.Unsealed()
	if t.Next != "" {
		if err := rekey(t, &s, account.RoleIngress, account.RoleControl); err != nil {
			return t, err
		}
		s.Capability, s.Next = s.Next, ""
	} else {
		now := time.Now()
		s.Retired = slices.DeleteFunc(slices.Clone(t.Retired), func(r account.Retired) bool { return l.over(t, r, now) })
		if len(s.Retired) == len(t.Retired) {
			return t, nil
		}
	}
	next, err := l.withSecrets(t, s)
	if err != nil {
		return t, err
	}
	if t, err = l.putAccount(ctx, t, next); err != nil {
		return t, err
	}
	l.tel.Log.Info("keys rotated", "tenant", t.ID, "former", len(t.Retired))
	return l.ensureStreams(ctx, t)
}

// over reports whether nobody needs a former key any more.
func (c *Control) over(t *registry.Tenant, r account.Retired, now time.Time) bool {
	if !r.Role.System() {
		return len(c.holders(t, r, now)) == 0 && now.Sub(r.Since) > c.cfg.Pace.Overlap
	}
	for _, n := range c.reg.LiveNodes() {
		if n.Revision < t.AccountRevision || slices.Contains(n.Closed, string(t.ID)) {
			return false
		}
	}
	return now.Sub(r.Since) > c.cfg.Pace.Overlap
}

// holders returns the users whose newest credentials may be of a former key.
// The record says when a user was made and how long its JWT lives; one that
// renews has come under the new key a life after it was made.
func (c *Control) holders(t *registry.Tenant, r account.Retired, now time.Time) (out []string) {
	for name, u := range t.Users {
		if u.Role != r.Role || !u.Live() || !u.Created.Before(r.Since.Add(leeway)) {
			continue
		}
		if !u.Expires.IsZero() && now.After(u.Expires.Add(leeway)) {
			continue
		}
		if c.renews(u.Role) && now.After(r.Since.Add(c.cfg.Pace.Life+2*leeway)) {
			continue
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// renews reports whether users of a role get new JWTs over the control channel.
func (c *Control) renews(r account.Role) bool {
	return r != account.RoleProducer && r != account.RoleReader
}

func (c *Control) rotationsOf(t *registry.Tenant) []api.Rotation {
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
		case c.renews(r.Role):
			row.State = fmt.Sprintf("users renew; it goes by itself at %s", r.Since.Add(c.cfg.Pace.Life+2*leeway).UTC().Format(time.RFC3339))
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

func (c *Control) rotationRows(_ context.Context, req api.ListRequest) (out []row[api.Rotation], err error) {
	err = c.each(req, func(t *registry.Tenant) {
		for _, r := range c.rotationsOf(t) {
			out = append(out, row[api.Rotation]{string(t.ID) + "/" + r.What + "/" + r.Role + "/" + r.ID, r})
		}
	})
	return out, err
}
