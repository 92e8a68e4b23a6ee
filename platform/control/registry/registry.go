// Package registry is the one source of truth of the control plane: JetStream
// KV in the CONTROL account. REGISTRY holds what operators declared (specs,
// accounts with sealed keys, users), STATUS what the running system says of
// itself. Every node mirrors both and derives an immutable View, which is all
// the ingress ever looks at. Writes are compare-and-set; reads that decide a
// write are by the revision they were seen at.
package registry

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/event"
	"midplane/fault"
	"midplane/tenants"
	"midplane/tenants/account"
)

// Buckets.
const (
	BucketRegistry = "REGISTRY"
	BucketStatus   = "STATUS"
)

// Bytes the buckets may hold; CONTROL's storage is larger than their sum.
const (
	registryBytes  = 256 << 20
	statusBytes    = 128 << 20
	ControlStorage = 1 << 30
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
	// Revoked are users' public keys, and by when (Unix seconds) every JWT that
	// was signed for them has expired: until then they are refused.
	Revoked map[string]int64 `json:"revoked,omitempty"`
	Roles   int              `json:"roles"` // account.RolesVersion it was signed with
	Deleted bool             `json:"deleted,omitempty"`
	// Leaving says that somebody asked for the tenant to go. Only that destroys
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

// User is the record of a tenant's user.
type User struct {
	Name      string       `json:"name"`
	Role      account.Role `json:"role"`
	PublicKey string       `json:"publicKey"`
	Subs      []string     `json:"subs"`
	// Site is where a poller is that joined without being declared in a file.
	Site    event.Site `json:"site,omitempty"`
	Created time.Time  `json:"created"`
	Expires time.Time  `json:"expires,omitzero"` // of its newest JWT; zero: never
	// Revoked is when the user was refused for good. The record stays: its key
	// is known to be dead.
	Revoked time.Time `json:"revoked,omitzero"`
	By      string    `json:"by,omitempty"` // who made it
}

// Live reports whether the user may still do anything.
func (u User) Live() bool { return u.Revoked.IsZero() }

// Keys of REGISTRY.
func specKey(t event.Tenant) string           { return "spec." + string(t) }
func accountKey(t event.Tenant) string        { return "account." + string(t) }
func madeKey(t event.Tenant) string           { return "made." + string(t) }
func userKey(t event.Tenant, n string) string { return "user." + string(t) + "." + n }
func sealContext(t event.Tenant) string       { return "tenant/" + string(t) }

// Registry writes the buckets and mirrors them.
type Registry struct {
	reg, status jetstream.KeyValue
	sealer      *account.Sealer
	Config      *Mirror // REGISTRY
	Status      *Mirror // STATUS
	views       *views
}

// Open makes the buckets when they are not there, replicated over replicas
// nodes, and retries until ctx ends: right after a start there is no leader yet.
func Open(ctx context.Context, js jetstream.JetStream, sealer *account.Sealer, replicas int, newMirror func(jetstream.KeyValue) *Mirror) (*Registry, error) {
	bucket := func(name string, size int64) (jetstream.KeyValue, error) {
		for {
			// Short: a request that finds no leader is never answered.
			tctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
			kv, err := js.KeyValue(tctx, name)
			if errors.Is(err, jetstream.ErrBucketNotFound) {
				kv, err = js.CreateKeyValue(tctx, jetstream.KeyValueConfig{
					Bucket: name, History: 1, Storage: jetstream.FileStorage, Replicas: replicas, MaxBytes: size,
				})
			}
			cancel()
			if err == nil {
				return kv, nil
			}
			select {
			case <-ctx.Done():
				return nil, fault.Wrap(fault.Unavailable, err, "bucket %s", name)
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	r := &Registry{sealer: sealer}
	var err error
	if r.reg, err = bucket(BucketRegistry, registryBytes); err != nil {
		return nil, err
	}
	if r.status, err = bucket(BucketStatus, statusBytes); err != nil {
		return nil, err
	}
	r.Config, r.Status = newMirror(r.reg), newMirror(r.status)
	r.views = newViews(r.Config, sealer)
	return r, nil
}

// PutSpec stores a tenant's spec; rev is the revision it was changed from, 0
// for a new tenant. A different revision in the registry is a Conflict.
func (r *Registry) PutSpec(ctx context.Context, spec *tenants.Spec, rev uint64) (uint64, error) {
	return r.cas(ctx, r.reg, specKey(spec.ID), spec, rev, "tenant "+string(spec.ID))
}

// PutAccount stores a tenant's account record by compare-and-set.
func (r *Registry) PutAccount(ctx context.Context, t event.Tenant, a Account, rev uint64) (uint64, error) {
	return r.cas(ctx, r.reg, accountKey(t), a, rev, "account of "+string(t))
}

// CreateUser stores a new user; an existing name is a Conflict.
func (r *Registry) CreateUser(ctx context.Context, t event.Tenant, u User) (uint64, error) {
	return r.cas(ctx, r.reg, userKey(t, u.Name), u, 0, "user "+string(t)+"/"+u.Name)
}

// DeleteSpec takes a tenant's spec away by compare-and-set.
func (r *Registry) DeleteSpec(ctx context.Context, t event.Tenant, rev uint64) error {
	return r.drop(ctx, specKey(t), rev, "tenant "+string(t))
}

// DropAccount forgets, by compare-and-set, the record of an account that was
// never made.
func (r *Registry) DropAccount(ctx context.Context, t event.Tenant, rev uint64) error {
	return r.drop(ctx, accountKey(t), rev, "account of "+string(t))
}

// PutMade says that the streams of a tenant's account have been made.
func (r *Registry) PutMade(ctx context.Context, t *Tenant) (uint64, error) {
	return r.cas(ctx, r.reg, madeKey(t.ID), t.Account.Key, t.madeRevision, "tenant "+string(t.ID))
}

// DropMade takes that back.
func (r *Registry) DropMade(ctx context.Context, t *Tenant) error {
	if t.madeRevision == 0 {
		return nil
	}
	return r.drop(ctx, madeKey(t.ID), t.madeRevision, "tenant "+string(t.ID))
}

func (r *Registry) drop(ctx context.Context, key string, rev uint64, what string) error {
	err := r.reg.Delete(ctx, key, jetstream.LastRevision(rev))
	if lost(err) {
		return changed(what)
	}
	return fault.Wrap(fault.Unavailable, err, "delete %s", what)
}

// DeleteUsers forgets every user of a tenant.
func (r *Registry) DeleteUsers(ctx context.Context, v *Tenant) error {
	for name := range v.Users {
		if err := r.reg.Delete(ctx, userKey(v.ID, name)); err != nil {
			return fault.Wrap(fault.Unavailable, err, "forget user %s/%s", v.ID, name)
		}
	}
	return nil
}

// Seal encrypts a tenant's secrets.
func (r *Registry) Seal(t event.Tenant, s Secrets) ([]byte, error) {
	return r.sealer.Seal(sealContext(t), s)
}

// PutStatus stores one key of STATUS, without comparing.
func (r *Registry) PutStatus(ctx context.Context, key string, v any) (uint64, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return 0, fault.Wrap(fault.Other, err, "encode %s", key)
	}
	rev, err := r.status.Put(ctx, key, data)
	return rev, fault.Wrap(fault.Unavailable, err, "store %s", key)
}

// CASStatus stores one key of STATUS by compare-and-set.
func (r *Registry) CASStatus(ctx context.Context, key string, v any, rev uint64) (uint64, error) {
	return r.cas(ctx, r.status, key, v, rev, key)
}

// DropStatus forgets one key of STATUS.
func (r *Registry) DropStatus(ctx context.Context, key string) error {
	return fault.Wrap(fault.Unavailable, r.status.Delete(ctx, key), "forget %s", key)
}

// Fresh waits until this node's copy of REGISTRY is as new as the bucket was
// when asked, so that whoever changed something through one node sees it
// through every other. Without a quorum there is nobody to ask, and the error
// is Unavailable; the copy can still be read.
func (r *Registry) Fresh(ctx context.Context) error {
	// Longer than it takes to notice that a watch has gone quiet.
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	status, err := r.reg.Status(ctx)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "the registry does not answer")
	}
	info, ok := status.(*jetstream.KeyValueBucketStatus)
	if !ok {
		return fault.New(fault.Other, "the registry's state has type %T", status)
	}
	return r.Config.Wait(ctx, info.StreamInfo().State.LastSeq)
}

// AwaitFresh repeats Fresh until it succeeds or ctx ends.
func (r *Registry) AwaitFresh(ctx context.Context) error {
	for {
		err := r.Fresh(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (r *Registry) cas(ctx context.Context, kv jetstream.KeyValue, key string, v any, rev uint64, what string) (uint64, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return 0, fault.Wrap(fault.Other, err, "encode %s", what)
	}
	var next uint64
	if rev == 0 {
		next, err = kv.Create(ctx, key, data)
	} else {
		next, err = kv.Update(ctx, key, data, rev)
	}
	if lost(err) {
		return 0, changed(what)
	}
	return next, fault.Wrap(fault.Unavailable, err, "store %s", what)
}

func changed(what string) error {
	return fault.WithHint(fault.New(fault.Conflict, "%s was changed by somebody else meanwhile", what), "look again, then repeat")
}

// lost reports whether a compare-and-set failed: the server says so in two ways.
func lost(err error) bool {
	if errors.Is(err, jetstream.ErrKeyExists) {
		return true
	}
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == 10071 || api.ErrorCode == 10164)
}
