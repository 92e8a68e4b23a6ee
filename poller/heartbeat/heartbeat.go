// Package heartbeat says of each device how often its checks have run and which
// of its states are current, so that states need not be sent again while they are
// unchanged. It also brings the counters of a device's interfaces into one
// message.
//
// heartbeat.go counts runs and writes the heartbeat, counters.go groups. It may
// import poller/schedule and what is below it, and does no I/O: what was sent is
// the outbox' to know, which is handed in.
package heartbeat

import (
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/poller/collect"
	"midplane/poller/schedule"
)

// Outbox knows what was sent.
type Outbox interface {
	// Current is what of a device was sent and still holds.
	Current(device event.Entity) (from uint64, states int, digest event.Digest)
	// SendAgain has the next states of devices sent, changed or not; of all without
	// one.
	SendAgain(devices ...event.Entity)
	// SetChangesOnly has states left out that are unchanged.
	SetChangesOnly(on bool)
}

// Heart counts runs. It is a schedule.Summary.
type Heart struct {
	out   Outbox
	log   *slog.Logger
	began time.Time

	mu      sync.Mutex
	polls   *api.Polls
	devices map[event.Entity]map[string]*check // by check name
	want    map[event.Entity]map[string]bool   // checks of the configuration, by device
	asked   map[event.Entity]time.Time         // the last request for all states that was served
}

// check is what is known of one check.
type check struct {
	runs  event.CheckRuns
	about map[about]bool // what its last run said
}

type about struct {
	entity event.Entity
	typ    event.Type
}

// New returns a Heart that is off: everything is sent as collectors emit it.
func New(out Outbox, log *slog.Logger) *Heart {
	return &Heart{out: out, log: log, began: time.Now().UTC().Truncate(time.Millisecond), devices: map[event.Entity]map[string]*check{}, asked: map[event.Entity]time.Time{}}
}

// Set is given what the control plane says with every answer: nil while a program
// of the deployment does not understand heartbeats.
func (h *Heart) Set(p *api.Polls) {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.polls
	h.polls = p
	h.out.SetChangesOnly(p != nil)
	if p == nil {
		return
	}
	if was != nil && was.State != p.State {
		h.log.Info("everything is sent again: STATE was made again or restored", "incarnation", p.State)
		h.out.SendAgain()
	}
	for _, r := range p.Resend {
		if r.Asked.After(h.asked[r.Device]) {
			h.asked[r.Device] = r.Asked
			h.out.SendAgain(r.Device)
			h.log.Info("all states of a device are sent again: a primary differs", "device", string(r.Device))
		}
	}
}

// Apply is given a configuration after the checks that it no longer has were
// stopped. A device that arrives is sent whole, since another poller may have
// reported it in between, and so is one that has other checks than before: what a
// check that is gone said is then older than all that is current.
func (h *Heart) Apply(cfg api.PollerConfig) {
	if cfg.Unchanged {
		return
	}
	want := map[event.Entity]map[string]bool{}
	for _, d := range cfg.Devices {
		checks := map[string]bool{}
		for _, c := range d.Checks {
			checks[c.Name] = true
		}
		want[d.ID] = checks
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, checks := range want {
		if was, ok := h.want[id]; !ok || !maps.Equal(was, checks) {
			h.out.SendAgain(id)
		}
		maps.DeleteFunc(h.devices[id], func(name string, _ *check) bool { return !checks[name] })
	}
	for id := range h.want {
		if want[id] == nil {
			delete(h.devices, id)
			delete(h.asked, id)
			h.out.SendAgain(id) // and what is kept of it is forgotten
		}
	}
	h.want = want
}

// On reports whether runs end with a heartbeat.
func (h *Heart) On() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.polls != nil
}

// Of returns what ends runs: their metrics, and a heartbeat of each device.
func (h *Heart) Of(runs ...schedule.Run) []event.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	largest := 0
	if h.polls != nil {
		largest = h.polls.MaxMessage / messagePart
	}
	var out []event.Event
	last := map[event.Entity]int{} // by device, the run that ended last
	for i := range runs {
		h.count(&runs[i])
		out = append(out, group(runs[i].Target.Device, runs[i].Metrics, largest)...)
		last[runs[i].Target.Device] = i
	}
	for i := range runs {
		if id := runs[i].Target.Device; last[id] == i {
			out = append(out, h.write(id, &runs[i]))
		}
	}
	return out
}

// count enters one run.
func (h *Heart) count(r *schedule.Run) {
	id := r.Target.Device
	if h.devices[id] == nil {
		h.devices[id] = map[string]*check{}
	}
	c := h.devices[id][r.Target.Check]
	if c == nil {
		c = &check{runs: event.CheckRuns{Name: r.Target.Check}}
		h.devices[id][r.Target.Check] = c
	}
	c.runs.Runs++
	c.runs.Last, c.runs.Latency = r.Ended.Truncate(time.Millisecond), 0 // more would only be longer
	if c.says(r, id) {
		h.out.SendAgain(id)
	}
}

// says keeps what a run said, and reports whether something is missing that the
// run before said. Then the device is sent whole, so that what is gone is older
// than all that is current.
func (c *check) says(r *schedule.Run, device event.Entity) (missing bool) {
	now := make(map[about]bool, len(r.States))
	for i := range r.States {
		e := &r.States[i]
		now[about{e.Entity, e.Type}] = true
		if e.Type == event.TypeCheck && e.Entity == device.Check(c.runs.Name) {
			var result event.Check
			if json.Unmarshal(e.Data, &result) == nil {
				c.runs.Latency = result.Latency
			}
		}
	}
	for a := range c.about {
		missing = missing || !now[a]
	}
	c.about = now
	return missing
}

// write returns a device's heartbeat after a run.
func (h *Heart) write(id event.Entity, r *schedule.Run) event.Event {
	seen := event.Seen{Device: id, Counting: h.began, Checks: []event.CheckRuns{}}
	for _, name := range slices.Sorted(maps.Keys(h.devices[id])) {
		seen.Checks = append(seen.Checks, h.devices[id][name].runs)
	}
	from, states, digest := h.out.Current(id)
	seen.From, seen.States, seen.Digest = from, states, digest.String()
	e := collect.State(id, event.TypeSeen, seen)
	e.Time, e.TraceParent, e.TraceState = r.Ended, r.TraceParent, r.TraceState
	return e
}
