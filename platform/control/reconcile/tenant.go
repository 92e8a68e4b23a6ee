package reconcile

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/accounts"
	"midplane/platform/control/dial"
	"midplane/platform/registry"
	"midplane/streams"
	"midplane/tenants"
	"midplane/tenants/account"
)

// Settle brings one tenant to what its spec says and returns the revision it
// brought it to. Every step looks at the world first; doing it twice changes
// nothing, and stopping after any step loses nothing.
func (w *Walk) Settle(ctx context.Context, t *registry.Tenant) (revision uint64, err error) {
	t, err = w.settle(ctx, t)
	return t.WorkRevision(), err
}

// settle returns the tenant as the registry has it after the last step.
func (w *Walk) settle(ctx context.Context, t *registry.Tenant) (*registry.Tenant, error) {
	if t.Leaving() {
		return t, w.remove(ctx, t)
	}
	if t.Spec == nil {
		return t, nil
	}
	if t.Problem != "" {
		return t, fault.New(fault.Other, "%s", t.Problem)
	}
	// The rest may have to wait for something; pollers do not.
	hinted := t.Open() && w.hint(t) == nil
	unbounded, err := w.cfg.Registry.Unbounded()
	if err != nil {
		return t, err
	}
	there := t.Account.JWT != "" && !t.Account.Deleted
	if there && t.Account.Unbounded && !unbounded {
		if t, err = w.bound(ctx, t); err != nil {
			return t, err
		}
	}
	allowed := w.allowed(t, unbounded)
	if there && accounts.LimitsOf(t.Spec, allowed).Storage < t.Account.Signed.Storage {
		// A smaller quota comes last: below what its streams may hold, the server
		// refuses every change of them.
		if t, err = w.streams(ctx, t, t.Account.Unbounded); err != nil {
			return t, err
		}
	}
	if t, err = w.cfg.Accounts.Ensure(ctx, t, allowed); err != nil {
		return t, err
	}
	if t, err = w.cfg.Corrector.Correct(ctx, t); err != nil {
		return t, err
	}
	w.loaded(ctx, t)
	if t, err = w.unbound(ctx, t, unbounded); err != nil {
		return t, err
	}
	if t, err = w.streams(ctx, t, t.Account.Unbounded); err != nil {
		return t, err
	}
	if t.Made != t.Account.Key {
		// Now there is something to read, and primaries learn of it.
		if _, err := w.cfg.Registry.Accounts.PutMade(ctx, t); err != nil {
			return t, err
		}
	}
	t, moved, err := w.cfg.Rotations.Step(ctx, t)
	if err != nil {
		return t, err
	}
	if moved {
		if t, err = w.streams(ctx, t, t.Account.Unbounded); err != nil {
			return t, err
		}
	}
	if err := w.subscriptions(ctx, t); err != nil {
		return t, err
	}
	if err := w.declare(ctx, t); err != nil {
		return t, err
	}
	if hinted {
		return t, nil
	}
	return t, w.hint(t)
}

// loaded waits until the nodes that live have the account. Streams are made by
// whichever nodes the meta leader picks: all must know it. One that is down catches up
// from the registry.
func (w *Walk) loaded(ctx context.Context, t *registry.Tenant) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := w.cfg.Registry.WaitLoaded(ctx, t.ID, t.AccountRevision); err != nil {
		w.cfg.Log.Debug("going on without a node", "tenant", t.ID, "error", err)
	}
}

// streams makes the streams that are missing. The incarnation of such a stream is
// raised first: a reader of the old one must never take its cursor for one of the
// new, also when we stop between the two. unbounded leaves their shares to the doors.
func (w *Walk) streams(ctx context.Context, t *registry.Tenant, unbounded bool) (*registry.Tenant, error) {
	js, err := w.cfg.Dialer.JetStream(t)
	if err != nil {
		return t, err
	}
	t, have, err := w.announce(ctx, t, js)
	if err != nil {
		return t, err
	}
	want := streams.Tenant(w.limits(t.Spec, unbounded), t.Listening()...)
	if len(streams.Plan(want, have)) > 0 {
		if _, err = streams.Ensure(ctx, js, want); err != nil {
			return t, fault.Wrap(fault.Other, err, "streams of %s", t.ID)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range event.Kinds {
		delete(w.raised, t.Account.Key+k.Stream()) // should one vanish, it is raised again
	}
	return t, nil
}

// announce raises the incarnation of every stream that is not there,
// once in a term however often making it has to be tried. It returns those that are.
func (w *Walk) announce(ctx context.Context, t *registry.Tenant, js jetstream.JetStream) (_ *registry.Tenant, have []jetstream.StreamConfig, err error) {
	next := t.Account
	next.Incarnations = maps.Clone(t.Account.Incarnations)
	if next.Incarnations == nil {
		next.Incarnations = map[string]uint64{}
	}
	for _, k := range event.Kinds {
		name := k.Stream()
		w.mu.Lock()
		raised := w.raised[t.Account.Key+name]
		w.mu.Unlock()
		rctx, cancel := dial.Request(ctx)
		s, err := js.Stream(rctx, name)
		cancel()
		switch {
		case err == nil:
			have = append(have, s.CachedInfo().Config)
			if next.Incarnations[name] > 0 {
				continue
			}
		case !errors.Is(err, jetstream.ErrStreamNotFound) && !errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
			return t, nil, fault.Wrap(fault.Unavailable, err, "stream %s of %s", name, t.ID)
		case raised:
			continue
		}
		next.Incarnations[name] = max(next.Incarnations[name], next.Past[name]) + 1
	}
	if maps.Equal(next.Incarnations, t.Account.Incarnations) {
		return t, have, nil
	}
	was := t.Account.Incarnations
	if t, err = w.cfg.Accounts.Put(ctx, t, next); err != nil {
		return t, nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, n := range next.Incarnations {
		if n != was[name] {
			w.raised[t.Account.Key+name] = true
		}
	}
	return t, have, nil
}

func (w *Walk) limits(s *tenants.Spec, unbounded bool) streams.Limits {
	lim := s.Limits()
	lim.Unbounded = unbounded
	lim.Replicas = w.cfg.Replicas
	lim.MaxMsgSize = account.MaxPayload
	return lim
}

// subscriptions makes the durable consumers that the spec declares, and deletes those
// that it does not.
func (w *Walk) subscriptions(ctx context.Context, t *registry.Tenant) error {
	// A durable that an older spec does not name would be deleted, and with it
	// what its application has read up to.
	if err := w.cfg.Registry.Fresh(ctx); err != nil {
		return err
	}
	if now := w.cfg.Registry.View().Tenants[t.ID]; now == nil || now.SpecRevision != t.SpecRevision {
		return fault.New(fault.Conflict, "tenant %s was changed in between", t.ID)
	}
	js, err := w.cfg.Dialer.JetStream(t)
	if err != nil {
		return err
	}
	for _, k := range event.Kinds {
		want, err := t.Spec.Consumers(k.Stream())
		if err != nil {
			return err
		}
		if _, err := streams.EnsureConsumers(ctx, js, k.Stream(), want); err != nil {
			return fault.Wrap(fault.Other, err, "subscriptions of %s", t.ID)
		}
	}
	return nil
}

// hint has every poller of the tenant ask for its configuration now. A poller that
// misses it asks by itself within ten seconds.
func (w *Walk) hint(t *registry.Tenant) error {
	nc, err := w.cfg.Dialer.Control(t)
	if err != nil {
		return err
	}
	for _, p := range t.Spec.Pollers() {
		if err := (api.Hint{Revision: t.SpecRevision}).Send(nc, string(p.ID)); err != nil {
			return err
		}
	}
	return nil
}
