package consume

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
	"midplane/internal/once"
	"midplane/internal/spread"
	"midplane/internal/wait"
)

// lease is a connection to a tenant, and when another is to take its place.
type lease struct {
	nc    *nats.Conn
	until time.Time // before three quarters of the credentials' life; zero: they never end
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
	if err := t.core.Do(ask, api.CoreCredentials, api.CoreCredentialsRequest{Tenant: t.id, PublicKey: id.public}, &creds); err != nil {
		return lease{}, fault.Wrap(fault.Other, err, "credentials for tenant %s", t.id)
	}
	l := lease{life: creds.Life.Std()}
	if l.life > 0 { // by how long, not by when: clocks differ
		// Not for all tenants at once, though all were asked for at the start.
		half := l.life / 2
		l.until = spread.Next(began.Add(half/2), spread.Phase(string(t.id), half), half)
	}
	l.nc, err = bus.Connect(bus.Config{
		Servers: t.cfg.Servers, User: creds.User, Name: "primary " + t.cfg.Name + " of " + string(t.id),
		JWT: creds.JWT, Sign: id.sign, CAFile: t.cfg.CAFile, MaxWait: 5 * time.Second,
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
	if wait.For(ctx, time.Until(l.until)) != nil {
		return nil
	}
	pause := wait.NewGrowing(min(500*time.Millisecond, l.life/20), min(30*time.Second, l.life/8))
	outcome := once.Log{To: t.tel.Log, Fails: "credentials not renewed, trying again", Works: "credentials renewed"}
	for ctx.Err() == nil {
		next, err := t.connect(ctx)
		if ctx.Err() != nil {
			if err == nil {
				next.nc.Close()
			}
			return nil
		}
		if outcome.Note(err); err == nil {
			return &next
		}
		_ = pause.For(ctx) // ctx is looked at above
	}
	return nil
}
