// Package repair finds states that a primary lacks, by the heartbeats of devices,
// and asks for them. Pollers send a state when it changed, and after each run of a
// check a heartbeat with a digest over the states that hold. A heartbeat that has
// stood for a while is compared with the store; when they differ, the control plane
// is asked to have the poller send its states of that device again.
//
// gaps.go asks for messages that were acknowledged and are missing, by the loss ledger.
// lane.go says when a device is compared and when its poller is asked, compare.go
// compares; both are pure. sweep.go compares every device once after a start, ask.go
// asks. It may import store and fold, but no implementation of the store.
package repair

import (
	"context"
	"sync"
	"time"

	"midplane/event"
	"midplane/fault"
	"midplane/internal/once"
	"midplane/internal/wait"
	"midplane/primary/fold"
	"midplane/primary/store"
	"midplane/telemetry"
)

// Config says how soon a device is compared. The zero value is good.
type Config struct {
	Stand time.Duration // how long a heartbeat must have stood; 0 = 10 s
	Rate  int           // comparisons per second at most; 0 = 200
}

// The values of a Config that has none.
const (
	defaultStand = 10 * time.Second
	defaultRate  = 200
)

// maxLanes bounds the memory of what is remembered. Beyond it the lanes that are
// equal are forgotten, and each costs one comparison with its next heartbeat.
const maxLanes = 500_000

// ControlPlane answers core.…; api.Core does.
type ControlPlane interface {
	Do(ctx context.Context, verb string, req, resp any) error
}

// Repairer compares and asks. Make it with New, run it with Run.
type Repairer struct {
	cfg     Config
	store   store.Lanes
	core    ControlPlane
	tel     telemetry.Telemetry
	metrics *metrics
	logs    map[event.Tenant]*once.Log // Run's own
	answers once.Log                   // Run's own

	mu        sync.Mutex
	lanes     map[store.DeviceLane]*lane
	pending   map[store.DeviceLane]*lane // those that are due some time
	different map[event.Tenant]int       // how many lanes are
}

// New checks the configuration. It does no I/O.
func New(cfg Config, st store.Lanes, core ControlPlane, tel telemetry.Telemetry) (*Repairer, error) {
	if cfg.Stand < 0 || cfg.Rate < 0 {
		return nil, fault.New(fault.Invalid, "repair after %s, %d comparisons a second", cfg.Stand, cfg.Rate)
	}
	if cfg.Stand == 0 {
		cfg.Stand = defaultStand
	}
	if cfg.Rate == 0 {
		cfg.Rate = defaultRate
	}
	r := &Repairer{
		cfg: cfg, store: st, core: core, tel: tel, logs: map[event.Tenant]*once.Log{},
		answers: once.Log{To: tel.Log, Fails: "states are not asked for, trying again", Works: "states are asked for"},
		lanes:   map[store.DeviceLane]*lane{}, pending: map[store.DeviceLane]*lane{}, different: map[event.Tenant]int{},
	}
	var err error
	r.metrics, err = newMetrics(tel.Meter, r.countDifferent)
	return r, err
}

// Folded takes what a committed batch touched. It never waits.
func (r *Repairer) Folded(tenant event.Tenant, touched map[fold.DeviceLane]fold.Touched) {
	if len(touched) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for key, t := range touched {
		id := store.DeviceLane{Tenant: tenant, DeviceLane: key}
		l := r.lanes[id]
		if l == nil {
			if t.Beat == nil {
				continue // of a producer that sends no heartbeats
			}
			l = r.add(id)
		}
		l.touch(t, now, r.cfg.Stand)
		if !l.due.IsZero() {
			r.pending[id] = l
		}
	}
}

// add remembers one lane more; r.mu is held.
func (r *Repairer) add(id store.DeviceLane) *lane {
	if len(r.lanes) >= maxLanes {
		for id, l := range r.lanes {
			if l.equal {
				delete(r.lanes, id)
			}
		}
	}
	l := &lane{}
	r.lanes[id] = l
	return l
}

// Run compares until ctx ends; then it returns nil. It may be called once.
func (r *Repairer) Run(ctx context.Context) error {
	defer r.metrics.stop()
	tick := max(time.Millisecond, min(r.cfg.Stand/10, time.Second))
	limit := max(1, int(float64(r.cfg.Rate)*tick.Seconds()))
	sweep := sweep{limit: limit}
	for wait.For(ctx, tick) == nil {
		sweep.some(ctx, r)
		r.pass(ctx, limit)
	}
	return nil
}

// pass compares what is due, at most limit lanes, and asks for what differs.
func (r *Repairer) pass(ctx context.Context, limit int) {
	want := asks{}
	for _, id := range r.due(time.Now(), limit) {
		states, err := r.store.Lane(ctx, id)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			r.tel.Log.Warn("a device's states are not compared", "tenant", id.Tenant, "device", id.Device, "error", err)
			r.again(id)
			continue
		}
		o, h := compare(id.Device, states)
		r.metrics.compare(ctx, id.Tenant, o)
		if r.settle(id, o, h) {
			want.add(id)
		}
	}
	r.ask(ctx, want)
	r.log()
}

// due takes at most limit lanes that are due.
func (r *Repairer) due(now time.Time, limit int) (out []store.DeviceLane) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, l := range r.pending {
		if len(out) == limit {
			break
		}
		if l.due.After(now) {
			continue
		}
		l.taken()
		delete(r.pending, id)
		out = append(out, id)
	}
	return out
}

func (r *Repairer) settle(id store.DeviceLane, o outcome, h fold.Heartbeat) (ask bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lanes[id]
	if l == nil {
		return false
	}
	was := l.different
	if o == gone {
		l.different = false
		delete(r.lanes, id)
		delete(r.pending, id)
	} else {
		ask = l.settle(o, h, time.Now())
	}
	switch {
	case l.different && !was:
		r.different[id.Tenant]++
	case was && !l.different:
		r.different[id.Tenant]--
	}
	if o != gone && !l.due.IsZero() {
		r.pending[id] = l
	}
	return ask
}

// again makes a lane due once more, a while from now.
func (r *Repairer) again(id store.DeviceLane) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.lanes[id]; l != nil && l.due.IsZero() {
		l.due = time.Now().Add(r.cfg.Stand)
		r.pending[id] = l
	}
}

// requested notes that a poller was asked for a device.
func (r *Repairer) requested(id store.DeviceLane) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.lanes[id]; l != nil {
		l.requested(time.Now(), r.cfg.Stand)
	}
}

func (r *Repairer) countDifferent(observe func(event.Tenant, int)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for t, n := range r.different {
		observe(t, n)
	}
}

var errDifferent = fault.WithHint(fault.New(fault.Conflict, "a device's states are not what its heartbeat says"), "its poller is asked to send them again")

// log logs once when a tenant's states differ, and when they no longer do.
func (r *Repairer) log() {
	r.countDifferent(func(t event.Tenant, n int) {
		l := r.logs[t]
		if l == nil {
			l = &once.Log{To: r.tel.Log.With("tenant", string(t)), Fails: "states are missing, asking for them", Works: "no states are missing"}
			r.logs[t] = l
		}
		var err error
		if n > 0 {
			err = errDifferent
		}
		l.Note(err)
	})
}
