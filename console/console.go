// Package console is the window of a cluster: an HTTP API that serves as JSON
// what "midplane get" prints, and one live status page on top of it.
//
// It is a body. It asks the admin and query doors through Source and knows
// neither NATS nor any other body. It answers GET and HEAD only, keeps nothing,
// and has no logins yet: so it listens on loopback unless told otherwise, and
// refuses requests for host names that are not its own (see DESIGN.md).
package console

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"midplane/fault"
	"midplane/telemetry"
)

// Source answers the two doors. api.Admin.Do and api.Query.Do fit; verbs,
// requests and answers are those of package api.
type Source interface {
	Admin(ctx context.Context, verb string, req, resp any) error
	Query(ctx context.Context, verb string, req, resp any) error
}

// DefaultAddr is where a console listens when it is not told otherwise.
const DefaultAddr = "127.0.0.1:8480"

// Config says where the console listens and who may reach it.
type Config struct {
	Addr    string   // host:port; "" means DefaultAddr; port 0 takes any free one
	Open    bool     // Addr may be reachable from other machines
	Hosts   []string // names, besides its own, under which browsers reach it
	Version string   // of the program, shown on the page

	// Telemetry, when set, answers /metrics, /healthz, /readyz and /version.
	Telemetry http.Handler
}

// Console serves the HTTP API and the page.
type Console struct {
	cfg     Config
	src     Source
	tele    telemetry.Telemetry
	hosts   hosts
	handler http.Handler
	seats   chan struct{} // one for each open event stream
	pace    pace

	listening chan struct{} // closed once addr is set
	once      sync.Once
	addr      string
}

// pace is how fast an event stream breathes; tests breathe faster.
type pace struct {
	beat     time.Duration // between two signs of life
	retryMin time.Duration // after the first failure of the source
	retryMax time.Duration
}

// New returns a console. An Addr that other machines can reach is Invalid
// unless Config.Open says so. It opens nothing.
func New(cfg Config, src Source, tele telemetry.Telemetry) (*Console, error) {
	if cfg.Addr == "" {
		cfg.Addr = DefaultAddr
	}
	if src == nil {
		return nil, fault.New(fault.Invalid, "console: no source")
	}
	h, err := newHosts(cfg)
	if err != nil {
		return nil, err
	}
	c := &Console{
		cfg: cfg, src: src, tele: tele, hosts: h,
		seats:     make(chan struct{}, maxStreams),
		pace:      pace{beat: 5 * time.Second, retryMin: time.Second, retryMax: 15 * time.Second},
		listening: make(chan struct{}),
	}
	if c.handler, err = c.routes(); err != nil {
		return nil, err
	}
	return c, nil
}

// Handler returns what the console answers, guards included.
func (c *Console) Handler() http.Handler { return c.handler }

// Ready returns nil once the console listens, or the error of ctx.
func (c *Console) Ready(ctx context.Context) error {
	select {
	case <-c.listening:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Addr returns the address the console listens on, as configured until it does.
func (c *Console) Addr() string {
	select {
	case <-c.listening:
		return c.addr
	default:
		return c.cfg.Addr
	}
}

// Run listens and serves until ctx ends. Open event streams end at once, other
// requests have five seconds.
func (c *Console) Run(ctx context.Context) error {
	l, err := c.listen(ctx)
	if err != nil {
		return err
	}
	c.once.Do(func() { c.addr = l.Addr().String(); close(c.listening) })
	c.tele.Log.Info("the console is open", "url", "http://"+l.Addr().String()+"/")
	if c.cfg.Open && c.hosts.open {
		c.tele.Log.Warn("the console has no logins, and whoever reaches this address can read every tenant",
			"addr", l.Addr().String(), "hint", "listen on "+DefaultAddr+" and put a proxy with logins in front")
	}
	srv := &http.Server{
		Handler:           c.handler,
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      2 * time.Minute, // of a whole list; event streams set their own
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(c.tele.Log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return fault.Wrap(fault.Other, err, "console on %s", l.Addr())
	case <-ctx.Done():
	}
	sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := srv.Shutdown(sctx); err != nil {
		return fault.Wrap(fault.Other, errors.Join(err, srv.Close()), "close the console")
	}
	return nil
}

func (c *Console) listen(ctx context.Context) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", c.cfg.Addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fault.WithHint(fault.Wrap(fault.Conflict, err, "console"),
			"another program listens on %s: stop it, or choose another address", c.cfg.Addr)
	case errors.Is(err, syscall.EACCES):
		return nil, fault.WithHint(fault.Wrap(fault.Denied, err, "console"), "choose a port above 1023")
	case err != nil:
		return nil, fault.WithHint(fault.Wrap(fault.Unavailable, err, "console"),
			"is %s an address of this machine?", c.cfg.Addr)
	}
	// A name may have resolved to something else than what it promised.
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && !c.cfg.Open && !tcp.IP.IsLoopback() {
		return nil, errors.Join(notLoopback(c.cfg.Addr), l.Close())
	}
	return l, nil
}
