package registry

import (
	"context"
	"encoding/json"

	"midplane/event"
	"midplane/fault"
	"midplane/internal/jsonfields"
	"midplane/tenants/account"
)

// Account is the record of a tenant's account.
type Account struct {
	Key          string            `json:"key"` // public key
	JWT          string            `json:"jwt"`
	Sealed       []byte            `json:"sealed,omitempty"` // Secrets; gone when deleted
	Incarnations map[string]uint64 `json:"incarnations"`     // per stream; creation and restore raise it
	// Past is how far Incarnations had come in accounts that had this tenant's
	// id before: a reader must not take their cursors for cursors of the new.
	Past   map[string]uint64 `json:"past,omitempty"`
	Signed account.Limits    `json:"signed"` // what the JWT allows
	// Unbounded is set when the streams are to have no limit of their own: once
	// every node has a JWT that allows it.
	Unbounded bool `json:"unbounded,omitempty"`
	// Revoked are users' public keys, and by when (Unix seconds) every JWT that
	// was signed for them has expired: until then they are refused.
	Revoked map[string]int64 `json:"revoked,omitempty"`
	Roles   int              `json:"roles"` // account.RolesVersion it was signed with
	Deleted bool             `json:"deleted,omitempty"`
	// Leaving is set when the tenant was asked to go. Only that destroys
	// anything: a spec that is missing or cannot be read never does.
	Leaving bool `json:"leaving,omitempty"`
	// Former are the tombstones of accounts that had this tenant's id before,
	// by account key: a node that was away must still learn of them.
	Former map[string]string `json:"former,omitempty"`
}

// Secrets are what must not be readable in the registry.
type Secrets struct {
	Keys       account.Keys `json:"keys"`
	Capability string       `json:"capability"`
	// Next is the capability that is being rotated in: streams come to listen
	// behind it, too, before anybody publishes there.
	Next string `json:"next,omitempty"`
	// Retired are the roles' former signing keys that still hold.
	Retired []account.Retired `json:"retired,omitempty"`
}

// AccountRecords are the tenants' accounts.
type AccountRecords struct {
	in     bucket
	sealer *account.Sealer
	views  *views
}

func accountKey(t event.Tenant) string  { return "account." + string(t) }
func madeKey(t event.Tenant) string     { return "made." + string(t) }
func sealContext(t event.Tenant) string { return "tenant/" + string(t) }

// Put stores a tenant's account record by compare-and-set.
func (r *AccountRecords) Put(ctx context.Context, t event.Tenant, a Account, rev uint64) (uint64, error) {
	var was Account
	if json.Unmarshal(r.in.stored(ctx, accountKey(t), rev), &was) == nil && was.Key != a.Key {
		return r.in.replace(ctx, accountKey(t), a, rev, "account of "+string(t))
	}
	return r.in.cas(ctx, accountKey(t), a, rev, "account of "+string(t))
}

// Drop deletes, by compare-and-set, the record of an account that was never
// made.
func (r *AccountRecords) Drop(ctx context.Context, t event.Tenant, rev uint64) error {
	return r.in.drop(ctx, accountKey(t), rev, "account of "+string(t))
}

// PutMade records that the streams of a tenant's account have been made.
func (r *AccountRecords) PutMade(ctx context.Context, t *Tenant) (uint64, error) {
	return r.in.cas(ctx, madeKey(t.ID), t.Account.Key, t.madeRevision, "tenant "+string(t.ID))
}

// DropMade takes that back.
func (r *AccountRecords) DropMade(ctx context.Context, t *Tenant) error {
	if t.madeRevision == 0 {
		return nil
	}
	return r.in.drop(ctx, madeKey(t.ID), t.madeRevision, "tenant "+string(t.ID))
}

// Seal encrypts a tenant's secrets. What a newer version has put among those of
// the same account stays there.
func (r *AccountRecords) Seal(t event.Tenant, s Secrets) ([]byte, error) {
	var was []byte
	if now := r.views.current().Tenants[t]; now != nil && now.Keys.Public == s.Keys.Public {
		was = now.unsealed
	}
	data, err := jsonfields.Marshal(was, s)
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "encode the secrets of %s", t)
	}
	return r.sealer.Seal(sealContext(t), json.RawMessage(data))
}
