package primary

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testwait"
	"midplane/primary/repair"
	"midplane/subject"
	"midplane/telemetry"
)

// stand is how long a heartbeat must have stood in these tests.
const stand = 300 * time.Millisecond

// held is a state that a poller counts as current.
type held struct {
	entity  event.Entity
	typ     event.Type
	seq     uint64
	payload any
}

// state stores a state and returns it as its poller remembers it.
func (t *worldTenant) state(tt testing.TB, entity event.Entity, typ event.Type, payload any) held {
	tt.Helper()
	t.put(tt, event.KindState, entity, typ, payload)
	return held{entity, typ, t.seqs[event.StreamState], payload}
}

// beat stores the heartbeat of a device that counts these states.
func (t *worldTenant) beat(tt testing.TB, device event.Entity, current ...held) {
	tt.Helper()
	s := event.Seen{Device: device, Counting: time.Now(), Checks: []event.CheckRuns{{Name: "ping", Runs: 1, Last: time.Now()}}, States: len(current)}
	var sum event.Digest
	for _, c := range current {
		data, err := json.Marshal(c.payload)
		if err != nil {
			tt.Fatal(err)
		}
		if sum = sum.Add(event.DigestOf(c.entity, c.typ, data)); s.From == 0 || c.seq < s.From {
			s.From = c.seq
		}
	}
	s.Digest = sum.String()
	t.put(tt, event.KindState, device, event.TypeSeen, s)
}

// purge takes an entity's state out of STATE.
func (t *worldTenant) purge(tt testing.TB, entity event.Entity, typ event.Type) {
	tt.Helper()
	in := subject.In{Producer: "syd-01", Kind: event.KindState, Entity: entity, Type: typ}
	s, err := t.js.Stream(context.Background(), event.StreamState)
	if err == nil {
		err = s.Purge(context.Background(), jetstream.WithPurgeSubject(in.StoredAs("syd").String()))
	}
	if err != nil {
		tt.Fatal(err)
	}
}

func (w *world) repairing(name string) Config {
	cfg := w.config(name)
	cfg.Repair = repair.Config{Stand: stand}
	return cfg
}

func (w *world) resends(primary string) []api.ResendRequest {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]api.ResendRequest(nil), w.resent[primary]...)
}

// A state that is missing from STATE leads to a request: at a primary that reads on,
// at one that starts again, and at one of another name that reads STATE from its
// start. When the states come again there is none.
func TestAsksForMissingStates(t *testing.T) {
	w := newWorld(t)
	acme := w.add("acme")
	up := event.Reachability{Device: "r1", Status: "up", Method: "ping"}
	eth := event.Interface{Device: "r1", Index: "1", Name: "eth0", AdminStatus: "up", OperStatus: "up"}
	all := []held{acme.state(t, "r1", event.TypeReachability, up), acme.state(t, "r1/if/1", event.TypeInterface, eth)}
	acme.beat(t, "r1", all...)
	other := acme.state(t, "r2", event.TypeReachability, event.Reachability{Device: "r2", Status: "up", Method: "ping"})
	acme.beat(t, "r2", other)

	_, stop := run(t, w.repairing("p1"), telemetry.Nop())
	q := w.query()
	testwait.True(t, "two devices are there", func() bool {
		d := ask[api.Page[api.Device]](t, q, api.DeviceList, api.ListRequest{}).Items
		return len(d) == 2
	})
	want := api.ResendRequest{Tenant: "acme", Poller: "syd-01", Devices: []event.Entity{"r1"}}
	asks := func(primary string, n int) {
		t.Helper()
		testwait.True(t, primary+" asks", func() bool { return len(w.resends(primary)) >= n })
		for _, r := range w.resends(primary) {
			if d := cmp.Diff(want, r); d != "" {
				t.Fatal(d)
			}
		}
	}

	// The poller counts a state that never came.
	lost := held{"r1/if/2", event.TypeInterface, 3, eth}
	acme.beat(t, "r1", append(all, lost)...)
	began := time.Now()
	asks("p1", 1)
	if took := time.Since(began); took > 100*stand {
		t.Errorf("asked after %s", took)
	}
	acme.beat(t, "r1", append(all, lost)...) // it is still missing
	asks("p1", 2)
	stop()
	_, stop = run(t, w.repairing("p1"), telemetry.Nop())
	asks("p1", 3)

	// The poller sends all of it again, and heartbeats: there is nothing to ask for.
	all = []held{acme.state(t, "r1", event.TypeReachability, up), acme.state(t, "r1/if/1", event.TypeInterface, eth), acme.state(t, "r1/if/2", event.TypeInterface, eth)}
	acme.beat(t, "r1", all...)
	testwait.True(t, "the second interface", func() bool {
		return len(ask[api.Page[api.Interface]](t, q, api.InterfaceList, api.ListRequest{}).Items) == 2
	})
	stop()

	// What was purged is with the primary that read it, and not with a new one.
	acme.purge(t, "r1/if/2", event.TypeInterface)
	run(t, w.repairing("p2"), telemetry.Nop())
	asks("p2", 1)
}

// A primary that has everything asks for nothing, also after a start.
func TestAsksForNothing(t *testing.T) {
	w := newWorld(t)
	acme := w.add("acme")
	_, stop := run(t, w.repairing("p1"), telemetry.Nop())
	for range 5 {
		acme.beat(t, "r1", acme.state(t, "r1", event.TypeReachability, event.Reachability{Device: "r1", Status: "up", Method: "ping"}))
	}
	// What is missing of another device shows that everything before was compared.
	missing := func(device event.Entity) {
		acme.beat(t, device, held{device, event.TypeReachability, 1, event.Reachability{Device: device}})
		testwait.True(t, "the request for "+string(device), func() bool {
			for _, r := range w.resends("p1") {
				for _, d := range r.Devices {
					if d == device {
						return true
					}
				}
			}
			return false
		})
	}
	missing("r2")
	stop()
	run(t, w.repairing("p1"), telemetry.Nop())
	missing("r3")
	for _, r := range w.resends("p1") {
		for _, d := range r.Devices {
			if d == "r1" {
				t.Error("asked for a device that is complete")
			}
		}
	}
}
