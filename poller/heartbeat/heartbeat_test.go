package heartbeat

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/event"
	"midplane/poller/collect"
	"midplane/poller/schedule"
	"midplane/schemas/catalog"
)

// fakeOutbox notes what it is asked.
type fakeOutbox struct {
	on    bool
	again []string
}

func (f *fakeOutbox) Current(event.Entity) (uint64, int, event.Digest) { return 17, 3, 0xabc }
func (f *fakeOutbox) SetChangesOnly(on bool)                           { f.on = on }
func (f *fakeOutbox) SendAgain(devices ...event.Entity) {
	if len(devices) == 0 {
		f.again = append(f.again, "all")
	}
	for _, d := range devices {
		f.again = append(f.again, string(d))
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func run(device event.Entity, check string, at time.Time, said ...event.Event) schedule.Run {
	r := schedule.Run{Target: collect.Target{Device: device, Check: check}, Ended: at}
	for _, e := range said {
		if e.Kind == event.KindMetric {
			r.Metrics = append(r.Metrics, e)
		} else {
			r.States = append(r.States, e)
		}
	}
	return r
}

func result(device event.Entity, check string, latency float64) event.Event {
	return collect.State(device.Check(check), event.TypeCheck, event.Check{Device: device, Name: check, Latency: latency})
}

func port(index string) event.Event {
	return collect.State(event.Entity("r1").Interface(index), event.TypeInterface, event.Interface{Device: "r1", Index: index})
}

func TestHeartbeatCountsRunsOfEveryCheck(t *testing.T) {
	out := &fakeOutbox{}
	h := New(out, slog.New(slog.DiscardHandler))
	if h.On() {
		t.Error("it is on before the control plane said so")
	}
	h.Set(&api.Polls{MaxMessage: 1 << 18})
	if !h.On() || !out.on {
		t.Error("it is off")
	}
	devices := func(checks ...string) (out []api.PollerDevice) {
		for _, c := range checks {
			id, name, _ := strings.Cut(c, "/")
			if n := len(out); n > 0 && string(out[n-1].ID) == id {
				out[n-1].Checks = append(out[n-1].Checks, api.PollerCheck{Name: name})
				continue
			}
			out = append(out, api.PollerDevice{ID: event.Entity(id), Checks: []api.PollerCheck{{Name: name}}})
		}
		return out
	}
	h.Apply(api.PollerConfig{Devices: devices("r1/snmp", "r1/web", "r2/snmp", "r3/snmp")})
	out.again = nil
	h.Of(run("r1", "snmp", noon, result("r1", "snmp", 12.5)))
	h.Of(run("r1", "web", noon.Add(time.Second)))
	h.Of(run("r2", "snmp", noon))
	last := h.Of(run("r1", "snmp", noon.Add(time.Minute), result("r1", "snmp", 13)))
	if len(last) != 1 || last[0].Type != event.TypeSeen || last[0].Entity != "r1" || !last[0].Time.Equal(noon.Add(time.Minute)) {
		t.Fatalf("%+v", last)
	}
	var seen event.Seen
	if err := json.Unmarshal(last[0].Data, &seen); err != nil {
		t.Fatal(err)
	}
	want := event.Seen{Device: "r1", Counting: h.began, From: 17, States: 3, Digest: "0000000000000abc", Checks: []event.CheckRuns{
		{Name: "snmp", Runs: 2, Last: noon.Add(time.Minute), Latency: 13}, {Name: "web", Runs: 1, Last: noon.Add(time.Second)},
	}}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
	h.Apply(api.PollerConfig{Unchanged: true})
	h.Apply(api.PollerConfig{Devices: devices("r1/web", "r3/snmp")})
	if err := json.Unmarshal(h.Of(run("r1", "web", noon))[0].Data, &seen); err != nil || len(seen.Checks) != 1 || seen.Checks[0].Runs != 2 {
		t.Errorf("after a check was taken out: %+v %v", seen.Checks, err)
	}
	if slices.Sort(out.again); !slices.Equal(out.again, []string{"r1", "r2"}) {
		t.Errorf("a device that has other checks is sent whole, one that is gone is forgotten: %v", out.again)
	}
	out.again = nil
	h.Apply(api.PollerConfig{Devices: devices("r1/web", "r2/snmp", "r3/snmp")})
	if !slices.Equal(out.again, []string{"r2"}) {
		t.Errorf("a device that comes back is sent whole: %v", out.again)
	}
	h.Set(nil)
	if h.On() || out.on {
		t.Error("it is on although a program does not understand it")
	}
}

func TestWholeDeviceIsSentAgain(t *testing.T) {
	out := &fakeOutbox{}
	h := New(out, slog.New(slog.DiscardHandler))
	expect := func(why string, want ...string) {
		t.Helper()
		if !slices.Equal(out.again, want) {
			t.Errorf("%s: %v, want %v", why, out.again, want)
		}
		out.again = nil
	}
	h.Set(&api.Polls{State: 1})
	expect("at the start all is sent anyway")
	h.Of(run("r1", "snmp", noon, port("1"), port("2")))
	h.Of(run("r1", "snmp", noon, port("1"), port("2"), port("3")))
	expect("an interface more")
	h.Of(run("r1", "snmp", noon, port("1"), port("3")))
	expect("an interface is gone", "r1")
	h.Of(run("r1", "snmp", noon, port("1"), port("3")))
	expect("and stays gone")
	h.Of(run("r1", "other", noon))
	expect("another check says less")
	asked := []api.Resend{{Device: "r1", Asked: noon}}
	h.Set(&api.Polls{State: 1, Resend: asked})
	h.Set(&api.Polls{State: 1, Resend: asked})
	expect("a primary asks, and the request is repeated", "r1")
	h.Set(&api.Polls{State: 1, Resend: []api.Resend{{Device: "r1", Asked: noon.Add(time.Minute)}}})
	expect("it asks again", "r1")
	h.Set(&api.Polls{State: 2})
	expect("STATE is another", "all")
}

// The counters of all interfaces come in as few messages as the size allows, none
// is lost, and the door takes them.
func TestCountersAreGrouped(t *testing.T) {
	out := &fakeOutbox{}
	h := New(out, slog.New(slog.DiscardHandler))
	const largest = 8 << 10
	h.Set(&api.Polls{MaxMessage: messagePart * largest})
	for _, n := range []int{0, 1, 10, 400} {
		var said []event.Event
		want := map[string]event.Counters{}
		for i := range n {
			index := fmt.Sprint(i + 1)
			want[index] = event.Counters{InOctets: uint64(i) << 40, OutPackets: 7}
			said = append(said, collect.Metric(event.Entity("r1").Interface(index), event.TypeCounters, want[index]))
		}
		timing := collect.Metric(event.Entity("r1").Check("snmp"), event.TypeTiming, event.Timing{Total: 1})
		last := h.Of(run("r1", "snmp", noon, append(said, timing)...))
		got := map[string]event.Counters{}
		rest := []event.Type{}
		for _, e := range last {
			if e.Type != event.TypeCountersList {
				rest = append(rest, e.Type)
				continue
			}
			schema, _ := catalog.Set().Lookup(e.Type)
			if err := schema.Validator.Validate(e.Data); err != nil || len(e.Data) > largest || e.Entity != "r1" {
				t.Errorf("%d interfaces: %d bytes of %s: %v", n, len(e.Data), e.Entity, err)
			}
			var list event.CountersList
			if err := json.Unmarshal(e.Data, &list); err != nil {
				t.Fatal(err)
			}
			if l := list.Timing; l != nil {
				if *l != (event.CheckTiming{Check: "snmp", Timing: event.Timing{Total: 1}}) {
					t.Errorf("%d interfaces: the timing is %+v", n, *l)
				}
				rest = append(rest, event.TypeTiming)
			}
			for i, index := range list.Index {
				got[index] = list.At(i)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d interfaces: %s", n, diff)
		}
		if !slices.Equal(rest, []event.Type{event.TypeTiming, event.TypeSeen}) {
			t.Errorf("%d interfaces: %v", n, rest)
		}
		if n == 10 && len(last) != 2 {
			t.Errorf("%d messages for ten interfaces", len(last))
		}
	}
}
