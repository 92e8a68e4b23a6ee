// Package registry is the one source of truth of the control plane: JetStream
// KV in the CONTROL account. REGISTRY holds what operators declared, one kind
// of record in each of Specs, Accounts, Users, Tokens, Secrets and Levels; STATUS holds
// what the running system reports of itself. Every node mirrors both and derives
// an immutable View, which is all the ingress ever looks at. Writes are
// compare-and-set; reads that decide a write are by the revision they were seen
// at.
package registry

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/event"
	"midplane/fault"
	"midplane/internal/wait"
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
	// ControlReserved is what the buckets and the audit log may hold on each node.
	ControlReserved = registryBytes + statusBytes + AuditBytes
)

// Registry reads and writes the two buckets, REGISTRY by kinds of records.
type Registry struct {
	Specs    *SpecRecords
	Accounts *AccountRecords
	Users    *UserRecords
	Tokens   *TokenRecords
	Secrets  *SecretRecords
	Levels   *LevelRecords
	Config   *Mirror // of REGISTRY
	Status   *Mirror // of STATUS

	config, status bucket
	views          *views
}

// Open makes the buckets when they are not there, replicated over replicas
// nodes, and retries until ctx ends: right after a start there is no leader yet. failed
// gets every refusal, unless it is nil.
func Open(ctx context.Context, js jetstream.JetStream, sealer *account.Sealer, replicas int, failed func(error), newMirror func(jetstream.KeyValue) *Mirror) (*Registry, error) {
	bucketOf := func(name string, size int64) (jetstream.KeyValue, error) {
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
			var refused jetstream.JetStreamError
			if failed != nil && errors.As(err, &refused) && refused.APIError() != nil {
				failed(err)
			}
			if wait.For(ctx, 100*time.Millisecond) != nil {
				return nil, fault.Wrap(fault.Unavailable, err, "bucket %s", name)
			}
		}
	}
	config, err := bucketOf(BucketRegistry, registryBytes)
	if err != nil {
		return nil, err
	}
	status, err := bucketOf(BucketStatus, statusBytes)
	if err != nil {
		return nil, err
	}
	return newRegistry(bucket{config, newMirror(config)}, bucket{status, newMirror(status)}, sealer), nil
}

func newRegistry(config, status bucket, sealer *account.Sealer) *Registry {
	views := newViews(config.mirror, sealer)
	r := &Registry{
		Specs: &SpecRecords{in: config, views: views}, Accounts: &AccountRecords{config, sealer, views}, Users: &UserRecords{config}, Tokens: &TokenRecords{config}, Secrets: &SecretRecords{config, sealer},
		Levels: &LevelRecords{config}, Config: config.mirror, Status: status.mirror, config: config, status: status, views: views,
	}
	r.Specs.divide = r.divides
	r.Specs.declared = func(t event.Tenant) []byte { e, _ := r.Status.Get(DeclaredKey(t)); return e.Value }
	return r
}

// Fresh waits until this node's copy of REGISTRY is as new as the bucket was
// when asked, so that a change made through one node is seen through every
// other. Without a quorum there is no node to ask, and the error is Unavailable;
// the copy can still be read.
func (r *Registry) Fresh(ctx context.Context) error {
	return r.config.fresh(ctx)
}

// FreshStatus is Fresh for this node's copy of STATUS.
func (r *Registry) FreshStatus(ctx context.Context) error { return r.status.fresh(ctx) }

// AwaitFresh repeats Fresh until it succeeds or ctx ends.
func (r *Registry) AwaitFresh(ctx context.Context) error {
	for {
		err := r.Fresh(ctx)
		if err == nil {
			return nil
		}
		if wait.For(ctx, 100*time.Millisecond) != nil {
			return err
		}
	}
}
