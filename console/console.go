// Package console is the window of a cluster: an HTTP API that serves as JSON
// what "midplane get" prints, and one live status page on top of it.
//
// It is a body. It asks the admin and query doors through Source and knows
// neither NATS nor any other body. Package access knows users, tokens and
// sessions; every route declares what it needs (routes.go), and a viewer confined
// to a tenant gets that tenant's part (confine.go). It speaks plain HTTP on
// loopback only, unless its configuration opens it, and refuses host names that
// are not its own (see DESIGN.md).
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

	"midplane/console/access"
	"midplane/fault"
	"midplane/telemetry"
)

// Source answers the two doors. api.Admin.Do and api.Query.Do fit; verbs,
// requests and answers are those of package api.
type Source interface {
	Admin(ctx context.Context, verb string, req, resp any) error
	Query(ctx context.Context, verb string, req, resp any) error
}

// DefaultAddr is where a console listens when its configuration names no address.
const DefaultAddr = "127.0.0.1:8480"

// Config says where the console listens and who may reach it.
type Config struct {
	Addr    string // host:port; "" means DefaultAddr; port 0 takes any free one
	Open    bool   // Addr may be reachable from other machines without TLS: a proxy is in front
	Cert    string // file of the certificate; with Key, the console speaks TLS
	Key     string
	Hosts   []string // names, besides its own, under which browsers reach it
	Version string   // of the program, shown on the page

	// Telemetry, when set, answers /metrics, /healthz, /readyz and /version.
	Telemetry http.Handler

	Access *access.Keeper // who may ask
	Audit  func(Act)      // gets every login and refusal; may be nil
}

// Console serves the HTTP API and the page.
type Console struct {
	cfg     Config
	tele    telemetry.Telemetry
	hosts   hosts
	cert    *certificate // nil without TLS
	handler http.Handler

	gate   *gate   // who asks, and whether they may
	logins *logins // sessions
	views  *views  // what the doors know, as JSON
	live   *live   // events as they happen

	listening chan struct{} // closed once addr is set
	once      sync.Once
	addr      string
}

// New returns a console. An Addr that other machines can reach is Invalid
// without TLS, unless Config.Open says so. It opens nothing.
func New(cfg Config, src Source, tele telemetry.Telemetry) (*Console, error) {
	if cfg.Addr == "" {
		cfg.Addr = DefaultAddr
	}
	if src == nil {
		return nil, fault.New(fault.Invalid, "console: no source")
	}
	if cfg.Access == nil {
		return nil, fault.New(fault.Invalid, "console: without users and tokens, no one may ask")
	}
	if (cfg.Cert == "") != (cfg.Key == "") {
		return nil, fault.WithHint(fault.New(fault.Invalid, "console: a certificate goes with its key"), "give both --http-cert and --http-key")
	}
	h, err := newHosts(cfg)
	if err != nil {
		return nil, err
	}
	c := &Console{
		cfg: cfg, tele: tele, hosts: h, listening: make(chan struct{}),
		gate: &gate{access: cfg.Access, audit: cfg.Audit, log: tele.Log, open: cfg.Open},
	}
	hidden := positions{access: cfg.Access}
	c.logins = &logins{gate: c.gate, access: cfg.Access, version: cfg.Version}
	c.views = &views{src: src, gate: c.gate, positions: hidden, log: tele.Log}
	c.live = &live{
		src: src, gate: c.gate, access: cfg.Access, positions: hidden,
		limiter: streamLimiter{most: maxStreams, each: maxOfOne, by: map[string]int{}},
		pace:    pace{beat: 5 * time.Second, retryMin: time.Second, retryMax: 15 * time.Second},
	}
	if cfg.Cert != "" {
		c.cert = &certificate{certFile: cfg.Cert, keyFile: cfg.Key, log: tele.Log}
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
	c.tele.Log.Info("the console is open", "url", c.URL())
	if c.cert == nil && c.hosts.open {
		c.tele.Log.Warn("the console speaks plain HTTP where other machines can reach it: passwords and tokens can be read on the way",
			"addr", l.Addr().String(), "hint", "let only a proxy with TLS reach it, or give it --http-cert and --http-key")
	}
	if err := c.cfg.Access.Announce(c.URL()); err != nil {
		c.tele.Log.Warn("midplane console link will not know where the console is", "error", err.Error())
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
	serve := srv.Serve
	if c.cert != nil {
		srv.TLSConfig = c.cert.config()
		serve = func(l net.Listener) error { return srv.ServeTLS(l, "", "") }
	}
	var watching sync.WaitGroup
	wctx, stop := context.WithCancel(ctx)
	defer watching.Wait()
	defer stop()
	watching.Go(func() { c.gate.watchList(wctx) })
	ended := make(chan error, 1)
	go func() { ended <- serve(l) }()
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

// URL is where a browser finds the console: any address of this machine is
// its loopback one, and a certificate is for a name.
func (c *Console) URL() string {
	scheme, addr := "http://", c.Addr()
	if c.cert != nil {
		scheme = "https://"
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return scheme + addr + "/"
	}
	switch named, _, _ := net.SplitHostPort(c.cfg.Addr); {
	case c.cert != nil && len(c.cfg.Hosts) > 0:
		host = c.cfg.Hosts[0]
	case named != "" && !isIP(named):
		host = named
	case host == "::" || host == "0.0.0.0":
		host = "127.0.0.1"
	}
	return scheme + net.JoinHostPort(host, port) + "/"
}

func (c *Console) listen(ctx context.Context) (net.Listener, error) {
	if c.cert != nil {
		if err := c.cert.load(); err != nil {
			return nil, err
		}
	}
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
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && !c.cfg.Open && c.cert == nil && !tcp.IP.IsLoopback() {
		return nil, errors.Join(notLoopback(c.cfg.Addr), l.Close())
	}
	return l, nil
}
