package ingress

import (
	"bytes"
	"time"

	"midplane/platform/registry"
	"midplane/tenants/account"
)

// drainWithin is how long a door that goes may take for what it has taken in.
const drainWithin = 10 * time.Second

// fits reports whether the door's connection is of the key and capability that
// the tenant has now.
func (d *door) fits(t *registry.Tenant) bool {
	return d.snapshot.Load().Capability == t.Capability && bytes.Equal(d.key, t.Keys.Roles[account.RoleIngress])
}

// swap opens a door with the tenant's new key in place of d. The new connection
// is there before d stops taking messages in; between the two subscriptions
// lies one round trip within the process, in which a producer is answered that
// there are no responders and tries again. The new door begins when d has let through all it
// has, so that one producer's messages stay in order. When the new connection
// cannot be made there is no next, and d goes on; an error beside next means that
// neither is open.
func (i *Ingress) swap(d *door, t *registry.Tenant, live int) (*door, error) {
	next, err := i.makeDoor(t, live)
	if err != nil {
		return nil, err
	}
	begin := make(chan struct{})
	next.begin = begin
	drained := make(chan struct{})
	d.sub.SetClosedHandler(func(string) { close(drained) })
	if d.sub.Drain() != nil || d.nc.FlushTimeout(5*time.Second) != nil {
		d.close() // its connection is gone: nothing comes in by it any more
	}
	if err := next.open(); err != nil {
		close(begin)
		next.nc.Close()
		d.close()
		return next, err
	}
	go func() {
		defer close(begin)
		select {
		case <-drained:
		case <-time.After(drainWithin):
		}
		_ = d.nc.Drain() // what it has published goes out first
	}()
	return next, nil
}
