package control

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"maps"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/registry"
	"midplane/streams"
	"midplane/tenants"
	"midplane/tenants/account"
)

// work brings one tenant to what its spec says and returns the revision it
// brought it to. Every step looks at the world first; doing it twice changes
// nothing, and stopping after any step loses nothing.
func (l *leader) work(ctx context.Context, t *registry.Tenant) (uint64, error) {
	if t.Leaving() {
		return t.WorkRevision(), l.remove(ctx, t)
	}
	if t.Spec == nil {
		return t.WorkRevision(), nil
	}
	if t.Problem != "" {
		return t.WorkRevision(), fault.New(fault.Other, "%s", t.Problem)
	}
	// Whatever the rest of the work has to wait for, pollers do not.
	told := t.Open() && l.hint(t) == nil
	var err error
	if t.Account.JWT != "" && !t.Account.Deleted && limitsOf(t.Spec).Storage < t.Account.Signed.Storage {
		// A smaller quota comes last: below what its streams may hold, the server
		// refuses every change of them.
		if t, err = l.ensureStreams(ctx, t); err != nil {
			return t.WorkRevision(), err
		}
	}
	if t, err = l.ensureAccount(ctx, t); err != nil {
		return t.WorkRevision(), err
	}
	if t, err = l.correctAccount(ctx, t); err != nil {
		return t.WorkRevision(), err
	}
	// Streams are made by whichever nodes the meta leader picks: all must know
	// the account. One that is down catches up from the registry.
	pushed, cancel := context.WithTimeout(ctx, 5*time.Second)
	err = l.waitNodes(pushed, t.ID, t.AccountRevision)
	cancel()
	if err != nil {
		l.tel.Log.Debug("going on without a node", "tenant", t.ID, "error", err)
	}
	if t, err = l.ensureStreams(ctx, t); err != nil {
		return t.WorkRevision(), err
	}
	if t.Made != t.Account.Key {
		// Now there is something to read: primaries are told.
		if _, err := l.reg.PutMade(ctx, t); err != nil {
			return t.WorkRevision(), err
		}
	}
	if t, err = l.rotate(ctx, t); err != nil {
		return t.WorkRevision(), err
	}
	if err := l.ensureSubscriptions(ctx, t); err != nil {
		return t.WorkRevision(), err
	}
	if err := l.declare(ctx, t); err != nil {
		return t.WorkRevision(), err
	}
	if told {
		return t.WorkRevision(), nil
	}
	return t.WorkRevision(), l.hint(t)
}

// limitsOf returns what the account may use by its spec.
func limitsOf(s *tenants.Spec) account.Limits {
	return account.Limits{
		Connections: int64(s.Quota.Connections), Storage: int64(s.Quota.Storage),
		Subscriptions: int64(s.Quota.Subscriptions), Consumers: int64(s.Quota.Consumers), MaxAckPending: int64(s.Quota.MaxAckPending),
	}
}

// ensureAccount makes or re-signs the account's JWT: stored by compare-and-set
// first; every node takes it from the registry.
func (l *leader) ensureAccount(ctx context.Context, t *registry.Tenant) (*registry.Tenant, error) {
	want := limitsOf(t.Spec)
	revoked := stillRevoked(t.Account.Revoked, time.Now())
	if t.Account.JWT != "" && !t.Account.Deleted && t.Account.Signed == want && t.Account.Roles == account.RolesVersion && len(revoked) == len(t.Account.Revoked) {
		return t, nil
	}
	next, after := t.Account, time.Time{}
	next.Signed, next.Roles, next.Revoked = want, account.RolesVersion, revoked
	if t.Account.JWT == "" || t.Account.Deleted {
		keys, err := account.NewKeys(account.TenantRoles)
		if err != nil {
			return t, err
		}
		secrets := registry.Secrets{Keys: keys, Capability: randomToken()}
		next = registry.Account{Key: keys.Public, Signed: want, Roles: account.RolesVersion, Former: t.Account.Former, Past: t.Account.Past, Incarnations: map[string]uint64{}}
		if next.Sealed, err = l.reg.Seal(t.ID, secrets); err != nil {
			return t, err
		}
		if t.Account.Deleted {
			next.Former = maps.Clone(t.Account.Former)
			if next.Former == nil {
				next.Former = map[string]string{}
			}
			next.Former[t.Account.Key] = t.Account.JWT
		}
		t = &registry.Tenant{ID: t.ID, Spec: t.Spec, SpecRevision: t.SpecRevision, Revision: t.Revision, AccountRevision: t.AccountRevision,
			Keys: keys, Schemas: t.Schemas, Users: t.Users, Capability: capabilityOf(secrets)}
	} else {
		var err error
		if after, _, err = account.IssuedAt(t.Account.JWT); err != nil {
			return t, err
		}
	}
	var err error
	next.JWT, err = l.sign(t, next, after)
	if err != nil {
		return t, err
	}
	return l.putAccount(ctx, t, next)
}

// sign signs the account's JWT for what its record says.
func (c *Control) sign(t *registry.Tenant, a registry.Account, after time.Time) (string, error) {
	plan := c.planned(t, a)
	plan.After = after
	return c.cfg.Signer.Tenant(plan)
}

// planned is what the account is to be by its record.
func (c *Control) planned(t *registry.Tenant, a registry.Account) account.Tenant {
	return account.Tenant{
		ID: t.ID, Keys: t.Keys, Hubs: account.Hubs{Control: c.cfg.Control.Public, System: c.cfg.System},
		Capability: t.Capability, Retired: t.Retired, Limits: a.Signed, Revoked: a.Revoked,
	}
}

// putAccount stores the record and returns the tenant as the registry then has it.
func (l *leader) putAccount(ctx context.Context, t *registry.Tenant, next registry.Account) (*registry.Tenant, error) {
	rev, err := l.reg.PutAccount(ctx, t.ID, next, t.AccountRevision)
	if err != nil {
		return t, err
	}
	view, err := l.reg.WaitView(ctx, rev)
	if err != nil {
		return t, err
	}
	if now := view.Tenants[t.ID]; now != nil {
		if now.SpecRevision != t.SpecRevision {
			return t, fault.New(fault.Conflict, "tenant %s was changed meanwhile", t.ID)
		}
		return now, nil
	}
	return t, fault.New(fault.Conflict, "tenant %s went away meanwhile", t.ID)
}

// randomToken returns 26 lower-case characters that nobody can guess.
func randomToken() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// ensureStreams makes the streams that are missing. The incarnation of such a
// stream is raised first: whoever read the old one must never take its cursor
// for one of the new, also when we stop between the two.
func (l *leader) ensureStreams(ctx context.Context, t *registry.Tenant) (*registry.Tenant, error) {
	js, err := l.cfg.Dialer.JetStream(t)
	if err != nil {
		return t, err
	}
	if t, err = l.announceStreams(ctx, t, js); err != nil {
		return t, err
	}
	if _, err = streams.Ensure(ctx, js, streams.Tenant(l.streamLimits(t.Spec), t.Listening()...)); err != nil {
		return t, fault.Wrap(fault.Other, err, "streams of %s", t.ID)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range streamKinds {
		delete(l.raised, t.Account.Key+k.Stream()) // should one vanish, it is raised again
	}
	return t, nil
}

// announceStreams raises the incarnation of every stream that is not there,
// once in a term however often making it has to be tried.
func (l *leader) announceStreams(ctx context.Context, t *registry.Tenant, js jetstream.JetStream) (*registry.Tenant, error) {
	next := t.Account
	next.Incarnations = maps.Clone(t.Account.Incarnations)
	if next.Incarnations == nil {
		next.Incarnations = map[string]uint64{}
	}
	for _, k := range streamKinds {
		name := k.Stream()
		l.mu.Lock()
		raised := l.raised[t.Account.Key+name]
		l.mu.Unlock()
		rctx, cancel := request(ctx)
		_, err := js.Stream(rctx, name)
		cancel()
		switch {
		case err == nil:
			if next.Incarnations[name] > 0 {
				continue
			}
		case !errors.Is(err, jetstream.ErrStreamNotFound) && !errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
			return t, fault.Wrap(fault.Unavailable, err, "stream %s of %s", name, t.ID)
		case raised:
			continue
		}
		next.Incarnations[name] = max(next.Incarnations[name], next.Past[name]) + 1
	}
	if maps.Equal(next.Incarnations, t.Account.Incarnations) {
		return t, nil
	}
	was := t.Account.Incarnations
	t, err := l.putAccount(ctx, t, next)
	if err != nil {
		return t, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, n := range next.Incarnations {
		if n != was[name] {
			l.raised[t.Account.Key+name] = true
		}
	}
	return t, nil
}

var streamKinds = []event.Kind{event.KindEvent, event.KindState, event.KindMetric, event.KindDead}

func (c *Control) streamLimits(s *tenants.Spec) streams.Limits {
	lim := s.Limits()
	lim.Replicas = c.cfg.Replicas
	lim.MaxMsgSize = account.MaxPayload
	return lim
}

func (l *leader) ensureSubscriptions(ctx context.Context, t *registry.Tenant) error {
	// A durable that an older spec does not name would be deleted, and with it
	// what its application has read up to.
	if err := l.reg.Fresh(ctx); err != nil {
		return err
	}
	if now := l.reg.View().Tenants[t.ID]; now == nil || now.SpecRevision != t.SpecRevision {
		return fault.New(fault.Conflict, "tenant %s was changed meanwhile", t.ID)
	}
	js, err := l.cfg.Dialer.JetStream(t)
	if err != nil {
		return err
	}
	for _, k := range streamKinds {
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
