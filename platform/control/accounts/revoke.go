package accounts

import (
	"context"
	"maps"
	"time"

	"midplane/platform/registry"
	"midplane/tenants/account"
)

// leeway is how much clocks may differ, where our own code looks at one.
const leeway = time.Minute

// forEver is by when the JWTs of a user have expired that never do.
var forEver = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// RefuseKey has the account refuse the user's key until every JWT that was or is
// being signed for it has expired, and returns the revision that says so.
func (a *Accounts) RefuseKey(ctx context.Context, t *registry.Tenant, u registry.User) (uint64, error) {
	until := forEver
	if !u.Expires.IsZero() {
		until = later(u.Expires, time.Now().Add(a.cfg.Life)).Add(2 * leeway)
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
	if next.JWT, err = a.sign(t, next, after); err != nil {
		return 0, err
	}
	return a.cfg.Registry.Accounts.Put(ctx, t.ID, next, t.AccountRevision)
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
