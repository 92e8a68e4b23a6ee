package reconcile

import (
	"context"
	"log/slog"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/platform/registry"
)

// Dialer opens connections into tenants' accounts.
type Dialer interface {
	Control(t *registry.Tenant) (*nats.Conn, error)
	JetStream(t *registry.Tenant) (jetstream.JetStream, error)
	Drop(accountKey string)
}

// Accounts makes, stores and ends tenants' accounts. Each returns the tenant as the
// registry then has it.
type Accounts interface {
	Ensure(ctx context.Context, t *registry.Tenant, unbounded bool) (*registry.Tenant, error)
	Put(ctx context.Context, t *registry.Tenant, next registry.Account) (*registry.Tenant, error)
	PutTombstone(ctx context.Context, t *registry.Tenant) error
}

// Corrector signs again an account that is not as planned.
type Corrector interface {
	Correct(ctx context.Context, t *registry.Tenant) (*registry.Tenant, error)
}

// Rotations takes the rotation of a tenant's keys one step further.
type Rotations interface {
	Step(ctx context.Context, t *registry.Tenant) (next *registry.Tenant, moved bool, err error)
}

// WalkConfig is what a Walk is given.
type WalkConfig struct {
	Registry  *registry.Registry
	Dialer    Dialer
	Accounts  Accounts
	Corrector Corrector
	Rotations Rotations
	Replicas  int // of a stream
	Log       *slog.Logger
}

// Walk brings tenants to what their specs say, for one term of leading.
type Walk struct {
	cfg WalkConfig

	mu     sync.Mutex
	raised map[string]bool // streams announced and not seen yet, by account key and name
}

// NewWalk returns a Walk.
func NewWalk(cfg WalkConfig) *Walk { return &Walk{cfg: cfg, raised: map[string]bool{}} }
