package primary

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"midplane/api"
	"midplane/bus"
	"midplane/fault"
)

// lease is a connection to a tenant, and when another is to take its place.
type lease struct {
	nc    *nats.Conn
	until time.Time // half of the credentials' life; zero: they never end
	life  time.Duration
}

func (t *tenant) connect(ctx context.Context) (lease, error) {
	id, err := newIdentity()
	if err != nil {
		return lease{}, err
	}
	ask, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	began := time.Now()
	var creds api.CoreCredentialsAnswer
	if err := t.p.core.Do(ask, api.CoreCredentials, api.CoreCredentialsRequest{Tenant: t.id, PublicKey: id.public}, &creds); err != nil {
		return lease{}, fault.Wrap(fault.Other, err, "credentials for tenant %s", t.id)
	}
	l := lease{life: creds.Life.Std()}
	if l.life > 0 { // by how long, not by when: clocks differ
		l.until = began.Add(l.life / 2)
	}
	l.nc, err = bus.Connect(bus.Config{
		Servers: t.p.cfg.Servers, User: creds.User, Name: "primary " + t.p.cfg.Name + " of " + string(t.id),
		JWT: creds.JWT, Sign: id.sign, CAFile: t.p.cfg.CAFile, MaxWait: 5 * time.Second,
	}, t.tel)
	return l, err
}

var errRenewed = errors.New("there is a new connection")

// stint reads over one connection. At half of its credentials' life it opens
// the next, and only then stops reading over this one; the next stint goes on
// at the cursor. nil: ctx ended.
func (t *tenant) stint(ctx context.Context, l lease) (next *lease, err error) {
	js, err := jetstream.New(l.nc)
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "JetStream")
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, r := range t.readers {
		g.Go(func() error { return r.run(ctx, l.nc, js) })
	}
	g.Go(func() error { return watchConnection(ctx, l.nc) })
	if !l.until.IsZero() {
		g.Go(func() error {
			if next = t.renew(ctx, l); next == nil {
				return nil
			}
			return errRenewed // ends the others
		})
	}
	err = g.Wait()
	if errors.Is(err, errRenewed) {
		return next, nil
	}
	if next != nil {
		next.nc.Close()
	}
	return nil, err
}

// renew waits until it is time and opens the next connection; nil when ctx ended.
func (t *tenant) renew(ctx context.Context, l lease) *lease {
	if sleep(ctx, time.Until(l.until)) != nil {
		return nil
	}
	wait := newBackoff(min(500*time.Millisecond, l.life/20), min(30*time.Second, l.life/8))
	said := once{log: t.tel.Log, fails: "credentials not renewed, trying on", works: "credentials renewed"}
	for ctx.Err() == nil {
		next, err := t.connect(ctx)
		if ctx.Err() != nil {
			if err == nil {
				next.nc.Close()
			}
			return nil
		}
		if said.note(err); err == nil {
			return &next
		}
		_ = sleep(ctx, wait.next()) // ctx is looked at above
	}
	return nil
}
