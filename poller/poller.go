// Package poller is the agent at a customer's site. It runs checks on a
// schedule, keeps what they find in an outbox on its own disk, and forwards it
// to the ingress of its tenant; what to watch comes over the control channel.
//
// It works on without the control plane (from the configuration it last had)
// and without the cluster (into the outbox), and it loses no message that the
// outbox has accepted. This package only assembles and runs the rooms below it:
// schedule runs the collectors of collect, heartbeat ends each run, outbox keeps
// what they find and asks change what happened, forward sends, channel asks and reports. It may import
// poller/…, bus, api and what is below them; which collectors there are is given
// to it.
package poller

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/atomicfile"
	"midplane/internal/run"
	"midplane/poller/change"
	"midplane/poller/channel"
	"midplane/poller/collect"
	"midplane/poller/forward"
	"midplane/poller/heartbeat"
	"midplane/poller/outbox"
	"midplane/poller/schedule"
	"midplane/telemetry"
)

// knownWithin is how long the outbox may take to say which checks have a result.
const knownWithin = 5 * time.Second

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
	channel *channel.Channel
	sched   *schedule.Scheduler
	pace    *forward.Pacer
	doors   *forward.Doors
	heart   *heartbeat.Heart
	missing missing
	ledger  atomic.Bool                       // the deployment takes part in the ledger in full
	out     atomic.Pointer[outbox.Outbox]     // nil before Run
	forward atomic.Pointer[forward.Forwarder] // nil before there are credentials
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
	p := &Poller{cfg: cfg, tel: tel.With("poller", cfg.User), pace: forward.NewPacer()}
	p.doors = forward.NewDoors(p.tel)
	p.heart = heartbeat.New(sent{p}, p.tel.Log)
	p.channel = channel.New(channel.Config{
		User: cfg.User, Dir: cfg.Dir, CredsFile: cfg.CredsFile, Apply: p.apply, Pace: p.pace.Set, Types: p.doors.Set, Polls: p.polls,
	}, p.tel.Log)
	p.sched = schedule.New(schedule.Config{
		Poller: event.Producer(cfg.User), Collectors: cfg.Collectors, Emit: p.emit, Secrets: p.channel.Secret, Known: p.known, Summary: p.heart,
	}, p.tel)
	return p, nil
}

// apply brings a configuration into effect.
func (p *Poller) apply(c api.PollerConfig) {
	p.doors.Forget()
	p.sched.Apply(c)
	p.heart.Apply(c) // afterwards: what is gone runs no more
}

// polls is given what the control plane says of what is sent, with every answer.
func (p *Poller) polls(polls *api.Polls) {
	p.heart.Set(polls)
	p.ledger.Store(polls != nil && polls.Ledger)
	if out := p.out.Load(); out != nil {
		out.SetOverflows(p.ledger.Load())
	}
	if polls != nil {
		p.missing.serve(p, polls.Missing)
	}
}

// emit is the scheduler's way into the outbox.
func (p *Poller) emit(ctx context.Context, e ...event.Event) error {
	out := p.out.Load()
	if out == nil {
		return fault.New(fault.Unavailable, "the outbox is not open yet")
	}
	return out.Put(ctx, p.doors.Pass(e)...)
}

// known returns the checks that have a result.
func (p *Poller) known() (map[event.Entity]bool, error) {
	out := p.out.Load()
	if out == nil {
		return nil, fault.New(fault.Unavailable, "the outbox is not open yet")
	}
	ctx, cancel := context.WithTimeout(context.Background(), knownWithin)
	defer cancel()
	return out.Known(ctx, event.TypeCheck)
}

// Run polls until ctx ends. What it found and could not send waits in the
// outbox for the next time.
func (p *Poller) Run(ctx context.Context) error {
	if err := atomicfile.MakeDir(p.cfg.Dir); err != nil {
		return fault.Wrap(fault.Other, err, "directory of poller %s", p.cfg.User)
	}
	out, err := outbox.Open(ctx, outbox.Config{
		Path: filepath.Join(p.cfg.Dir, "outbox.db"), Producer: event.Producer(p.cfg.User),
		MaxBytes: p.cfg.OutboxBytes, Derive: change.Of, Unchanged: change.Unchanged, Timeless: change.Timeless, Version: p.doors.Version,
	}, p.tel)
	if err != nil {
		return err
	}
	p.out.Store(out)
	out.SetOverflows(p.ledger.Load())
	p.channel.Restore()
	defer forward.Observe(p.tel, p.cfg.User, p.pace, func() (int64, time.Duration) {
		s := out.Stats()
		return s.Depth, s.Oldest
	})()
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

// report is what the poller says of itself.
func (p *Poller) report() api.PollerReport {
	r := api.PollerReport{Version: p.cfg.Version, Revision: p.channel.Revision()}
	if out := p.out.Load(); out != nil {
		s := out.Stats()
		r.Epoch, r.Outbox, r.OldestMS, r.Problem = s.Epoch, s.Depth, s.Oldest.Milliseconds(), s.Problem
		for _, l := range s.Lanes {
			r.Outgoing = append(r.Outgoing, api.Outgoing{Stream: l.Stream, Low: l.Low, Waiting: l.Waiting, OldestMS: l.Oldest.Milliseconds()})
		}
		if s.Overflow > 0 {
			r.Overflow = &api.Overflow{Messages: s.Overflow, Since: s.OverflowSince.UTC()}
		}
		if s.Thinned > 0 {
			r.Thinned = &api.Thinned{Samples: s.Thinned, Since: s.ThinnedSince.UTC()}
		}
	}
	if f := p.forward.Load(); f != nil && r.Problem == "" {
		if r.Problem = f.Problem(); r.Problem == "" { // else a stream is what it waits for
			r.Held = p.pace.Held(time.Now(), r.Outbox, time.Duration(r.OldestMS)*time.Millisecond)
		}
	}
	if r.Problem == "" {
		r.Problem = p.sched.Problem(time.Now())
	}
	if r.Problem == "" {
		r.Problem = p.channel.Problem()
	}
	if r.Problem == "" {
		r.Problem = p.doors.Problem()
	}
	return r
}

// Connected reports whether the poller has a connection to a node now.
func (p *Poller) Connected() bool {
	f := p.forward.Load()
	return f != nil && f.Connected()
}
