// Package accounts keeps the accounts of tenants: it signs their JWTs for what
// their records say, stores them for every node to apply, replaces their keys, has
// them refuse a user's key, corrects what differs from the plan, and leaves a
// tombstone in the end. The hub account CONTROL is kept by each node for itself.
// It touches account records, and this node's server for CONTROL alone.
package accounts

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"time"

	"midplane/fault"
	"midplane/platform/registry"
	"midplane/streams"
	"midplane/subject"
	"midplane/tenants"
	"midplane/tenants/account"
)

// Config is what Accounts are given.
type Config struct {
	Registry *registry.Registry
	Signer   *account.Signer
	Control  string        // public key of the CONTROL account
	System   string        // of the SYS account
	Life     time.Duration // of the JWT of a user that renews it
}

// Accounts signs and stores the records of tenants' accounts.
type Accounts struct{ cfg Config }

// New returns Accounts.
func New(cfg Config) *Accounts { return &Accounts{cfg: cfg} }

// LimitsOf returns what the account may use by its spec. unbounded is whether it
// alone bounds what its streams hold.
func LimitsOf(s *tenants.Spec, unbounded bool) account.Limits {
	l := account.Limits{
		Connections: int64(s.Quota.Connections), Storage: int64(s.Quota.Storage),
		Subscriptions: int64(s.Quota.Subscriptions), Consumers: int64(s.Quota.Consumers), MaxAckPending: int64(s.Quota.MaxAckPending),
		Unbounded: unbounded,
	}
	if unbounded {
		l.Storage += streams.Reserve(l.Storage)
	}
	return l
}

// Ensure makes or re-signs the account's JWT: stored by compare-and-set
// first; every node takes it from the registry. unbounded is whether it allows
// streams without a limit of their own.
func (a *Accounts) Ensure(ctx context.Context, t *registry.Tenant, unbounded bool) (*registry.Tenant, error) {
	want := LimitsOf(t.Spec, unbounded)
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
		secrets := registry.Secrets{Keys: keys, Capability: newCapability()}
		next = registry.Account{Key: keys.Public, Signed: want, Unbounded: unbounded, Roles: account.RolesVersion, Former: t.Account.Former, Past: t.Account.Past, Incarnations: map[string]uint64{}}
		if next.Sealed, err = a.cfg.Registry.Accounts.Seal(t.ID, secrets); err != nil {
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
			Keys: keys, Schemas: t.Schemas, Users: t.Users, Capability: subject.Capability(secrets.Capability)}
	} else {
		var err error
		if after, _, err = account.IssuedAt(t.Account.JWT); err != nil {
			return t, err
		}
	}
	var err error
	if next.JWT, err = a.sign(t, next, after); err != nil {
		return t, err
	}
	return a.Put(ctx, t, next)
}

// sign signs the account's JWT for what its record says.
func (a *Accounts) sign(t *registry.Tenant, rec registry.Account, after time.Time) (string, error) {
	plan := a.planned(t, rec)
	plan.After = after
	return a.cfg.Signer.Tenant(plan)
}

// planned is what the account is to be by its record.
func (a *Accounts) planned(t *registry.Tenant, rec registry.Account) account.Tenant {
	return account.Tenant{
		ID: t.ID, Keys: t.Keys, Hubs: account.Hubs{Control: a.cfg.Control, System: a.cfg.System},
		Capability: t.Capability, Retired: t.Retired, Limits: rec.Signed, Revoked: rec.Revoked,
	}
}

// differs returns in which parts a JWT of a tenant's account differs from its plan.
func (a *Accounts) differs(t *registry.Tenant, token string) ([]string, error) {
	return a.cfg.Signer.Drift(token, a.planned(t, t.Account))
}

// Put stores the record and returns the tenant as the registry then has it.
func (a *Accounts) Put(ctx context.Context, t *registry.Tenant, next registry.Account) (*registry.Tenant, error) {
	rev, err := a.cfg.Registry.Accounts.Put(ctx, t.ID, next, t.AccountRevision)
	if err != nil {
		return t, err
	}
	view, err := a.cfg.Registry.WaitView(ctx, rev)
	if err != nil {
		return t, err
	}
	if now := view.Tenants[t.ID]; now != nil {
		if now.SpecRevision != t.SpecRevision {
			return t, fault.New(fault.Conflict, "tenant %s was changed in between", t.ID)
		}
		return now, nil
	}
	return t, fault.New(fault.Conflict, "tenant %s was deleted in between", t.ID)
}

// PutTombstone puts the tombstone in place of the account. An account that was never made
// leaves nothing; a tombstone stays as it is.
func (a *Accounts) PutTombstone(ctx context.Context, t *registry.Tenant) error {
	switch {
	case t.Account.Key == "":
		return a.cfg.Registry.Accounts.Drop(ctx, t.ID, t.AccountRevision)
	case t.Account.Deleted:
		stays := t.Account
		stays.Leaving = false
		_, err := a.cfg.Registry.Accounts.Put(ctx, t.ID, stays, t.AccountRevision)
		return err
	}
	after, _, err := account.IssuedAt(t.Account.JWT)
	if err != nil {
		return err
	}
	token, err := a.cfg.Signer.Tombstone(t.ID, t.Account.Key, after)
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
	_, err = a.cfg.Registry.Accounts.Put(ctx, t.ID, registry.Account{Key: t.Account.Key, JWT: token, Deleted: true, Former: t.Account.Former, Past: past}, t.AccountRevision)
	return err
}

// newCapability returns lower-case characters that cannot be guessed.
func newCapability() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
