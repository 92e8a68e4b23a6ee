package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/jsm.go/natscontext"
	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/bus"
	"midplane/event"
	"midplane/fault"
	"midplane/subject"
	"midplane/telemetry"
)

// DefaultContext is the NATS context that "midplane up" saves and every
// command uses.
const DefaultContext = "midplane"

// connectWithin is how long the first connection is tried.
const connectWithin = 2 * time.Second

// client asks the services of the cluster as the user of a NATS context.
type client struct {
	nc      *nats.Conn
	context *natscontext.Context
	admin   *api.Admin
	query   *api.Query
	timeout time.Duration // of one answer

	mu     sync.Mutex
	asking map[*asked]struct{}
}

// asked is a request on its way; end gives it up for a reason.
type asked struct{ end context.CancelCauseFunc }

// connect connects with the context that --context names. The caller closes it.
func (a *app) connect() (*client, error) {
	nctx, user, err := loadContext(a.contextName)
	if err != nil {
		return nil, err
	}
	c := &client{context: nctx, timeout: a.requestTimeout, asking: map[*asked]struct{}{}}
	cfg := bus.Config{
		Servers:   strings.Split(nctx.ServerURL(), ","),
		User:      user,
		Name:      "midplane CLI",
		CredsFile: nctx.Creds(),
		CAFile:    nctx.CA(),
		MaxWait:   min(connectWithin, a.requestTimeout),
		Options:   []nats.Option{nats.ErrorHandler(c.asyncError), nats.DisconnectErrHandler(c.disconnected)},
	}
	if c.nc, err = bus.Connect(cfg, telemetry.Nop()); err != nil {
		if fault.Is(err, fault.Unavailable) {
			return nil, fault.WithHint(err, "is it running? start `midplane up`, or pass --context")
		}
		if fault.Is(err, fault.Denied) {
			return nil, fault.WithHint(err, "the credentials of context %q are not (or no longer) accepted there", a.contextName)
		}
		return nil, err
	}
	c.admin, c.query = api.NewAdmin(c.nc, user), api.NewQuery(c.nc, user)
	return c, nil
}

// loadContext reads a NATS context. The name of its user is what its inbox
// prefix says: the server lets nobody listen anywhere else.
func loadContext(name string) (*natscontext.Context, string, error) {
	path, err := natscontext.ContextPath(name)
	if err != nil {
		return nil, "", fault.WithHint(fault.New(fault.Invalid, "%q cannot be the name of a NATS context", name), "see the files in $XDG_CONFIG_HOME/nats/context")
	}
	if _, err := os.Stat(path); err != nil {
		return nil, "", fault.WithHint(fault.New(fault.NotFound, "no NATS context %q (%s)", name, path), "start `midplane up`, or pass --context")
	}
	nctx, err := natscontext.New(name, true)
	if err != nil {
		return nil, "", fault.WithHint(fault.Wrap(fault.Invalid, err, "NATS context %s", path), "start `midplane up` to write it again, or pass --context")
	}
	user, ok := strings.CutPrefix(nctx.InboxPrefix(), subject.InboxPrefix(""))
	if !ok || event.CheckName("user", user) != nil {
		return nil, "", fault.WithHint(fault.New(fault.Invalid, "NATS context %q has inbox_prefix %q, not %s", name, nctx.InboxPrefix(), subject.InboxPrefix("<user>")),
			"a user of Midplane may listen below its own inbox prefix only; use a context that Midplane wrote")
	}
	return nctx, user, nil
}

func (c *client) close() { c.nc.Close() }

// asyncError hears what the server says besides answers: that a request is not
// allowed. Without it the asker would wait in vain.
func (c *client) asyncError(_ *nats.Conn, _ *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrPermissionViolation) {
		c.endAll(fault.WithHint(fault.New(fault.Denied, "not allowed with these credentials"),
			"it takes a user of the role admin: see `midplane init`, and --context"))
	}
}

// disconnected ends what is asked: the answer would go to a connection that is
// gone.
func (c *client) disconnected(*nats.Conn, error) {
	c.endAll(fault.WithHint(fault.New(fault.Unavailable, "the connection was lost"), "try again; see: midplane status"))
}

func (c *client) endAll(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for r := range c.asking {
		r.end(why)
	}
}

// Admin asks the admin door.
func (c *client) Admin(ctx context.Context, verb string, req, resp any) error {
	return c.ask(ctx, c.timeout, func(ctx context.Context) error { return c.admin.Do(ctx, verb, req, resp) })
}

// Query asks the query door.
func (c *client) Query(ctx context.Context, verb string, req, resp any) error {
	return c.ask(ctx, c.timeout, func(ctx context.Context) error { return c.query.Do(ctx, verb, req, resp) })
}

func (c *client) ask(ctx context.Context, timeout time.Duration, do func(context.Context) error) error {
	limited, stop := context.WithTimeout(ctx, timeout)
	defer stop()
	limited, end := context.WithCancelCause(limited)
	defer end(nil)
	r := &asked{end}
	c.mu.Lock()
	c.asking[r] = struct{}{}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.asking, r)
		c.mu.Unlock()
	}()
	err := do(limited)
	var cause *fault.Error
	if err != nil && ctx.Err() == nil && errors.As(context.Cause(limited), &cause) {
		return cause
	}
	return err
}

// withClient connects, runs f and disconnects.
func (a *app) withClient(f func(c *client) error) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.close()
	return f(c)
}
