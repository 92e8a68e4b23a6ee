package storetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/event"
	"midplane/primary/fold"
	"midplane/primary/store"
)

// sender sends from the outbox of a poller, which counts in each stream.
type sender struct {
	t        testing.TB
	s        store.Folder
	seq      uint64
	producer event.Producer
}

func (f *sender) put(tenant event.Tenant, kind event.Kind, entity event.Entity, typ event.Type, at time.Time, payload any) {
	f.t.Helper()
	data, err := json.Marshal(payload)
	if err != nil {
		f.t.Fatal(err)
	}
	f.seq++
	cursors, err := f.s.Cursors(ctx, tenant)
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.s.Apply(ctx, tenant, []fold.Message{{Incarnation: 1, Event: event.Event{
		Kind: kind, Site: "syd", Entity: entity, Type: typ, Producer: f.producer, Epoch: 1, Sequence: f.seq, Data: data, Time: at, Received: at,
		Stream: kind.Stream(), StreamSeq: cursors[kind.Stream()].Seq + 1,
	}}}); err != nil {
		f.t.Fatal(err)
	}
}

// A check whose state is not sent again is as fresh as its last run, and has that
// run's latency; its heartbeat is in no list.
func runs(t *testing.T, e Exam) {
	s := e.open(t, store.Options{})
	f := &sender{t: t, s: s, producer: "p1"}
	web := event.Entity("r1").Check("web")
	check := func() api.Check {
		t.Helper()
		list := ok(s.Checks(ctx, api.ListRequest{}))(t).Items
		detail := ok(s.Device(ctx, api.DeviceRef{Tenant: "acme", Site: "syd", Device: "r1"}))(t)
		if len(list) != 1 || !cmp.Equal(list, detail.Checks) {
			t.Fatalf("%+v, %+v", list, detail.Checks)
		}
		return list[0]
	}
	f.put("acme", event.KindState, "r1", event.TypeDeclared, t0, event.Declared{Device: "r1"})
	f.put("acme", event.KindState, web, event.TypeCheck, t0, event.Check{Device: "r1", Name: "web", Status: "ok", Collector: "http", Latency: 7})
	if c := check(); c.Latency != 7 || !c.LastSeen.Equal(t0) {
		t.Errorf("%+v", c)
	}
	for i, latency := range []float64{8, 0} {
		last := t0.Add(time.Duration(i+1) * time.Minute)
		f.put("acme", event.KindState, "r1", event.TypeSeen, last.Add(time.Second), event.Seen{Device: "r1", Counting: t0, Digest: "0000000000000000",
			Checks: []event.CheckRuns{{Name: "web", Runs: uint64(i + 2), Last: last, Latency: latency}}})
		if c := check(); c.Latency != latency || !c.LastSeen.Equal(last) || c.Status != "ok" {
			t.Errorf("%+v, the last run was at %s", c, last)
		}
		if d := ok(s.Devices(ctx, api.ListRequest{}))(t).Items; len(d) != 1 || !d[0].LastSeen.Equal(last.Add(time.Second)) {
			t.Errorf("%+v, the last heartbeat was at %s", d, last.Add(time.Second))
		}
	}
	f.put("acme", event.KindState, web, event.TypeCheck, t0.Add(time.Hour), event.Check{Device: "r1", Name: "web", Status: "critical", Collector: "http", Latency: 9})
	if c := check(); c.Latency != 9 || c.Status != "critical" {
		t.Errorf("%+v", c)
	}
	d := ok(s.Device(ctx, api.DeviceRef{Tenant: "acme", Site: "syd", Device: "r1"}))(t)
	if len(d.Interfaces) != 0 || d.Device.Checks != 1 || len(d.Metrics) != 1 || d.Metrics[0].Name != "latencyMs" || d.Metrics[0].Entity != string(web) {
		t.Errorf("%+v", d)
	}
}

// Counters of all interfaces in one message go on where those of one message an
// interface ended, and keep the interfaces fresh.
func countersList(t *testing.T, e Exam) {
	s := e.open(t, store.Options{})
	f := &sender{t: t, s: s, producer: "p1"}
	f.put("acme", event.KindState, "r1", event.TypeDeclared, t0, event.Declared{Device: "r1"})
	var list event.CountersList
	for i := range 3 {
		index := fmt.Sprint(i)
		part := event.Entity("r1").Interface(index)
		f.put("acme", event.KindState, part, event.TypeInterface, t0, event.Interface{Device: "r1", Index: index, Name: index})
		f.put("acme", event.KindMetric, part, event.TypeCounters, t0, event.Counters{InOctets: 10})
		list.Add(index, event.Counters{InOctets: uint64(20 + i)})
	}
	at := t0.Add(time.Minute)
	list.Timing = &event.CheckTiming{Check: "snmp", Timing: event.Timing{Total: 7}}
	f.put("acme", event.KindMetric, "r1", event.TypeCountersList, at, list)
	// A second list of the same run, and an interface that neither has.
	var second event.CountersList
	second.Add("9", event.Counters{OutOctets: 1})
	f.put("acme", event.KindMetric, "r1", event.TypeCountersList, at, second)
	for _, index := range []string{"9", "gone"} {
		f.put("acme", event.KindState, event.Entity("r1").Interface(index), event.TypeInterface, t0, event.Interface{Device: "r1", Index: index, Name: index})
	}
	for _, i := range ok(s.Interfaces(ctx, api.ListRequest{}))(t).Items {
		if want := i.Index != "gone"; i.LastSeen.Equal(at) != want {
			t.Errorf("%s was seen at %s", i.ID, i.LastSeen)
		}
	}
	n := 0
	for _, m := range ok(s.Device(ctx, api.DeviceRef{Tenant: "acme", Site: "syd", Device: "r1"}))(t).Metrics {
		if m.Type == string(event.TypeTiming) && m.Name == "totalMs" && m.Value == 7 && m.Entity == "r1/check/snmp" {
			n++
			continue
		}
		if m.Type != string(event.TypeCounters) {
			t.Errorf("a series of %s", m.Type)
		}
		if m.Entity == "r1/if/9" {
			if m.Name == "outOctets" && m.Value == 1 {
				n++
			}
			continue
		}
		if m.Name == "inOctets" {
			if n++; len(m.Points) != 2 || m.Points[0].Value != 10 || m.Value < 20 {
				t.Errorf("%+v", m)
			}
		}
	}
	if n != 3+2 {
		t.Errorf("%d series", n)
	}
}

// A lane is what one poller's outbox says of a device and its parts, and of no other.
func lanes(t *testing.T, e Exam) {
	s := e.open(t, store.Options{})
	one, two, stock := &sender{t: t, s: s, producer: "p1"}, &sender{t: t, s: s, producer: "p2"}, newFeed(t, s)
	seen := func(f *sender, tenant event.Tenant, device event.Entity) {
		f.put(tenant, event.KindState, device, event.TypeSeen, t0, event.Seen{Device: device, Counting: t0, Digest: "0000000000000000"})
	}
	for _, device := range []event.Entity{"r1", "r1-b", "r1.c", "r10", "r2"} {
		one.put("acme", event.KindState, device, event.TypeReachability, t0, event.Reachability{Device: device, Status: "up", Method: "ping"})
		one.put("acme", event.KindState, device.Interface("2"), event.TypeInterface, t0, event.Interface{Device: device, Index: "2"})
		one.put("acme", event.KindState, device.Check("web"), event.TypeCheck, t0, event.Check{Device: device, Name: "web"})
		seen(one, "acme", device)
	}
	two.put("acme", event.KindState, "r1", event.TypeReachability, t0, event.Reachability{Device: "r1", Status: "down", Method: "ping"})
	seen(two, "acme", "r1")
	seen(two, "globex", "r1")
	cursors := ok(s.Cursors(ctx, "acme"))(t)
	stock.seq["acme"+event.StreamState] = cursors[event.StreamState].Seq
	stock.state("r1", event.TypeInventory, 0, event.Inventory{Device: "r1"})

	lane := func(tenant event.Tenant, device event.Entity, producer event.Producer) store.DeviceLane {
		return store.DeviceLane{Tenant: tenant, DeviceLane: fold.DeviceLane{DeviceKey: fold.DeviceKey{Site: "syd", Device: device}, Producer: producer}}
	}
	read := func(l store.DeviceLane) map[string]uint64 {
		out := map[string]uint64{}
		for _, st := range ok(s.Lane(ctx, l))(t) {
			if st.Epoch != 1 || len(st.Data) == 0 || !st.Received.Equal(t0) {
				t.Errorf("%+v", st)
			}
			out[string(st.Entity)+" "+string(st.Type)] = st.Seq
		}
		return out
	}
	for _, tc := range []struct {
		lane store.DeviceLane
		want map[string]uint64
	}{
		{lane("acme", "r1", "p1"), map[string]uint64{"r1 net.reachability.v1": 1, "r1/if/2 net.interface.status.v1": 2, "r1/check/web net.check.result.v1": 3, "r1 net.device.seen.v1": 4}},
		{lane("acme", "r1", "p2"), map[string]uint64{"r1 net.reachability.v1": 1, "r1 net.device.seen.v1": 2}},
		{lane("globex", "r1", "p2"), map[string]uint64{"r1 net.device.seen.v1": 3}},
		{lane("acme", "r1", "p3"), map[string]uint64{}},
		{lane("none", "r1", "p1"), map[string]uint64{}},
	} {
		if d := cmp.Diff(tc.want, read(tc.lane)); d != "" {
			t.Errorf("%+v: %s", tc.lane, d)
		}
	}
	for producer, want := range map[event.Producer]string{"p1": "r1/if/2 r1/check/web", "p2": "r1 r1"} { // at equal times the name decides
		won := []string{}
		for _, st := range ok(s.Lane(ctx, lane("acme", "r1", producer)))(t) {
			if st.Winner {
				won = append(won, string(st.Entity))
			}
		}
		slices.SortFunc(won, func(a, b string) int { return strings.Compare(b, a) })
		if strings.Join(won, " ") != want {
			t.Errorf("of %s counts %v, want %s", producer, won, want)
		}
	}
	beating := func() (all []store.DeviceLane) {
		for after := (store.DeviceLane{}); ; {
			page := ok(s.Beating(ctx, after, 2))(t)
			all = append(all, page...)
			if len(page) < 2 {
				return all
			}
			after = page[1]
		}
	}
	want := []store.DeviceLane{lane("acme", "r1", "p1"), lane("acme", "r1", "p2"), lane("acme", "r1-b", "p1"), lane("acme", "r1.c", "p1"),
		lane("acme", "r10", "p1"), lane("acme", "r2", "p1"), lane("globex", "r1", "p2")}
	if d := cmp.Diff(want, beating()); d != "" {
		t.Error(d)
	}
	stock.state("r2", event.TypeDeclared, 0, event.Declared{Device: "r2", Removed: true})
	if err := s.PutTenant(ctx, "globex", store.Tenant{Name: "Globex", Account: "G", Deleted: true}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want[:5], beating()); d != "" {
		t.Errorf("what is gone: %s", d)
	}
	if n := len(read(lane("acme", "r2", "p1"))) + len(read(lane("globex", "r1", "p2"))); n != 0 {
		t.Errorf("%d states of what is gone", n)
	}
}
