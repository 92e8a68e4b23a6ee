package users

import (
	"context"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/registry"
	"midplane/tenants/account"
)

// ended is what a revocation has done.
type ended struct {
	user     registry.User
	existed  bool   // the user had been revoked before
	tokens   int    // open tokens of the poller that were revoked with it
	revision uint64 // every live node must know it
}

func (e ended) answer(tenant string) api.Revoked {
	return api.Revoked{Tenant: tenant, Name: e.user.Name, Role: string(e.user.Role), Revoked: e.user.Revoked, Existed: e.existed, Tokens: e.tokens}
}

// revoke ends a user for good: its key is refused by the account's JWT,
// which disconnects it everywhere, and its record says so. The account comes
// first: a JWT that another node signs for the key at that moment is dead, too. Doing
// it again goes on with what an interruption has left. It returns when every
// live node knows.
func (s *Users) revoke(ctx context.Context, ref api.UserRef) (ended, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	id := event.Tenant(ref.Tenant)
	var out ended
	for {
		err := s.tryRevoke(ctx, id, ref, &out)
		if err == nil {
			return out, s.cfg.Registry.WaitLoaded(ctx, id, out.revision)
		}
		if !fault.Is(err, fault.Conflict) || fault.HintOf(err) == meant {
			return out, err
		}
		if err := s.cfg.Registry.Fresh(ctx); err != nil {
			return out, err
		}
	}
}

// meant is the hint of a conflict that does not go away by looking again.
const meant = "see: midplane user list"

func (s *Users) tryRevoke(ctx context.Context, id event.Tenant, ref api.UserRef, out *ended) error {
	t, err := s.cfg.Registry.View().Declared(string(id))
	if err != nil {
		return err
	}
	u, _, ok := s.cfg.Registry.Users.Get(id, ref.Name)
	switch {
	case !ok:
		if token := s.cfg.Tokens.openOf(id, ref.Name); token != "" {
			return fault.WithHint(fault.New(fault.NotFound, "no machine has joined as poller %s/%s yet", id, ref.Name),
				"it has an open token; to make that worthless: midplane token revoke %s", token)
		}
		return fault.WithHint(fault.New(fault.NotFound, "user %s/%s does not exist", id, ref.Name), "see: midplane user list --tenant %s", id)
	case ref.Role != "" && string(u.Role) != ref.Role:
		return fault.WithHint(fault.New(fault.Conflict, "%s/%s is no %s but has role %s", id, ref.Name, ref.Role, u.Role), meant)
	case !t.Open():
		return fault.WithHint(fault.New(fault.Unavailable, "tenant %s is not ready", id), "wait for it: midplane status")
	}
	if u.Role == account.RolePoller {
		// Before the poller itself: as long as it lives, no other token is made.
		closed, err := s.cfg.Tokens.closeOf(ctx, id, u.Name)
		out.tokens += closed
		if err != nil {
			return err
		}
	}
	out.user, out.existed = u, !u.Live()
	if out.revision, err = s.cfg.Accounts.RefuseKey(ctx, t, u); err != nil {
		return err
	}
	key := u.PublicKey
	u, marked, err := s.cfg.Registry.Users.Change(ctx, id, ref.Name, func(u *registry.User) (bool, error) {
		if u.PublicKey != key {
			return false, fault.New(fault.Conflict, "user %s/%s has another key by now", id, ref.Name)
		}
		if !u.Live() {
			return false, nil
		}
		u.Revoked = time.Now().UTC().Truncate(time.Millisecond)
		return true, nil
	})
	out.user, out.revision = u, max(out.revision, marked)
	return err
}

// RevokedError is the answer to a user that was revoked.
func RevokedError(t *registry.Tenant, u registry.User) error {
	if err := u.Newer(); err != nil {
		return fault.Wrap(fault.Other, err, "user %s/%s", t.ID, u.Name)
	}
	return fault.WithHint(fault.New(fault.Denied, "user %s/%s was revoked at %s", t.ID, u.Name, u.Revoked.Format(time.RFC3339)),
		"its key is dead for good; ask an operator for a new user or, for a poller, a token")
}

// Revoke ends a user; its record stays.
func (s *Users) Revoke(ctx context.Context, who string, req api.UserRef) (any, error) {
	if req.Tenant == "" {
		return s.cfg.Admins.Revoke(ctx, who, req.Name)
	}
	e, err := s.revoke(ctx, req)
	if err != nil {
		return nil, err
	}
	return e.answer(req.Tenant), nil
}

// Delete ends a user and deletes its record, so that its name is free for a new
// key. The old one stays dead.
func (s *Users) Delete(ctx context.Context, _ string, req api.UserRef) (any, error) {
	e, err := s.revoke(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := s.cfg.Registry.Users.Delete(ctx, event.Tenant(req.Tenant), e.user); err != nil {
		return nil, err
	}
	return e.answer(req.Tenant), s.cfg.Registry.Fresh(ctx)
}
