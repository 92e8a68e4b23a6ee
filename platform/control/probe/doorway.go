package probe

import (
	"bytes"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/platform/registry"
	"midplane/tenants/account"
)

// doorway is the connection of this node's producer, with the key that it was opened
// with.
type doorway struct {
	nc  *nats.Conn
	key []byte
}

// open returns the connection, opened at first use, and again when its key was
// replaced.
func (d *doorway) open(dialer Dialer, t *registry.Tenant) (jetstream.JetStream, error) {
	key := t.Keys.Roles[account.RoleProducer]
	if d.nc == nil || d.nc.IsClosed() || !bytes.Equal(d.key, key) {
		d.close()
		nc, err := dialer.Connect(t.Keys, account.RoleProducer, account.UserProbe)
		if err != nil {
			return nil, err
		}
		d.nc, d.key = nc, key
	}
	return jetstream.New(d.nc)
}

func (d *doorway) close() {
	if d.nc != nil {
		d.nc.Close()
		d.nc = nil
	}
}
