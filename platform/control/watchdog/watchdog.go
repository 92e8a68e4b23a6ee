// Package watchdog looks for streams of tenants that store nothing: without a leader,
// or with one that gets no further. Every node looks at what its own server says; the
// leading node raises alarms in the tenants, when it begins, when it does not end by
// itself, and when it is over, and keeps in STATUS what it has raised. It touches one key of that,
// and the audit log: how long a node was without a quorum, and which node cannot write
// to its disk.
package watchdog

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/internal/wait"
	"midplane/platform/node"
	"midplane/platform/registry"
)

const (
	// lookEvery is how often a node looks. What a look costs grows with the tenants, so
	// with many there is a pause of perTenant for each, up to lookRarely.
	lookEvery  = 2 * time.Second
	lookRarely = 10 * time.Second
	perTenant  = 10 * time.Millisecond
	// laterFor is how long after the end of a trouble a node that begins to lead still
	// reports it: when all were without a leader, the control plane was, too.
	laterFor = 30 * time.Second
	// mostStuck is how many streams a node names: its presence is stored every second.
	mostStuck = 500
	// keyTroubles is the key of STATUS of what was raised.
	keyTroubles = "watchdog"
)

// Server is what a Watchdog asks its own server.
type Server interface {
	Streams(accountKey string) []node.Stream
	Meta() node.Meta
}

// Progress is what a Watchdog asks about the logs of streams.
type Progress interface {
	Progress() map[string]node.Progress
}

// Alarms raises alarms in tenants.
type Alarms interface {
	RaiseOnce(ctx context.Context, t *registry.Tenant, id string, sev event.Severity, a event.Alarm)
}

// Recorder stores what happened in the audit log.
type Recorder interface {
	Record(ctx context.Context, rec api.AuditRecord)
}

// Config is what a Watchdog is given.
type Config struct {
	Node     string
	Registry *registry.Registry
	Server   Server
	Progress Progress
	Lagging  func() []node.Lagging // this node's replicas that are not whole
	Alarms   Alarms
	Audit    Recorder
	Leads    func() bool // this node leads the control plane
	Log      *slog.Logger
}

// Watchdog looks for one node.
type Watchdog struct {
	cfg      Config
	troubles troubles
	progress progress
	over     []ended
	lost     time.Time // since when this node has no quorum; zero: it has one
	back     time.Time // since when it has one again
	led      bool      // at the last look
	full     map[string]bool

	mu    sync.Mutex
	stuck []api.StuckStream
}

// ended is a trouble with when it was over.
type ended struct {
	Trouble
	at time.Time
}

// New returns a Watchdog; Run looks.
func New(cfg Config) *Watchdog {
	return &Watchdog{cfg: cfg, troubles: troubles{}, progress: progress{}, full: map[string]bool{}}
}

// Run looks until ctx ends.
func (w *Watchdog) Run(ctx context.Context) error {
	for wait.For(ctx, w.pause()) == nil {
		now := time.Now()
		for _, t := range w.troubles.see(w.look(now), now) {
			w.over = append(w.over, ended{t, now})
		}
		w.forget()
		w.quorum(ctx, now)
		leads := w.cfg.Leads()
		if leads {
			w.lead(ctx, now)
		}
		w.led = leads
		w.over = slices.DeleteFunc(w.over, func(e ended) bool { return now.Sub(e.at) > laterFor })
	}
	return nil
}

func (w *Watchdog) pause() time.Duration {
	return min(max(lookEvery, time.Duration(len(w.cfg.Registry.View().Tenants))*perTenant), lookRarely)
}

// Stuck returns the streams that store nothing, as this node sees them.
func (w *Watchdog) Stuck() []api.StuckStream {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stuck
}

// look is what this node sees of the tenants' streams.
func (w *Watchdog) look(now time.Time) (seen []sight) {
	var stuck []api.StuckStream
	groups, nodes, unhealthy := w.cfg.Progress.Progress(), w.cfg.Registry.LiveNodes(), map[node.Lagging]bool{}
	for _, l := range w.cfg.Lagging() {
		unhealthy[node.Lagging{Account: l.Account, Stream: l.Stream}] = true
	}
	for _, t := range w.cfg.Registry.View().Tenants {
		if !t.Readable() || t.ID.OfSystem() { // of the latter a node says that its door takes nothing
			continue
		}
		for _, s := range w.cfg.Server.Streams(t.Account.Key) {
			at := sight{tenant: string(t.ID), stream: s.Name}
			healthy := !unhealthy[node.Lagging{Account: t.Account.Key, Stream: s.Name}]
			mine, none := w.progress.step(at.tenant+"/"+at.stream, s.Leader == w.cfg.Node, s.Leader == "", healthy, groups[s.Group], now)
			if mine || none {
				stuck = append(stuck, api.StuckStream{Tenant: at.tenant, Stream: at.stream, NoLeader: none})
			}
			at.leader, at.stuck = LeaderOf(nodes, at.tenant, at.stream, s.Leader)
			seen = append(seen, at)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stuck = stuck[:min(len(stuck), mostStuck)]
	return seen
}

// forget drops what is known of tenants that are gone.
func (w *Watchdog) forget() {
	view := w.cfg.Registry.View()
	maps.DeleteFunc(w.troubles, func(_ string, t Trouble) bool {
		now := view.Tenants[event.Tenant(t.Tenant)]
		return now == nil || !now.Readable()
	})
}

// lead raises what is due.
func (w *Watchdog) lead(ctx context.Context, now time.Time) {
	stored, _, _ := registry.Get[troubles](w.cfg.Registry, keyTroubles)
	over := w.over
	w.over = nil
	if !w.led {
		for _, t := range w.troubles.take(stored) {
			if !slices.ContainsFunc(over, func(e ended) bool { return e.key() == t.key() }) {
				over = append(over, ended{t, now})
			}
		}
	}
	for _, e := range over {
		before := stored[e.key()]
		if e.Raised = e.Raised || before.Raised; e.Raised && before.Raised && before.Since.Before(e.Since) {
			e.Since = before.Since
		}
		if e.Raised || e.at.Sub(e.Since) >= raiseAfter {
			w.raiseOver(ctx, e)
		}
	}
	live := true
	for _, n := range w.cfg.Registry.Nodes() {
		live = live && registry.Alive(n)
	}
	for _, t := range w.troubles.due(now, live) {
		w.raise(ctx, t)
	}
	w.disks(ctx)
	reported := w.troubles.reported()
	if maps.Equal(reported, stored) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookEvery)
	defer cancel()
	if _, err := w.cfg.Registry.PutStatus(ctx, keyTroubles, reported); err != nil {
		w.cfg.Log.Debug("what was raised about streams is not stored", "error", err) // again at the next look
	}
}

// raise raises that a stream stores nothing.
func (w *Watchdog) raise(ctx context.Context, t Trouble) {
	what := "has no leader"
	if t.Leader != "" {
		what = "is led by node " + t.Leader + ", which gets no further"
	}
	a := event.Alarm{Alarm: "stores-nothing", Source: "watchdog", Stream: t.Stream, Message: fmt.Sprintf("stream %s %s since %s: it stores nothing", t.Stream, what, stamp(t.Since)),
		Hint: "producers keep what is not acknowledged; tell the provider"}
	if t.Stalled {
		a.Alarm, a.Hint = "stalled", "it does not end by itself, although all nodes live: see the runbook halted-stream"
	}
	w.cfg.Log.Error("a stream stores nothing", "tenant", t.Tenant, "stream", t.Stream, "leader", t.Leader, "since", t.Since, "stalled", t.Stalled, "page", true)
	w.publish(ctx, t, event.Critical, a)
}

// raiseOver raises that a stream stores again.
func (w *Watchdog) raiseOver(ctx context.Context, e ended) {
	w.cfg.Log.Info("a stream stores again", "tenant", e.Tenant, "stream", e.Stream, "since", e.Since)
	w.publish(ctx, e.Trouble, event.Notice, event.Alarm{Alarm: "stores-again", Source: "watchdog", Stream: e.Stream,
		Message: fmt.Sprintf("stream %s stores again: it stored nothing from %s to %s", e.Stream, stamp(e.Since), stamp(e.at))})
}

func (w *Watchdog) publish(ctx context.Context, t Trouble, sev event.Severity, a event.Alarm) {
	to := w.cfg.Registry.View().Tenants[event.Tenant(t.Tenant)]
	if to == nil || !to.Open() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookEvery) // the stream may be the one that events are in
	defer cancel()
	w.cfg.Alarms.RaiseOnce(ctx, to, fmt.Sprintf("%s/%s/%d", a.Alarm, t.Stream, t.Since.Unix()), sev, a)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
