package repair

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/primary/fold"
	"midplane/primary/store"
	"midplane/telemetry"
)

// world is a poller's outbox, a store that may lack some of what it sent, and a
// control plane. Its time is the test's.
type world struct {
	t     *testing.T
	r     *Repairer
	began time.Time

	mu      sync.Mutex
	held    map[store.DeviceLane]map[string]store.State // what the store has
	current map[store.DeviceLane]map[string]store.State // what the poller says is current
	seq     uint64
	reads   []time.Duration
	asked   []asked
	refuse  error
}

type asked struct {
	at  time.Duration
	req api.ResendRequest
}

// in runs a test in a world whose Repairer runs.
func in(t *testing.T, cfg Config, before func(*world), f func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, held: map[store.DeviceLane]map[string]store.State{}, current: map[store.DeviceLane]map[string]store.State{}, began: time.Now()}
		var err error
		if w.r, err = New(cfg, w, w, telemetry.Nop()); err != nil {
			t.Fatal(err)
		}
		before(w)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.r.Run(ctx) }()
		f(w)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func nothing(*world) {}

func laneOf(n int) store.DeviceLane {
	return store.DeviceLane{Tenant: "acme", DeviceLane: fold.DeviceLane{DeviceKey: fold.DeviceKey{Site: "syd", Device: event.Entity(fmt.Sprintf("r%03d", n))}, Producer: "p1"}}
}

// state sends a state; the store lacks it when it is lost on the way.
func (w *world) state(id store.DeviceLane, entity event.Entity, lost bool) {
	w.mu.Lock()
	w.seq++
	s := store.State{Entity: entity, Type: event.TypeInterface, Version: fold.Version{Epoch: 1, Seq: w.seq, Data: fmt.Appendf(nil, `{"n":%d}`, w.seq)}}
	w.put(w.current, id, s)
	if !lost {
		w.put(w.held, id, s)
	}
	w.mu.Unlock()
	if !lost {
		w.r.Folded(id.Tenant, map[fold.DeviceLane]fold.Touched{id.DeviceLane: {States: true}})
	}
}

func (w *world) put(into map[store.DeviceLane]map[string]store.State, id store.DeviceLane, s store.State) {
	if into[id] == nil {
		into[id] = map[string]store.State{}
	}
	into[id][string(s.Entity)+string(s.Type)] = s
}

// beat sends a heartbeat.
func (w *world) beat(id store.DeviceLane) {
	w.mu.Lock()
	s := event.Seen{Device: id.Device, Counting: w.began, Checks: []event.CheckRuns{{Name: "ping", Last: time.Now()}}}
	var sum event.Digest
	for _, st := range w.current[id] {
		sum = sum.Add(event.DigestOf(st.Entity, st.Type, st.Data))
		if s.States++; s.From == 0 || st.Seq < s.From {
			s.From = st.Seq
		}
	}
	s.Digest = sum.String()
	data, err := json.Marshal(s)
	if err != nil {
		w.t.Fatal(err)
	}
	w.seq++
	v := fold.Version{Epoch: 1, Seq: w.seq, Data: data}
	w.put(w.held, id, store.State{Entity: id.Device, Type: event.TypeSeen, Version: v})
	w.mu.Unlock()
	h, _ := fold.ReadHeartbeat(v)
	w.r.Folded(id.Tenant, map[fold.DeviceLane]fold.Touched{id.DeviceLane: {Beat: &h}})
}

// late brings a current state that was lost at first.
func (w *world) late(id store.DeviceLane, entity event.Entity) {
	w.mu.Lock()
	w.put(w.held, id, w.current[id][string(entity)+string(event.TypeInterface)])
	w.mu.Unlock()
	w.r.Folded(id.Tenant, map[fold.DeviceLane]fold.Touched{id.DeviceLane: {States: true}})
}

// resend sends every state of a device again, as its poller does when it is asked.
func (w *world) resend(id store.DeviceLane) {
	w.mu.Lock()
	var entities []event.Entity
	for _, s := range w.current[id] {
		entities = append(entities, s.Entity)
	}
	w.mu.Unlock()
	for _, e := range entities {
		w.state(id, e, false)
	}
}

func (w *world) since() time.Duration { return time.Since(w.began) }

// Lane is store.Lanes'.
func (w *world) Lane(_ context.Context, id store.DeviceLane) (out []store.State, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads = append(w.reads, w.since())
	for _, s := range w.held[id] {
		out = append(out, s)
	}
	return out, nil
}

// Beating is store.Lanes'.
func (w *world) Beating(_ context.Context, after store.DeviceLane, limit int) (out []store.DeviceLane, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.held {
		if id.Device > after.Device {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, func(a, b store.DeviceLane) int { return strings.Compare(string(a.Device), string(b.Device)) })
	return out[:min(limit, len(out))], nil
}

// Do is the control plane's.
func (w *world) Do(_ context.Context, verb string, req, _ any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if verb != api.CoreResend {
		return fault.New(fault.NotFound, "no verb %s", verb)
	}
	w.asked = append(w.asked, asked{w.since(), req.(api.ResendRequest)})
	return w.refuse
}

func (w *world) requests() []asked {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.asked)
}

func (w *world) compared() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.reads)
}

func (w *world) differing() (n int) {
	w.r.countDifferent(func(_ event.Tenant, d int) { n += d })
	return n
}
