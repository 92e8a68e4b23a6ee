// Package dial opens this node's connections to its own server, under the
// system's own users: one per tenant for the ingress, one per tenant for the
// control plane, and those into the accounts of the system.
package dial

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/singleflight"

	"midplane/bus"
	"midplane/fault"
	"midplane/platform/registry"
	"midplane/subject"
	"midplane/telemetry"
	"midplane/tenants/account"
)

// apiTimeout is how long one JetStream API request may take.
const apiTimeout = 5 * time.Second

// Request bounds one JetStream API request of a longer work: one that finds no
// leader is never answered, and the client's own timeout is for contexts without
// a deadline only.
func Request(ctx context.Context) (context.Context, context.CancelFunc) {
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
	cache  map[string]*dialed // control connections, by account key
	former []*nats.Conn       // of keys that were rotated
}

// dialed is a control connection and what it was opened with.
type dialed struct {
	*nats.Conn
	key        []byte // seed of the role's signing key
	capability subject.Capability
	revision   uint64 // of the account's record
}

// formerFor is how long a connection under a former key goes on for those who
// are using it.
const formerFor = 10 * time.Second

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

// Control returns the control plane's connection of a tenant, opened at first
// use, and again when its key was rotated.
func (d *Dialer) Control(t *registry.Tenant) (*nats.Conn, error) {
	c, err := d.control(t)
	if err != nil {
		return nil, err
	}
	return c.Conn, nil
}

func (d *Dialer) control(t *registry.Tenant) (*dialed, error) {
	if !t.Account.Deleted && t.Account.Key == "" {
		return nil, fault.New(fault.Unavailable, "tenant %s has no account yet", t.ID)
	}
	if c := d.cached(t); c != nil {
		return c, nil
	}
	// One at a time per account, and other accounts do not wait: one that refuses
	// takes seconds to say so.
	c, err, _ := d.flight.Do(t.Account.Key, func() (any, error) {
		if c := d.cached(t); c != nil {
			return c, nil
		}
		nc, err := d.Connect(t.Keys, account.RoleControl, account.UserControl)
		if err != nil {
			return nil, err
		}
		c := &dialed{Conn: nc, key: t.Keys.Roles[account.RoleControl], capability: t.Capability, revision: t.AccountRevision}
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.cache == nil {
			d.cache = map[string]*dialed{}
		}
		if old := d.cache[t.Account.Key]; old != nil && !old.IsClosed() {
			d.retire(old.Conn)
		}
		d.cache[t.Account.Key] = c
		return c, nil
	})
	if err != nil {
		return nil, err
	}
	return c.(*dialed), nil
}

// retire lets a connection go on for a moment: an answer may be on its way.
func (d *Dialer) retire(nc *nats.Conn) {
	d.former = append(slices.DeleteFunc(d.former, (*nats.Conn).IsClosed), nc)
	time.AfterFunc(formerFor, nc.Close)
}

// cached returns the open connection, unless the tenant as the caller sees it
// has a newer key. A caller that sees an older one gets the newer connection.
func (d *Dialer) cached(t *registry.Tenant) *dialed {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.cache[t.Account.Key]
	if c == nil || c.IsClosed() || !bytes.Equal(c.key, t.Keys.Roles[account.RoleControl]) && c.revision < t.AccountRevision {
		return nil
	}
	return c
}

// JetStream is Control with the JetStream API.
func (d *Dialer) JetStream(t *registry.Tenant) (jetstream.JetStream, error) {
	c, err := d.control(t)
	if err != nil {
		return nil, err
	}
	return jetstream.NewWithAPIPrefix(c.Conn, c.capability.API(), jetstream.WithDefaultTimeout(apiTimeout), jetstream.WithPublishAsyncTimeout(apiTimeout), jetstream.WithPublishAsyncMaxPending(256))
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
// try to reconnect for ever.
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
	for _, nc := range d.former {
		nc.Close()
	}
	d.former = nil
}
