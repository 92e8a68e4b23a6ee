// Package connect finds out where a command connects and as whom, sends its
// requests there, and reads and saves NATS contexts. It prints nothing.
package connect

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/bus"
	"midplane/fault"
	"midplane/telemetry"
)

// firstWithin is how long the first connection is tried.
const firstWithin = 2 * time.Second

// Client asks the services of the cluster as one user.
type Client struct {
	nc      *nats.Conn
	servers string // comma list
	ca      string // file
	admin   *api.Admin
	query   *api.Query
	timeout time.Duration // of one answer

	mu     sync.Mutex
	asking map[*request]struct{}
}

// request is one that waits for its answer; end gives it up for a reason.
type request struct{ end context.CancelCauseFunc }

// Open connects to the target; timeout is how long one answer is waited for.
// The caller closes the client.
func (t Target) Open(timeout time.Duration) (*Client, error) {
	nctx, user, err := t.load()
	if err != nil {
		return nil, err
	}
	c, err := Dial(bus.Config{
		Servers:   strings.Split(nctx.ServerURL(), ","),
		User:      user,
		Name:      "midplane CLI",
		CredsFile: nctx.Creds(),
		CAFile:    nctx.CA(),
		MaxWait:   min(firstWithin, timeout),
	}, timeout)
	if fault.Is(err, fault.Unavailable) {
		return nil, fault.WithHint(err, "is it running? start `midplane up`, or pass --context")
	}
	if fault.Is(err, fault.Denied) {
		return nil, fault.WithHint(err, "the credentials of %s are not (or no longer) accepted there", t)
	}
	return c, err
}

// Dial connects as the user that cfg names. The caller closes the client.
func Dial(cfg bus.Config, timeout time.Duration) (*Client, error) {
	c := &Client{servers: strings.Join(cfg.Servers, ","), ca: cfg.CAFile, timeout: timeout, asking: map[*request]struct{}{}}
	cfg.Options = append(cfg.Options, nats.ErrorHandler(c.asyncError), nats.DisconnectErrHandler(c.disconnected))
	nc, err := bus.Connect(cfg, telemetry.Nop())
	if err != nil {
		return nil, err
	}
	c.nc, c.admin, c.query = nc, api.NewAdmin(nc, cfg.User), api.NewQuery(nc, cfg.User)
	return c, nil
}

// Close ends the connection.
func (c *Client) Close() { c.nc.Close() }

// Servers are the client URLs that the connection was made with, as a comma
// list.
func (c *Client) Servers() string { return c.servers }

// CAFile is the file of the CA certificates that it was made with; "" when
// there is none.
func (c *Client) CAFile() string { return c.ca }

// URL is the server that it is connected to, without any password.
func (c *Client) URL() string { return c.nc.ConnectedUrlRedacted() }

// asyncError takes what the server reports besides answers: that a request is
// not allowed. Without it the request would wait in vain.
func (c *Client) asyncError(_ *nats.Conn, _ *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrPermissionViolation) {
		c.endAll(fault.WithHint(fault.New(fault.Denied, "not allowed with these credentials"),
			"it takes a user of the role admin: see `midplane init`, and --context"))
	}
}

// disconnected ends the requests that wait: their answers would go to a
// connection that is gone.
func (c *Client) disconnected(*nats.Conn, error) {
	c.endAll(fault.WithHint(fault.New(fault.Unavailable, "the connection was lost"), "try again; see: midplane status"))
}

func (c *Client) endAll(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for r := range c.asking {
		r.end(why)
	}
}

// Admin asks the control plane.
func (c *Client) Admin(ctx context.Context, verb string, req, resp any) error {
	return c.AdminWithin(ctx, 0, verb, req, resp)
}

// AdminWithin asks the control plane for something that may take a while: its
// answer is waited for as long as any other, or for least when that is longer.
func (c *Client) AdminWithin(ctx context.Context, least time.Duration, verb string, req, resp any) error {
	return c.Ask(ctx, max(c.timeout, least), func(ctx context.Context, _ *nats.Conn) error { return c.admin.Do(ctx, verb, req, resp) })
}

// AdminFollow asks the control plane for what comes next, which it waits for
// itself for up to api.FollowWait.
func (c *Client) AdminFollow(ctx context.Context, verb string, req, resp any) error {
	return c.Ask(ctx, api.FollowWait+c.timeout, func(ctx context.Context, _ *nats.Conn) error { return c.admin.Do(ctx, verb, req, resp) })
}

// Query asks a primary.
func (c *Client) Query(ctx context.Context, verb string, req, resp any) error {
	return c.Ask(ctx, c.timeout, func(ctx context.Context, _ *nats.Conn) error { return c.query.Do(ctx, verb, req, resp) })
}

// QueryFollow asks a primary for what comes next, as AdminFollow does.
func (c *Client) QueryFollow(ctx context.Context, verb string, req, resp any) error {
	return c.Ask(ctx, api.FollowWait+c.timeout, func(ctx context.Context, _ *nats.Conn) error { return c.query.Do(ctx, verb, req, resp) })
}

// Ask runs one request. It ends when timeout is over, and at once when the
// server refuses the request or the connection is lost.
func (c *Client) Ask(ctx context.Context, timeout time.Duration, do func(context.Context, *nats.Conn) error) error {
	limited, stop := context.WithTimeout(ctx, timeout)
	defer stop()
	limited, end := context.WithCancelCause(limited)
	defer end(nil)
	r := &request{end}
	c.mu.Lock()
	c.asking[r] = struct{}{}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.asking, r)
		c.mu.Unlock()
	}()
	err := do(limited, c.nc)
	var cause *fault.Error
	if err != nil && ctx.Err() == nil && errors.As(context.Cause(limited), &cause) {
		return cause
	}
	return err
}
