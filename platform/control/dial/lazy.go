package dial

import (
	"sync"

	"github.com/nats-io/nats.go"

	"midplane/tenants/account"
)

// Connector opens connections to this node's server; Dialer is one.
type Connector interface {
	Connect(keys account.Keys, role account.Role, name string) (*nats.Conn, error)
}

// Lazy is one connection of a user of the system, opened at first use.
type Lazy struct {
	dialer Connector
	keys   account.Keys
	role   account.Role
	name   string

	mu sync.Mutex
	nc *nats.Conn
}

// NewLazy returns a Lazy that connects as user name of role in the account that
// keys belong to.
func NewLazy(dialer Connector, keys account.Keys, role account.Role, name string) *Lazy {
	return &Lazy{dialer: dialer, keys: keys, role: role, name: name}
}

// Open opens another connection, which is the caller's to close.
func (l *Lazy) Open() (*nats.Conn, error) { return l.dialer.Connect(l.keys, l.role, l.name) }

// Shared returns the one connection.
func (l *Lazy) Shared() (*nats.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.nc != nil && !l.nc.IsClosed() {
		return l.nc, nil
	}
	nc, err := l.Open()
	if err == nil {
		l.nc = nc
	}
	return nc, err
}

// Close closes the one connection.
func (l *Lazy) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.nc != nil {
		l.nc.Close()
	}
}
