package control

import (
	"context"
	"maps"

	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/registry"
	"midplane/tenants/account"
)

// remove takes a tenant down: streams first, then the tombstone, then what is
// remembered of it. The spec is gone already.
func (l *leader) remove(ctx context.Context, t *registry.Tenant) error {
	if err := l.reg.Fresh(ctx); err != nil {
		return err
	}
	if now := l.reg.View().Tenants[t.ID]; now == nil || !now.Leaving() || now.AccountRevision != t.AccountRevision {
		return fault.New(fault.Conflict, "tenant %s was changed meanwhile", t.ID)
	}
	if t.Capability != "" {
		js, err := l.cfg.Dialer.JetStream(t)
		if err == nil {
			for _, k := range streamKinds {
				rctx, cancel := request(ctx)
				err := js.DeleteStream(rctx, k.Stream())
				cancel()
				if err != nil && !isNotFound(err) {
					return fault.Wrap(fault.Unavailable, err, "delete stream %s of %s", k.Stream(), t.ID)
				}
			}
		} else {
			return err
		}
	}
	if t.SpecRevision != 0 && t.SpecRevision < t.AccountRevision {
		// Whoever asked got no further. One that is newer was applied since, and
		// is made anew.
		if err := l.reg.DeleteSpec(ctx, t.ID, t.SpecRevision); err != nil {
			return err
		}
	}
	if err := l.reg.DropMade(ctx, t); err != nil {
		return err
	}
	if err := l.reg.DeleteUsers(ctx, t); err != nil {
		return err
	}
	for _, tok := range l.reg.Tokens(t.ID) {
		if err := l.reg.DeleteToken(ctx, tok); err != nil {
			return err
		}
	}
	if err := l.reg.DeleteSecrets(ctx, t); err != nil {
		return err
	}
	if err := l.forget(ctx, t.ID); err != nil {
		return err
	}
	return l.bury(ctx, t)
}

// bury puts the tombstone in place of the account. One that was never made
// leaves nothing; a tombstone that another was to be made beside stays.
func (l *leader) bury(ctx context.Context, t *registry.Tenant) error {
	switch {
	case t.Account.Key == "":
		return l.reg.DropAccount(ctx, t.ID, t.AccountRevision)
	case t.Account.Deleted:
		stays := t.Account
		stays.Leaving = false
		_, err := l.reg.PutAccount(ctx, t.ID, stays, t.AccountRevision)
		return err
	}
	after, _, err := account.IssuedAt(t.Account.JWT)
	if err != nil {
		return err
	}
	token, err := l.cfg.Signer.Tombstone(t.ID, t.Account.Key, after)
	if err != nil {
		return err
	}
	past := maps.Clone(t.Account.Past)
	if past == nil {
		past = map[string]uint64{}
	}
	for name, n := range t.Account.Incarnations {
		past[name] = max(past[name], n)
	}
	l.cfg.Dialer.Drop(t.Account.Key) // before the tombstone throws it out and it knocks for ever
	_, err = l.reg.PutAccount(ctx, t.ID, registry.Account{Key: t.Account.Key, JWT: token, Deleted: true, Former: t.Account.Former, Past: past}, t.AccountRevision)
	return err
}

// forget drops everything STATUS says of a tenant.
func (l *leader) forget(ctx context.Context, id event.Tenant) error {
	keys := []string{registry.TenantKey(string(id)), declaredKey(id), driftKey(id)}
	for _, prefix := range []string{"cursor.", "poller."} {
		for rest := range registry.Collect[struct{}](l.reg, prefix+string(id)+".") {
			keys = append(keys, prefix+string(id)+"."+rest)
		}
	}
	for _, k := range keys {
		if _, ok := l.reg.Status.Get(k); !ok {
			continue
		}
		if err := l.reg.DropStatus(ctx, k); err != nil {
			return err
		}
	}
	return nil
}
