package replicas

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testregistry"
	"midplane/internal/testwait"
	"midplane/platform/control/service"
	"midplane/platform/node"
	"midplane/platform/registry"
	"midplane/subject"
	"midplane/tenants/account"
)

// connector connects to the one server without an account.
type connector struct{ reg *testregistry.Node }

func (c connector) Connect(account.Keys, account.Role, string) (*nats.Conn, error) {
	return testregistry.Connect(c.reg), nil
}

// own are a node's replicas, as the test has them.
type own struct {
	mu       sync.Mutex
	held     map[api.ReplicaRef]api.HeldReplica
	bad      map[api.ReplicaRef]bool // its files are
	sums     map[api.ReplicaRef]uint64
	repaired []api.ReplicaRef
	verified int
}

func (o *own) set(ref api.ReplicaRef, change func(h *api.HeldReplica)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.held[ref]
	change(&h)
	o.held[ref] = h
}

func (o *own) Held(streams []api.ReplicaRef) (out []api.HeldReplica) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for ref, h := range o.held {
		if len(streams) == 0 || slices.Contains(streams, ref) {
			out = append(out, h)
		}
	}
	return out
}

func (o *own) Verify(_ context.Context, streams []api.ReplicaRef) (out []api.VerifiedReplica) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.verified++
	for _, ref := range streams {
		v := api.VerifiedReplica{ReplicaRef: ref}
		if o.bad[ref] {
			v.Damage = &api.ReplicaDamage{What: "2.blk at 7"}
		}
		out = append(out, v)
	}
	return out
}

func (o *own) Repair(ref api.ReplicaRef, _ api.ReplicaDamage) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.repaired = append(o.repaired, ref)
	return nil
}

func (o *own) Sum(of api.ReplicaRange) (api.ReplicaSum, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.held[of.ReplicaRef]
	_, ok := o.held[of.ReplicaRef]
	return api.ReplicaSum{OK: ok, Messages: h.Messages, Hash: o.sums[of.ReplicaRef], First: h.First, Last: h.Last}, nil
}

func (o *own) Equal(streams []api.ReplicaRef) {
	for _, ref := range streams {
		if _, ok := o.held[ref]; ok {
			o.set(ref, func(h *api.HeldReplica) { h.Removed = nil })
		}
	}
}

func (o *own) Diverged() []api.ReplicaRef { return nil }

func (o *own) asked() []api.ReplicaRef {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.repaired)
}

// noAlarms takes alarms of tenants: there are none here.
type noAlarms struct{}

func (noAlarms) RaiseOnce(context.Context, *registry.Tenant, string, event.Severity, event.Alarm) {}

// duties are what a node leads.
type duties struct {
	mu    sync.Mutex
	leads []node.Led
}

func (d *duties) Leads() []node.Led {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.leads)
}

func (d *duties) HandOver(l node.Led) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.leads = slices.DeleteFunc(d.leads, func(x node.Led) bool { return x == l })
	return nil
}

// world is three nodes that serve, on one server.
type world struct {
	t     *testing.T
	reg   *testregistry.Node
	owns  map[string]*own
	stops map[string]func()
	room  *Room
}

var (
	events = api.ReplicaRef{Account: "A", Stream: event.StreamEvents}
	state  = api.ReplicaRef{Account: "A", Stream: event.StreamState}
)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, reg: testregistry.Open(t), owns: map[string]*own{}, stops: map[string]func(){}}
	for _, name := range []string{"n1", "n2", "n3"} {
		o := &own{held: map[api.ReplicaRef]api.HeldReplica{}, bad: map[api.ReplicaRef]bool{}, sums: map[api.ReplicaRef]uint64{}}
		for _, ref := range []api.ReplicaRef{events, state} {
			o.held[ref] = api.HeldReplica{ReplicaRef: ref, Messages: 100, First: 1, Last: 100, Current: true}
		}
		w.owns[name] = o
		r := New(Config{Node: name, Registry: w.reg.Registry, Dialer: connector{w.reg}, Own: o, Log: slog.New(slog.DiscardHandler)})
		t.Cleanup(r.Close)
		if w.room == nil {
			w.room = r
		}
		nc := testregistry.Connect(w.reg)
		stop, err := service.Serve(t.Context(), nc, name, service.Doors{subject.DoorCore: {
			api.CoreReplicas: service.Handle(r.Here), api.CoreReplicaVerify: service.Handle(r.VerifyHere),
			api.CoreReplicaRepair: service.Handle(r.RepairHere), api.CoreReplicaSum: service.Handle(r.SumHere),
		}})
		if err != nil {
			t.Fatal(err)
		}
		w.stops[name] = stop
		t.Cleanup(stop)
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// round has a new leader, or the same, compare once, with all nodes live.
func (w *world) round(a *Auditor) {
	w.t.Helper()
	w.live()
	if err := a.round(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	want, err := json.Marshal(a.state)
	if err != nil {
		w.t.Fatal(err)
	}
	testwait.True(w.t, "what the round found is read", func() bool {
		got, err := json.Marshal(load(w.reg.Registry))
		return err == nil && bytes.Equal(got, want)
	})
}

// live says of all nodes that they are.
func (w *world) live() {
	for name := range w.owns {
		w.reg.Say(registry.NodeKey(name), registry.Presence{Name: name})
	}
}

func (w *world) auditor(ask bool) *Auditor {
	a := NewAuditor(AuditorConfig{Registry: w.reg.Registry, Room: w.room, Alarms: noAlarms{}, Log: slog.New(slog.DiscardHandler), Every: time.Minute, Ask: ask})
	a.state = load(w.reg.Registry)
	return a
}

// repaired returns which nodes were asked to repair a stream.
func (w *world) repaired(ref api.ReplicaRef) (out []string) {
	for _, name := range []string{"n1", "n2", "n3"} {
		for _, r := range w.owns[name].asked() {
			if r == ref {
				out = append(out, name)
			}
		}
	}
	return out
}

// facts are what the leading node found, "stream/node" and whether it is repaired.
func facts(a *Auditor) map[string]bool {
	out := map[string]bool{}
	for _, f := range a.state.Findings {
		out[f.Stream+"/"+f.Node] = f.Repairing
	}
	return out
}
