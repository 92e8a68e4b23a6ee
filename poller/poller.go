// Package poller is the agent at a customer's site. It runs checks on a
// schedule, keeps what they say in an outbox on its own disk, and forwards it
// to the ingress of its tenant; the control channel tells it what to watch.
//
// It works on without the control plane (from the configuration it last had)
// and without the cluster (into the outbox), and it loses nothing that a
// collector was told is kept. The parts: schedule.go asks the collectors,
// change/ finds what changed, outbox/ keeps, forward.go sends, channel.go asks
// and reports. It may import poller/…, bus, api and what is below them; which
// collectors there are is given to it.
package poller

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"golang.org/x/sync/errgroup"

	"midplane/api"
	"midplane/bus"
	"midplane/bus/renew"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/run"
	"midplane/poller/change"
	"midplane/poller/collect"
	"midplane/poller/outbox"
	"midplane/telemetry"
)

const (
	// credsLook is how often a missing credentials file is looked for,
	// credsSay how often that is said.
	credsLook = 250 * time.Millisecond
	credsSay  = 30 * time.Second
)

// Config says who a poller is and where it keeps its things.
type Config struct {
	User        string   // name of the poller, and of its user
	Dir         string   // of the outbox and the last configuration; made if need be
	CredsFile   string   // may appear later: the poller waits for it
	Servers     []string // client URLs of all nodes
	CAFile      string   // PEM; turns TLS on
	Collectors  map[string]collect.Collector
	OutboxBytes int64 // 0: 64 MiB
	Version     string
}

// Poller is one poller.
type Poller struct {
	cfg     Config
	tel     telemetry.Telemetry
	channel *channel
	sched   *scheduler
	out     atomic.Pointer[outbox.Outbox]
	forward atomic.Pointer[forwarder]
}

// New returns a poller that does nothing yet. The error is Invalid.
func New(cfg Config, tel telemetry.Telemetry) (*Poller, error) {
	if err := event.CheckUserName("poller", cfg.User); err != nil {
		return nil, err
	}
	for _, need := range []struct{ what, value string }{{"a directory", cfg.Dir}, {"a credentials file", cfg.CredsFile}} {
		if need.value == "" {
			return nil, fault.New(fault.Invalid, "poller %s needs %s", cfg.User, need.what)
		}
	}
	if len(cfg.Servers) == 0 {
		return nil, fault.New(fault.Invalid, "poller %s has no servers to connect to", cfg.User)
	}
	p := &Poller{cfg: cfg, tel: tel.With("poller", cfg.User)}
	p.sched = newScheduler(cfg.Collectors, p.emit, p.tel)
	secrets := newVault(cfg.Dir, func() (nkeys.KeyPair, error) { return keyOf(cfg.CredsFile) })
	p.sched.secrets = secrets.Secret
	p.channel = newChannel(cfg.Dir, cfg.User, secrets, p.sched.Apply, p.tel)
	return p, nil
}

// emit is the scheduler's way into the outbox.
func (p *Poller) emit(ctx context.Context, e ...event.Event) error {
	out := p.out.Load()
	if out == nil {
		return fault.New(fault.Unavailable, "the outbox is not open yet")
	}
	return out.Put(ctx, e...)
}

// Run polls until ctx ends. What it found and could not send waits in the
// outbox for the next time.
func (p *Poller) Run(ctx context.Context) error {
	if err := os.MkdirAll(p.cfg.Dir, 0o700); err != nil {
		return fault.Wrap(fault.Other, err, "directory of poller %s", p.cfg.User)
	}
	out, err := outbox.Open(ctx, outbox.Config{
		Path: filepath.Join(p.cfg.Dir, "outbox.db"), Producer: event.Producer(p.cfg.User),
		MaxBytes: p.cfg.OutboxBytes, Derive: change.Of,
	}, p.tel)
	if err != nil {
		return err
	}
	p.out.Store(out)
	p.channel.restore()
	var parts run.Group
	for _, part := range []run.Part{
		{Name: "outbox", Run: out.Run},
		{Name: "scheduler", Run: p.sched.Run},
		{Name: "link", Run: func(ctx context.Context) error { return p.link(ctx, out) }},
	} {
		if err = parts.Start(ctx, part); err != nil {
			break
		}
	}
	if err == nil {
		err = parts.Wait(ctx)
	}
	return errors.Join(err, parts.Stop())
}

// link connects to the cluster, once there are credentials, and keeps
// forwarding and the control channel going.
func (p *Poller) link(ctx context.Context, out *outbox.Outbox) error {
	if err := p.awaitCreds(ctx); err != nil {
		return err
	}
	var f *forwarder
	channel := &line{ctx: ctx, run: func(ctx context.Context, nc *nats.Conn) error {
		return p.channel.run(ctx, nc, signer(p.cfg.CredsFile), p.report)
	}, log: p.tel.Log}
	defer channel.stop()
	conn, err := renew.Open(bus.Config{
		Servers: p.cfg.Servers, User: p.cfg.User, Name: "poller " + p.cfg.User,
		CredsFile: p.cfg.CredsFile, CAFile: p.cfg.CAFile,
	}, p.tel, func(nc *nats.Conn) error {
		if f == nil {
			f = newForwarder(nc, p.cfg.User, out, p.tel)
			p.forward.Store(f)
		} else if err := f.attach(nc); err != nil {
			return err
		}
		channel.over(nc)
		return nil
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return f.Run(ctx) })
	g.Go(func() error { return conn.Run(ctx) })
	return g.Wait()
}

// awaitCreds waits until the credentials file is there, and whole: it may be
// written by another container at this moment.
func (p *Poller) awaitCreds(ctx context.Context) error {
	var said time.Time
	for {
		key, err := keyOf(p.cfg.CredsFile)
		if err == nil {
			key.Wipe()
			if !said.IsZero() {
				p.tel.Log.Info("the credentials are there", "file", p.cfg.CredsFile)
			}
			return nil
		}
		if time.Since(said) >= credsSay {
			said = time.Now()
			p.tel.Log.Warn("waiting for the credentials file; make it with: midplane user create --role poller",
				"file", p.cfg.CredsFile, "problem", err)
		}
		wait(ctx, credsLook)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// report is what the poller says of itself.
func (p *Poller) report() api.PollerReport {
	r := api.PollerReport{Version: p.cfg.Version, Revision: p.channel.revision()}
	if out := p.out.Load(); out != nil {
		s := out.Stats()
		r.Epoch, r.Outbox, r.OldestMS, r.Problem = s.Epoch, s.Depth, s.Oldest.Milliseconds(), s.Problem
	}
	if f := p.forward.Load(); f != nil && r.Problem == "" {
		r.Problem = f.problem()
	}
	if r.Problem == "" {
		r.Problem = p.channel.vault.problem()
	}
	return r
}

// Connected reports whether the poller has a connection to a node now.
func (p *Poller) Connected() bool {
	f := p.forward.Load()
	return f != nil && f.nc().Status() == nats.CONNECTED
}
