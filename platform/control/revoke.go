package control

import (
	"context"
	"maps"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/registry"
	"midplane/tenants/account"
)

// leeway is what clocks may differ by, where our own code looks at one.
const leeway = time.Minute

// forEver is by when the JWTs of a user have expired that never do.
var forEver = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// revoke ends a user for good: its key is refused by the account's JWT,
// which disconnects it everywhere, and its record says so. The account comes
// first: a JWT that another node signs for the key meanwhile is dead, too. Doing
// it again goes on with what an interruption has left. It returns when every
// live node knows.
func (c *Control) revoke(ctx context.Context, ref api.UserRef) (registry.User, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	id := event.Tenant(ref.Tenant)
	for {
		u, existed, rev, err := c.tryRevoke(ctx, id, ref)
		if err == nil {
			return u, existed, c.waitNodes(ctx, id, rev)
		}
		if !fault.Is(err, fault.Conflict) || fault.HintOf(err) == meant {
			return u, existed, err
		}
		if err := c.reg.Fresh(ctx); err != nil {
			return u, existed, err
		}
	}
}

// meant is the hint of a conflict that does not go away by looking again.
const meant = "see: midplane user list"

func (c *Control) tryRevoke(ctx context.Context, id event.Tenant, ref api.UserRef) (u registry.User, existed bool, rev uint64, err error) {
	t, err := c.tenant(string(id))
	if err != nil {
		return u, false, 0, err
	}
	u, _, ok := c.reg.User(id, ref.Name)
	switch {
	case !ok:
		return u, false, 0, fault.WithHint(fault.New(fault.NotFound, "user %s/%s does not exist", id, ref.Name), "see: midplane user list --tenant %s", id)
	case ref.Role != "" && string(u.Role) != ref.Role:
		return u, false, 0, fault.WithHint(fault.New(fault.Conflict, "%s/%s is no %s but has role %s", id, ref.Name, ref.Role, u.Role), meant)
	case !t.Open():
		return u, false, 0, fault.WithHint(fault.New(fault.Unavailable, "tenant %s is not ready", id), "wait for it: midplane status")
	}
	existed = !u.Live()
	if rev, err = c.killKey(ctx, t, u); err != nil {
		return u, existed, 0, err
	}
	key := u.PublicKey
	u, marked, err := c.reg.ChangeUser(ctx, id, ref.Name, func(u *registry.User) (bool, error) {
		if u.PublicKey != key {
			return false, fault.New(fault.Conflict, "user %s/%s has another key meanwhile", id, ref.Name)
		}
		if !u.Live() {
			return false, nil
		}
		u.Revoked = time.Now().UTC().Truncate(time.Millisecond)
		return true, nil
	})
	return u, existed, max(rev, marked), err
}

// killKey has the account refuse the user's key until every JWT that was or is
// being signed for it has expired, and returns the revision that says so.
func (c *Control) killKey(ctx context.Context, t *registry.Tenant, u registry.User) (uint64, error) {
	until := forEver
	if !u.Expires.IsZero() {
		until = later(u.Expires, time.Now().Add(c.cfg.Pace.Life)).Add(2 * leeway)
	}
	if t.Account.Revoked[u.PublicKey] > 0 || !u.Live() && time.Now().After(u.Expires.Add(2*leeway)) && !u.Expires.IsZero() {
		return t.AccountRevision, nil
	}
	after, _, err := account.IssuedAt(t.Account.JWT)
	if err != nil {
		return 0, err
	}
	next := t.Account
	if next.Revoked = maps.Clone(t.Account.Revoked); next.Revoked == nil {
		next.Revoked = map[string]int64{}
	}
	next.Revoked[u.PublicKey] = until.Unix()
	if next.JWT, err = c.sign(t, next, after); err != nil {
		return 0, err
	}
	return c.reg.PutAccount(ctx, t.ID, next, t.AccountRevision)
}

// stillRevoked is what of an account's revocations is worth keeping: a key
// whose JWTs have all expired needs none.
func stillRevoked(revoked map[string]int64, now time.Time) map[string]int64 {
	var out map[string]int64
	for key, until := range revoked {
		if now.Unix() <= until+int64(leeway/time.Second) {
			if out == nil {
				out = map[string]int64{}
			}
			out[key] = until
		}
	}
	return out
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// revokedUser is what a revoked user is told.
func revokedUser(t *registry.Tenant, u registry.User) error {
	return fault.WithHint(fault.New(fault.Denied, "user %s/%s was revoked at %s", t.ID, u.Name, u.Revoked.Format(time.RFC3339)),
		"its key is dead for good; ask an operator for a new user or, for a poller, a token")
}

// userRevoke ends a user; its record stays.
func (c *Control) userRevoke(ctx context.Context, who string, req api.UserRef) (any, error) {
	if req.Tenant == "" {
		return c.adminRevoke(ctx, who, req.Name)
	}
	u, existed, err := c.revoke(ctx, req)
	if err != nil {
		return nil, err
	}
	return api.Revoked{Tenant: req.Tenant, Name: u.Name, Role: string(u.Role), Revoked: u.Revoked, Existed: existed}, nil
}

// userDelete ends a user and forgets it, so that its name is free for a new
// key. The old one stays dead.
func (c *Control) userDelete(ctx context.Context, _ string, req api.UserRef) (any, error) {
	u, existed, err := c.revoke(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := c.reg.DeleteUser(ctx, event.Tenant(req.Tenant), u); err != nil {
		return nil, err
	}
	return api.Revoked{Tenant: req.Tenant, Name: u.Name, Role: string(u.Role), Revoked: u.Revoked, Existed: existed}, c.reg.Fresh(ctx)
}
