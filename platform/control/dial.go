package control

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/singleflight"

	"midplane/bus"
	"midplane/fault"
	"midplane/platform/control/registry"
	"midplane/telemetry"
	"midplane/tenants/account"
)

// apiTimeout is how long one JetStream API request may take.
const apiTimeout = 5 * time.Second

// request bounds one JetStream API request of a longer work: one that finds no
// leader is never answered, and the client's own timeout is for contexts without
// a deadline only.
func request(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, apiTimeout)
}

// Dialer opens in-process connections to this node's server under the system's
// own users. Their keys are made here and live in memory only.
type Dialer struct {
	Dial nats.Option
	Node string
	Tel  telemetry.Telemetry

	flight singleflight.Group
	mu     sync.Mutex
	cache  map[string]*nats.Conn // control connections, by account key
}

// Connect opens a connection as user name of role in the account that keys belong to.
func (d *Dialer) Connect(keys account.Keys, role account.Role, name string) (*nats.Conn, error) {
	key, seed, err := account.NewUserKey()
	if err != nil {
		return nil, err
	}
	token, err := account.IssueUser(keys, role, account.User{Name: name, Key: key})
	if err != nil {
		return nil, err
	}
	sign, err := account.SignWith(seed)
	if err != nil {
		return nil, err
	}
	return bus.Connect(bus.Config{
		User: name, Name: d.Node + "/" + name, JWT: token, Sign: sign, Dial: d.Dial, MaxWait: apiTimeout,
	}, d.Tel)
}

// Ingress opens the ingress' connection of a tenant.
func (d *Dialer) Ingress(t *registry.Tenant) (*nats.Conn, error) {
	return d.Connect(t.Keys, account.RoleIngress, account.UserIngress)
}

// Control returns the control plane's connection of a tenant, opened at first use.
func (d *Dialer) Control(t *registry.Tenant) (*nats.Conn, error) {
	if !t.Account.Deleted && t.Account.Key == "" {
		return nil, fault.New(fault.Unavailable, "tenant %s has no account yet", t.ID)
	}
	if nc := d.cached(t.Account.Key); nc != nil {
		return nc, nil
	}
	// One at a time per account, and nobody else waits: an account that refuses
	// takes seconds to say so.
	nc, err, _ := d.flight.Do(t.Account.Key, func() (any, error) {
		if nc := d.cached(t.Account.Key); nc != nil {
			return nc, nil
		}
		nc, err := d.Connect(t.Keys, account.RoleControl, account.UserControl)
		if err != nil {
			return nil, err
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.cache == nil {
			d.cache = map[string]*nats.Conn{}
		}
		d.cache[t.Account.Key] = nc
		return nc, nil
	})
	if err != nil {
		return nil, err
	}
	return nc.(*nats.Conn), nil
}

func (d *Dialer) cached(accountKey string) *nats.Conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	if nc := d.cache[accountKey]; nc != nil && !nc.IsClosed() {
		return nc
	}
	return nil
}

// JetStream is Control with the JetStream API.
func (d *Dialer) JetStream(t *registry.Tenant) (jetstream.JetStream, error) {
	nc, err := d.Control(t)
	if err != nil {
		return nil, err
	}
	return jetstream.NewWithAPIPrefix(nc, t.Capability.API(), jetstream.WithDefaultTimeout(apiTimeout), jetstream.WithPublishAsyncTimeout(apiTimeout), jetstream.WithPublishAsyncMaxPending(256))
}

// Drop closes the control connection of an account.
func (d *Dialer) Drop(accountKey string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if nc := d.cache[accountKey]; nc != nil {
		nc.Close()
		delete(d.cache, accountKey)
	}
}

// Keep closes the control connections of accounts that are gone: they would
// knock for ever.
func (d *Dialer) Keep(alive func(accountKey string) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, nc := range d.cache {
		if !alive(k) {
			nc.Close()
			delete(d.cache, k)
		}
	}
}

// Close closes every control connection.
func (d *Dialer) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, nc := range d.cache {
		nc.Close()
		delete(d.cache, k)
	}
}
