// Package primary is the consumer of every tenant: it reads their streams in
// order from its own cursors, folds them into one view (inventory, status,
// event log, metrics, loss ledger) in its own database, and answers queries.
// Every primary is a full copy.
//
// Its rooms are consume (streams to store), fold (pure: what a message
// changes), store (what is kept, and how), repair (finds states that are missing)
// and query (what it answers). This package opens the database and the connections, and runs them.
//
// It meets the rest of Midplane on the wire only: it asks the control plane
// (core.…) which tenants it reads, and answers query.…. It may import what is
// below the bodies, and no other body.
package primary

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"midplane/api"
	"midplane/bus"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/wait"
	"midplane/primary/consume"
	"midplane/primary/query"
	"midplane/primary/repair"
	"midplane/primary/store"
	"midplane/primary/store/sqlite"
	"midplane/telemetry"
)

// Config says who a primary is, where its cluster is, and how long it keeps events.
type Config struct {
	Name       string   // one token; the name of the users of both credentials
	Dir        string   // its own folder: the database
	Servers    []string // client URLs of the nodes
	CAFile     string   // PEM; turns TLS on
	CoreCreds  string   // .creds file, role core
	QueryCreds string   // .creds file, role query
	Version    string   // shown in its status
	EventDays  int      // how long the event log is kept; 0 = 30

	Repair repair.Config // when states are compared with heartbeats
}

// Primary reads, folds and answers. Make it with New, run it with Run.
type Primary struct {
	cfg   Config
	tel   telemetry.Telemetry
	ready chan struct{} // closed once queries are answered

	answering  sync.Once     // closes ready
	checkPause time.Duration // between two looks at the database; 0: the usual one

	answers atomic.Pointer[query.Service] // set while the database is open
}

// New checks the configuration. It does no I/O.
func New(cfg Config, tel telemetry.Telemetry) (*Primary, error) {
	if err := event.CheckName("primary", cfg.Name); err != nil {
		return nil, err
	}
	for _, need := range []struct{ what, value string }{
		{"a folder for its data", cfg.Dir}, {"credentials for role core", cfg.CoreCreds}, {"credentials for role query", cfg.QueryCreds},
	} {
		if need.value == "" {
			return nil, fault.New(fault.Invalid, "primary %s needs %s", cfg.Name, need.what)
		}
	}
	if len(cfg.Servers) == 0 {
		return nil, fault.New(fault.Invalid, "primary %s needs the URL of at least one node", cfg.Name)
	}
	if cfg.EventDays < 0 {
		return nil, fault.New(fault.Invalid, "primary %s: %d days of events", cfg.Name, cfg.EventDays)
	}
	return &Primary{cfg: cfg, tel: tel.With("primary", cfg.Name), ready: make(chan struct{})}, nil
}

// Ready waits until queries are answered.
func (p *Primary) Ready(ctx context.Context) error {
	select {
	case <-p.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Query answers a request of this process (package api, query…) from this primary's
// own database, and needs no node for it.
func (p *Primary) Query(ctx context.Context, verb string, req, resp any) error {
	answers := p.answers.Load()
	if answers == nil {
		return fault.WithHint(fault.New(fault.Unavailable, "primary %s does not answer yet", p.cfg.Name), "its log says what it waits for")
	}
	return answers.Do(ctx, verb, req, resp)
}

// Run reads and answers until ctx ends; then it returns nil. It may be called once.
// A database that is found to be damaged is moved away, and what the streams keep is
// read again into another one.
func (p *Primary) Run(ctx context.Context) error {
	for {
		err := p.run(ctx)
		if ctx.Err() != nil || !errors.Is(err, sqlite.ErrDamaged) {
			return err
		}
		p.tel.Log.Error("the database is damaged: it is moved away, and everything that the streams keep is read again", "error", err)
		if err := sqlite.SetAside(p.cfg.Dir, time.Now()); err != nil {
			return err
		}
	}
}

// run does so with one database.
func (p *Primary) run(ctx context.Context) (err error) {
	started := time.Now().UTC()
	db, err := sqlite.Open(ctx, p.cfg.Dir, store.Options{EventDays: p.cfg.EventDays, Source: "primary/" + p.cfg.Name})
	if err != nil {
		return stopped(ctx, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	coreConn, err := p.connect(ctx, p.cfg.CoreCreds, "core")
	if err != nil {
		return stopped(ctx, err)
	}
	defer coreConn.Close()
	queryConn, err := p.connect(ctx, p.cfg.QueryCreds, "query")
	if err != nil {
		return stopped(ctx, err)
	}
	defer queryConn.Close()
	core := api.NewCore(coreConn, p.cfg.Name)
	repairer, err := repair.New(p.cfg.Repair, db.Reader, core, p.tel)
	if err != nil {
		return err
	}
	consumer, err := consume.New(consume.Config{Name: p.cfg.Name, Servers: p.cfg.Servers, CAFile: p.cfg.CAFile, Folded: repairer.Folded},
		db.Writer, core, p.tel)
	if err != nil {
		return err
	}
	gaps := repair.NewGaps(db.Reader, core, consumer.Find, p.tel)
	answers := query.New(query.Config{Name: p.cfg.Name, Version: p.cfg.Version, Started: started, Aside: func() []string { return sqlite.Aside(p.cfg.Dir) }}, db.Reader, consumer)
	p.answers.Store(answers)
	defer p.answers.Store(nil)

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		p.reportUnderstands(ctx, core) // before its first cursor makes it a registered one
		return consumer.Run(ctx)
	})
	g.Go(func() error { return repairer.Run(ctx) })
	g.Go(func() error { return gaps.Run(ctx) })
	g.Go(func() error { return answers.Run(ctx, queryConn, func() { p.answering.Do(func() { close(p.ready) }) }) })
	g.Go(func() error { return p.keepReporting(ctx, core) })
	g.Go(func() error { return p.prune(ctx, db.Writer) })
	g.Go(func() error { return db.Checker(p.checkPause).Run(ctx) })
	return stopped(ctx, g.Wait())
}

// stopped turns the error of an end that was asked for into nil.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && (err == nil || errors.Is(err, ctx.Err()) || errors.Is(err, context.Canceled)) {
		return nil
	}
	return err
}

// connect waits for the credentials file, which may be written after we
// start, and then for the cluster.
func (p *Primary) connect(ctx context.Context, creds, role string) (*nats.Conn, error) {
	log := p.tel.Log.With("role", role)
	if err := waitFile(ctx, creds, log); err != nil {
		return nil, err
	}
	nc, err := bus.Connect(bus.Config{
		Servers: p.cfg.Servers, User: p.cfg.Name, Name: "primary " + p.cfg.Name + " " + role, CredsFile: creds, CAFile: p.cfg.CAFile,
	}, telemetry.Telemetry{Log: log, Meter: p.tel.Meter, Tracer: p.tel.Tracer})
	if err != nil {
		return nil, err
	}
	for logged := false; !nc.IsConnected(); {
		if !logged {
			log.Info("waiting for the cluster", "servers", p.cfg.Servers)
			logged = true
		}
		if err := wait.For(ctx, 100*time.Millisecond); err != nil {
			nc.Close()
			return nil, err
		}
	}
	return nc, nil
}

func waitFile(ctx context.Context, path string, log *slog.Logger) error {
	for logged := false; ; {
		_, err := os.Stat(path)
		if err == nil {
			return nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return fault.Wrap(fault.Other, err, "credentials %s", filepath.Base(path))
		}
		if !logged {
			log.Info("waiting for credentials; the deployment's init writes them", "file", path)
			logged = true
		}
		if err := wait.For(ctx, 250*time.Millisecond); err != nil {
			return err
		}
	}
}

// prune keeps the database bounded.
func (p *Primary) prune(ctx context.Context, db store.Pruner) error {
	for {
		n, err := db.Prune(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			p.tel.Log.Error("pruning", "error", err)
		case n > 0:
			p.tel.Log.Info("pruned", "rows", n)
		}
		if wait.For(ctx, time.Hour) != nil {
			return nil
		}
	}
}
