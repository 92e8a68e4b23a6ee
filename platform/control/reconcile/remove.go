package reconcile

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/accounts"
	"midplane/platform/control/dial"
	"midplane/platform/registry"
)

// remove takes a tenant down: streams first, then the tombstone, then what is
// remembered of it. The spec is gone already.
func (w *Walk) remove(ctx context.Context, t *registry.Tenant) error {
	if err := w.cfg.Registry.Fresh(ctx); err != nil {
		return err
	}
	if now := w.cfg.Registry.View().Tenants[t.ID]; now == nil || !now.Leaving() || now.AccountRevision != t.AccountRevision {
		return fault.New(fault.Conflict, "tenant %s was changed in between", t.ID)
	}
	if t.Capability != "" {
		js, err := w.cfg.Dialer.JetStream(t)
		if err == nil {
			for _, k := range event.Kinds {
				rctx, cancel := dial.Request(ctx)
				err := js.DeleteStream(rctx, k.Stream())
				cancel()
				if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
					return fault.Wrap(fault.Unavailable, err, "delete stream %s of %s", k.Stream(), t.ID)
				}
			}
		} else {
			return err
		}
	}
	if t.SpecRevision != 0 && t.SpecRevision < t.AccountRevision {
		// The node that was asked got no further. A spec that is newer was applied
		// since, and is made.
		if err := w.cfg.Registry.Specs.Delete(ctx, t.ID, t.SpecRevision); err != nil {
			return err
		}
	}
	if err := w.cfg.Registry.Accounts.DropMade(ctx, t); err != nil {
		return err
	}
	if err := w.cfg.Registry.Users.DeleteAll(ctx, t); err != nil {
		return err
	}
	for _, tok := range w.cfg.Registry.Tokens.Of(t.ID) {
		if err := w.cfg.Registry.Tokens.Delete(ctx, tok); err != nil {
			return err
		}
	}
	if err := w.cfg.Registry.Secrets.DeleteAll(ctx, t); err != nil {
		return err
	}
	if err := w.forget(ctx, t.ID); err != nil {
		return err
	}
	w.cfg.Dialer.Drop(t.Account.Key) // before the tombstone closes it and it reconnects for ever
	return w.cfg.Accounts.PutTombstone(ctx, t)
}

// forget deletes everything STATUS says of a tenant.
func (w *Walk) forget(ctx context.Context, id event.Tenant) error {
	keys := []string{registry.TenantKey(string(id)), registry.DeclaredKey(id), accounts.DriftKey(id)}
	for _, prefix := range []string{"cursor.", "poller.", "resend.", "held.", registry.RemovedPrefix} {
		for rest := range registry.Collect[json.RawMessage](w.cfg.Registry, prefix+string(id)+".") {
			keys = append(keys, prefix+string(id)+"."+rest)
		}
	}
	for _, k := range keys {
		if _, ok := w.cfg.Registry.Status.Get(k); !ok {
			continue
		}
		if err := w.cfg.Registry.DropStatus(ctx, k); err != nil {
			return err
		}
	}
	return nil
}
