package registry

import (
	"context"
	"strings"
	"time"

	"midplane/event"
	"midplane/fault"
	"midplane/tenants/account"
)

// Secret is the record of a value that tenants' files refer to as
// "secret:NAME". Sealed is bound to tenant, account and name: it opens nowhere
// else, nor for a later tenant of the same id.
type Secret struct {
	Name     string    `json:"name"`
	Account  string    `json:"account"` // public key of the account it was set for
	Sealed   []byte    `json:"sealed"`
	Set      time.Time `json:"set"`
	By       string    `json:"by"`
	Revision uint64    `json:"-"` // of the registry
}

// SecretRecords are the values that tenants' files refer to.
type SecretRecords struct {
	in     bucket
	sealer *account.Sealer
}

const secretKind = "secret."

func secretKey(t event.Tenant, name string) string { return secretKind + string(t) + "." + name }

func secretContext(t event.Tenant, account, name string) string {
	return "secret/" + string(t) + "/" + account + "/" + name
}

// Put stores a value, in place of the one that t shows, by
// compare-and-set.
func (r *SecretRecords) Put(ctx context.Context, t *Tenant, name, value, by string, at time.Time) (uint64, error) {
	sealed, err := r.sealer.Seal(secretContext(t.ID, t.Account.Key, name), value)
	if err != nil {
		return 0, err
	}
	s := Secret{Name: name, Account: t.Account.Key, Sealed: sealed, Set: at, By: by}
	was := t.Secrets[name]
	if was.Account != s.Account {
		return r.in.replace(ctx, secretKey(t.ID, name), s, was.Revision, "secret "+string(t.ID)+"/"+name)
	}
	return r.in.cas(ctx, secretKey(t.ID, name), s, was.Revision, "secret "+string(t.ID)+"/"+name)
}

// Open returns a value. The error never holds it.
func (r *SecretRecords) Open(t *Tenant, name string) (value string, err error) {
	s, ok := t.Secrets[name]
	if !ok || s.Account != t.Account.Key {
		return "", fault.New(fault.NotFound, "secret %s/%s is not set", t.ID, name)
	}
	err = r.sealer.Open(secretContext(t.ID, s.Account, name), s.Sealed, &value)
	return value, err
}

// Delete deletes a secret and returns a revision that is past it.
func (r *SecretRecords) Delete(ctx context.Context, t event.Tenant, name string) (uint64, error) {
	if err := r.in.kv.Delete(ctx, secretKey(t, name)); err != nil {
		return 0, fault.Wrap(fault.Unavailable, err, "forget secret %s/%s", t, name)
	}
	if err := r.in.fresh(ctx); err != nil {
		return 0, err
	}
	rev, _ := r.in.mirror.Revision()
	return rev, nil
}

// DeleteAll deletes every secret of a tenant.
func (r *SecretRecords) DeleteAll(ctx context.Context, t *Tenant) error {
	for name := range t.Secrets {
		if err := r.in.kv.Delete(ctx, secretKey(t.ID, name)); err != nil {
			return fault.Wrap(fault.Unavailable, err, "forget secret %s/%s", t.ID, name)
		}
	}
	return nil
}

// HasSecret reports whether a secret of that name is set for the tenant as it is.
func (t *Tenant) HasSecret(name string) bool {
	s, ok := t.Secrets[name]
	return ok && s.Account == t.Account.Key
}

// secrets reads the records of a tenant's secrets; what cannot be read counts
// as not set.
func secrets(g map[string]Entry) map[string]Secret {
	out := map[string]Secret{}
	for k, e := range g {
		name, ok := strings.CutPrefix(k, secretKind)
		if !ok {
			continue
		}
		var s Secret
		_ = decode(e.Value, &s) // then it has no account, and is not set
		s.Name, s.Revision = name, e.Revision
		out[name] = s
	}
	return out
}
