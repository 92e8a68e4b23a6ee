package repair

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/event"
	"midplane/fault"
	"midplane/primary/fold"
	"midplane/primary/store"
	"midplane/telemetry"
)

// What is missing is asked for when the heartbeat has stood, then at distances that
// double up to an hour, and no more once it is there.
func TestAsksForWhatIsMissing(t *testing.T) {
	in(t, Config{}, nothing, func(w *world) {
		w.state(laneOf(1), "r001", false)
		w.state(laneOf(1), "r001/if/1", true)
		w.beat(laneOf(1))
		time.Sleep(9 * time.Second)
		if n := len(w.requests()); n != 0 || w.compared() != 0 {
			t.Errorf("%d requests and %d comparisons before the heartbeat has stood", n, w.compared())
		}
		for range 500 { // more than four hours
			time.Sleep(30 * time.Second)
			w.beat(laneOf(1))
		}
		var distances []time.Duration
		for i, a := range w.requests() {
			if d := cmp.Diff([]event.Entity{"r001"}, a.req.Devices); d != "" || a.req.Tenant != "acme" || a.req.Poller != "p1" {
				t.Fatalf("%+v", a)
			}
			if i > 0 {
				distances = append(distances, a.at-w.requests()[i-1].at)
			}
		}
		if first := w.requests()[0].at; first < 10*time.Second || first > 12*time.Second {
			t.Errorf("first asked after %s", first)
		}
		if len(distances) < 10 {
			t.Fatalf("asked at distances of %s", distances)
		}
		want := 10 * time.Second
		for _, d := range distances {
			if d < want || d > want+31*time.Second { // it waits for a heartbeat, then until that has stood
				t.Errorf("distance %s, want %s: %s", d, want, distances)
			}
			want = min(2*want, time.Hour)
		}
		if n := w.differing(); n != 1 {
			t.Errorf("%d devices differ", n)
		}
		w.resend(laneOf(1))
		w.beat(laneOf(1))
		time.Sleep(time.Minute)
		asked, compared := len(w.requests()), w.compared()
		for range 100 {
			w.beat(laneOf(1))
			time.Sleep(time.Minute)
		}
		if len(w.requests()) != asked || w.compared() != compared || w.differing() != 0 {
			t.Errorf("when all is there: %d requests, %d comparisons, %d differ", len(w.requests())-asked, w.compared()-compared, w.differing())
		}
		w.state(laneOf(1), "r001/if/2", true) // after a repair it begins again with the shortest distance
		w.beat(laneOf(1))
		time.Sleep(12 * time.Second)
		if n := len(w.requests()) - asked; n != 1 {
			t.Errorf("%d requests for another state", n)
		}
	})
}

// Without a heartbeat there is no poller that could answer, and states of those that
// send none cost nothing.
func TestAsksNoOneWhoIsAway(t *testing.T) {
	in(t, Config{}, nothing, func(w *world) {
		w.state(laneOf(1), "r001", true)
		w.state(laneOf(1), "r001/if/1", true)
		w.beat(laneOf(1))
		time.Sleep(24 * time.Hour)
		w.late(laneOf(1), "r001") // one of the two is still missing
		time.Sleep(24 * time.Hour)
		if n := len(w.requests()); n != 1 || w.compared() != 2 {
			t.Errorf("%d requests to a poller that is away, %d comparisons", n, w.compared())
		}
		compared := w.compared()
		for range 100 {
			w.state(laneOf(2), "r002", false)
			time.Sleep(10 * time.Second)
		}
		if n := w.compared() - compared; n != 0 {
			t.Errorf("%d comparisons without a heartbeat", n)
		}
	})
}

// A device that changes all the time is compared nevertheless, and is not asked for
// while it is as its heartbeat says.
func TestChangesAllTheTime(t *testing.T) {
	in(t, Config{}, nothing, func(w *world) {
		for range 100 {
			w.state(laneOf(1), "r001", false)
			w.beat(laneOf(1))
			time.Sleep(5 * time.Second)
		}
		if n := w.compared(); n < 6 || n > 12 || len(w.requests()) != 0 {
			t.Errorf("%d comparisons and %d requests in 500 s", n, len(w.requests()))
		}
		w.state(laneOf(1), "r001/if/1", true)
		for range 100 { // never at the very moment of a comparison, which would not count then
			w.state(laneOf(1), "r001", false)
			w.beat(laneOf(1))
			time.Sleep(4700 * time.Millisecond)
		}
		if len(w.requests()) == 0 {
			t.Error("it is never asked for")
		}
	})
}

// A state that arrives after the heartbeat that counts it is no reason to ask.
func TestStateArrivesLate(t *testing.T) {
	in(t, Config{}, nothing, func(w *world) {
		w.state(laneOf(1), "r001", true)
		w.beat(laneOf(1))
		time.Sleep(9 * time.Second)
		w.late(laneOf(1), "r001")
		time.Sleep(time.Minute)
		if n := len(w.requests()); n != 0 || w.compared() != 1 {
			t.Errorf("%d requests, %d comparisons", n, w.compared())
		}
	})
}

// One request per poller and pass, each of a bounded number of devices.
func TestRequestsAreFew(t *testing.T) {
	in(t, Config{Rate: 100_000}, nothing, func(w *world) {
		const n = 1500
		for i := range n {
			id := laneOf(i)
			w.state(id, id.Device, true)
			w.beat(id)
			if i < 10 {
				id.Producer = "p2"
				w.state(id, id.Device, true)
				w.beat(id)
			}
		}
		time.Sleep(12 * time.Second)
		first := map[string]int{}
		for _, a := range w.requests() {
			first[string(a.req.Poller)] += len(a.req.Devices)
		}
		if d := cmp.Diff(map[string]int{"p1": 1000, "p2": 10}, first); d != "" || len(w.requests()) != 2 {
			t.Errorf("%d requests: %s", len(w.requests()), d)
		}
		time.Sleep(12 * time.Second)
		all := map[event.Entity]int{}
		for _, a := range w.requests() {
			if len(a.req.Devices) > 1000 {
				t.Errorf("a request of %d devices", len(a.req.Devices))
			}
			for _, d := range a.req.Devices {
				all[d]++
			}
		}
		if len(all) != n {
			t.Errorf("asked for %d of %d devices", len(all), n)
		}
	})
}

// While the control plane does not answer, the same is asked again; a refusal is not
// asked again soon.
func TestControlPlaneIsAway(t *testing.T) {
	for _, tc := range []struct {
		refuse error
		want   int
	}{{fault.New(fault.Unavailable, "away"), 6}, {fault.New(fault.Denied, "no"), 1}} {
		in(t, Config{}, func(w *world) { w.refuse = tc.refuse }, func(w *world) {
			w.state(laneOf(1), "r001", true)
			w.beat(laneOf(1))
			time.Sleep(65 * time.Second)
			if n := len(w.requests()); n < tc.want-1 || n > tc.want {
				t.Errorf("%v: %d requests in 65 s", tc.refuse, n)
			}
			w.mu.Lock()
			w.refuse = nil
			w.mu.Unlock()
			w.beat(laneOf(1))
			asked := len(w.requests())
			time.Sleep(25 * time.Second)
			if n := len(w.requests()) - asked; n != 1 {
				t.Errorf("%v: %d requests once it answers", tc.refuse, n)
			}
		})
	}
}

// After a start every device is compared once, at a bounded rate, and what is missing
// is asked for without another heartbeat.
func TestAfterAStart(t *testing.T) {
	const n, rate = 900, 20
	in(t, Config{Rate: rate}, func(w *world) {
		for i := range n {
			w.state(laneOf(i), laneOf(i).Device, i%100 == 7)
			w.beat(laneOf(i))
		}
		clear(w.r.lanes) // it has just been started
		clear(w.r.pending)
	}, func(w *world) {
		time.Sleep(3 * time.Minute)
		if w.compared() != n {
			t.Errorf("%d comparisons of %d", w.compared(), n)
		}
		for i, at := range w.reads {
			if i >= 2*rate && at-w.reads[i-2*rate] < time.Second {
				t.Errorf("more than %d comparisons within a second, at %s", 2*rate, at)
			}
		}
		var devices []event.Entity
		for _, a := range w.requests() {
			devices = append(devices, a.req.Devices...)
		}
		slices.Sort(devices)
		if d := cmp.Diff([]event.Entity{"r007", "r107", "r207", "r307", "r407", "r507", "r607", "r707", "r807"}, devices); d != "" {
			t.Error(d)
		}
		for i := range n {
			w.beat(laneOf(i))
		}
		time.Sleep(time.Minute)
		if more := w.compared() - n; more < 9 || more > 18 { // those that differ; an unchanged heartbeat costs nothing
			t.Errorf("%d comparisons more after one more heartbeat of each", more)
		}
	})
}

// A device that was removed is no longer asked for.
func TestRemoved(t *testing.T) {
	in(t, Config{}, nothing, func(w *world) {
		w.state(laneOf(1), "r001", true)
		w.beat(laneOf(1))
		time.Sleep(15 * time.Second)
		w.mu.Lock()
		clear(w.held)
		w.mu.Unlock()
		w.r.Folded("acme", map[fold.DeviceLane]fold.Touched{laneOf(1).DeviceLane: {States: true}})
		time.Sleep(time.Hour)
		if n := len(w.requests()); n != 1 || w.differing() != 0 || len(w.r.lanes) != 0 {
			t.Errorf("%d requests, %d differ, %d lanes", n, w.differing(), len(w.r.lanes))
		}
	})
}

// What is remembered is bounded.
func TestMemoryIsBounded(t *testing.T) {
	r, err := New(Config{}, nil, nil, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxLanes {
		id := laneOf(i)
		r.add(id).equal = i%2 == 0
	}
	if r.add(store.DeviceLane{Tenant: "globex"}); len(r.lanes) != maxLanes/2+1 {
		t.Errorf("%d lanes", len(r.lanes))
	}
	if _, err := New(Config{Stand: -1}, nil, nil, telemetry.Nop()); !fault.Is(err, fault.Invalid) {
		t.Errorf("a negative time: %v", err)
	}
}
