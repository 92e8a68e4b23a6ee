// Package renew keeps a user connected whose credentials live for a day: about
// half-way through their life it asks for new ones over the control channel, writes them
// in the place of the old, and opens a new connection before it closes the old
// one, since a connection cannot take a new JWT. Pollers stand on it, and
// applications may. It may import bus, api and what is below them.
package renew

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/bus"
	"midplane/fault"
	"midplane/internal/wait"
	"midplane/telemetry"
)

const (
	askTimeout = 10 * time.Second
	// openTimeout is how long a new connection may take; the old one serves until then.
	openTimeout = 30 * time.Second
	// linger is how long the old connection stays beside the new one: interest
	// in what the new one listens to has then reached every node.
	linger = 2 * time.Second
	// fileEvery is how often the file is looked at: another program may renew it.
	fileEvery = time.Minute
	// reportEvery is how often a failure is logged.
	reportEvery = 10 * time.Minute
)

// Once asks for a new JWT over nc, a connection of the user that the .creds file
// belongs to, and writes it into the file.
func Once(ctx context.Context, nc *nats.Conn, path string) (Creds, error) {
	old, err := Read(path)
	if err != nil {
		return old, err
	}
	var got api.Renewed
	if err := api.NewChannel(nc, old.Name, signer(path)).Do(ctx, api.ChannelRenew, api.RenewRequest{}, &got); err != nil {
		return old, err
	}
	next, err := parse(got.JWT)
	if err != nil {
		return old, fault.Wrap(fault.Other, err, "the answer")
	}
	if next.Name != old.Name {
		return old, fault.New(fault.Other, "the new JWT is for %q, not %q", next.Name, old.Name)
	}
	return next, write(path, next)
}

// Conn is a connection that renews its credentials.
type Conn struct {
	cfg      bus.Config
	tel      telemetry.Telemetry
	use      func(*nats.Conn) error
	cur      atomic.Pointer[nats.Conn]
	had      Creds     // what cur was opened with
	reported time.Time // when a failure was last logged
}

// Open connects as bus.Connect does, with a .creds file that Run renews. use is
// given the connection now, and each later one before the one that it takes the
// place of is drained; when it fails, the old one stays and it is tried again.
func Open(cfg bus.Config, tel telemetry.Telemetry, use func(*nats.Conn) error) (*Conn, error) {
	had, err := Read(cfg.CredsFile)
	if err != nil {
		return nil, err
	}
	nc, err := bus.Connect(cfg, tel)
	if err != nil {
		return nil, err
	}
	if err := use(nc); err != nil {
		nc.Close()
		return nil, err
	}
	c := &Conn{cfg: cfg, tel: tel, use: use, had: had}
	c.cur.Store(nc)
	return c, nil
}

// NATS returns the connection of the moment.
func (c *Conn) NATS() *nats.Conn { return c.cur.Load() }

// Close closes the connection.
func (c *Conn) Close() { c.cur.Load().Close() }

// Run renews until ctx ends.
func (c *Conn) Run(ctx context.Context) error {
	after := time.Duration(0) // a failure
	for {
		if wait.For(ctx, max(after, c.untilDue())) != nil {
			return nil
		}
		switch err := c.renew(ctx); {
		case err == nil:
			after = 0
		case ctx.Err() != nil:
			return nil
		default:
			after = min(max(2*after, time.Second), fileEvery)
			c.report(err)
		}
	}
}

// untilDue is how long nothing is to be done but, once in a while, to look at
// the file.
func (c *Conn) untilDue() time.Duration {
	due := c.had.Due()
	if due.IsZero() {
		return fileEvery
	}
	return min(time.Until(due), fileEvery)
}

// renew asks when it is time, and goes over to what the file has.
func (c *Conn) renew(ctx context.Context) error {
	file, err := Read(c.cfg.CredsFile)
	if err != nil {
		return err
	}
	due := file.Due()
	if !due.IsZero() && !time.Now().Before(due) {
		old := c.cur.Load()
		if !old.IsConnected() {
			if err := file.Ended(time.Now()); err != nil {
				return err
			}
			return fault.New(fault.Unavailable, "not connected")
		}
		ask, cancel := context.WithTimeout(ctx, askTimeout)
		file, err = Once(ask, old, c.cfg.CredsFile)
		cancel()
		if err != nil {
			return err
		}
	}
	if file.JWT == c.had.JWT {
		return nil
	}
	return c.goOver(ctx, file)
}

// goOver opens a connection with the file's JWT, hands it over, and lets the old
// one go.
func (c *Conn) goOver(ctx context.Context, file Creds) error {
	next, err := bus.Connect(c.cfg, c.tel)
	if err != nil {
		return err
	}
	for began := time.Now(); !next.IsConnected(); _ = wait.For(ctx, 20*time.Millisecond) {
		if time.Since(began) > openTimeout || ctx.Err() != nil {
			next.Close()
			return fault.New(fault.Unavailable, "the new connection was not made within %s", openTimeout)
		}
	}
	if err := c.use(next); err != nil {
		next.Close()
		return err
	}
	old := c.cur.Swap(next)
	c.had = file
	c.tel.Log.Info("credentials renewed", "user", file.Name, "expires", file.Expires.UTC().Format(time.RFC3339))
	_ = wait.For(ctx, linger)
	if err := old.Drain(); err != nil {
		old.Close() // it was not connected
	}
	return nil
}

// report logs why the credentials are not renewed, now and then.
func (c *Conn) report(err error) {
	if time.Since(c.reported) < reportEvery {
		return
	}
	level := c.tel.Log.Warn
	if !fault.Is(err, fault.Unavailable) && !fault.Is(err, fault.Exhausted) {
		level = c.tel.Log.Error
	} else if c.had.Expires.IsZero() || time.Until(c.had.Expires) > c.had.Expires.Sub(c.had.Issued)*3/10 {
		c.tel.Log.Debug("credentials not renewed yet, trying on", "user", c.had.Name, "error", err)
		return
	}
	c.reported = time.Now()
	level("credentials not renewed, trying on", "user", c.had.Name, "expires", c.had.Expires.UTC().Format(time.RFC3339), "error", err, "hint", fault.HintOf(err))
}
