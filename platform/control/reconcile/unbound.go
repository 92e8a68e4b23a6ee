package reconcile

import (
	"context"

	"midplane/platform/registry"
)

// A server does not recover a stream without a limit of its own while the account's
// JWT asks for one. So the JWT comes first and the streams after it, and on the way
// back the streams come first: each once every node that is known has what came
// before, those too that are down at this moment, since they start with what they
// have. Account.Unbounded is the mark between the two.

// allowed reports whether the account's JWT is to allow streams without a limit of
// their own.
func (w *Walk) allowed(t *registry.Tenant, want bool) bool {
	if want || !t.Account.Signed.Unbounded {
		return want
	}
	return t.Account.Unbounded || len(w.cfg.Registry.Behind(t.ID, t.AccountRevision)) > 0
}

// unbound marks that the streams are to have no limit of their own, once every node
// has a JWT that allows it.
func (w *Walk) unbound(ctx context.Context, t *registry.Tenant, want bool) (*registry.Tenant, error) {
	if !want || t.Account.Unbounded || !t.Account.Signed.Unbounded {
		return t, nil
	}
	if behind := w.cfg.Registry.Behind(t.ID, t.AccountRevision); len(behind) > 0 {
		w.cfg.Log.Debug("streams keep limits of their own until every node has the account's JWT", "tenant", t.ID, "nodes", behind)
		return t, nil
	}
	next := t.Account
	next.Unbounded = true
	return w.cfg.Accounts.Put(ctx, t, next)
}

// bound gives the streams limits of their own again, and then takes the mark away.
func (w *Walk) bound(ctx context.Context, t *registry.Tenant) (*registry.Tenant, error) {
	t, err := w.streams(ctx, t, false)
	if err != nil {
		return t, err
	}
	next := t.Account
	next.Unbounded = false
	if t, err = w.cfg.Accounts.Put(ctx, t, next); err == nil {
		w.loaded(ctx, t)
	}
	return t, err
}
