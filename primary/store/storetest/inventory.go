package storetest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/primary/fold"
	"midplane/primary/store"
)

// A device is what its states and metrics say, until it is removed.
func devices(t *testing.T, e Exam) {
	s := e.open(t, store.Options{})
	f, all := newFeed(t, s), api.ListRequest{}

	f.state("r1", event.TypeDeclared, 0, event.Declared{Device: "r1", Address: "192.0.2.1", Poller: "p1"})
	d := ok(s.Devices(ctx, all))(t).Items
	if want := []api.Device{{ID: "r1", Tenant: "acme", Site: "syd", Address: "192.0.2.1", Name: "r1", Status: "unknown", Poller: "p1"}}; !cmp.Equal(d, want) {
		t.Fatal(cmp.Diff(want, d))
	}
	f.state("r1", event.TypeReachability, time.Second, event.Reachability{Device: "r1", Status: "up", Method: "ping"})
	f.state("r1", event.TypeReachability, 2*time.Second, event.Reachability{Device: "r1", Status: "up", Method: "ping", Message: "1 ms"})
	f.state("r1", event.TypeInventory, 3*time.Second, event.Inventory{Device: "r1", Name: "core-1", Description: "a router"})
	f.state("r1/if/2", event.TypeInterface, 4*time.Second, event.Interface{Device: "r1", Index: "2", Name: "eth1", AdminStatus: "up", OperStatus: "down", Speed: 1e9})
	f.state("r1/check/web", event.TypeCheck, 4*time.Second, event.Check{Device: "r1", Name: "web", Status: "ok", Collector: "http"})
	f.put("acme", event.KindMetric, "r1/if/2", event.TypeCounters, 5*time.Second, event.Counters{InOctets: 1 << 60})
	d = ok(s.Devices(ctx, all))(t).Items
	seen, since := t0.Add(5*time.Second), t0.Add(time.Second)
	if want := []api.Device{{ID: "r1", Tenant: "acme", Site: "syd", Address: "192.0.2.1", Name: "core-1", Status: "up", Message: "1 ms", Poller: "p1",
		Description: "a router", Interfaces: 1, Checks: 1, LastSeen: &seen, Since: &since}}; !cmp.Equal(d, want) {
		t.Fatal(cmp.Diff(want, d))
	}
	ifs := ok(s.Interfaces(ctx, all))(t).Items
	if want := []api.Interface{{ID: "r1/if/2", Tenant: "acme", Site: "syd", Device: "r1", Index: "2", Name: "eth1", AdminStatus: "up", OperStatus: "down",
		Speed: 1e9, LastSeen: &seen}}; !cmp.Equal(ifs, want) {
		t.Fatal(cmp.Diff(want, ifs))
	}
	f.put("acme", event.KindEvent, "r1/if/2", event.TypeInterfaceChanged, 6*time.Second, event.Changed{Device: "r1", From: "up", To: "down", Message: "down"})
	detail := ok(s.Device(ctx, api.DeviceRef{Tenant: "acme", Site: "syd", Device: "r1"}))(t)
	if len(detail.Interfaces) != 1 || len(detail.Checks) != 1 || len(detail.Metrics) != 8 || len(detail.Events) != 1 || len(detail.Inventory) == 0 {
		t.Fatalf("%+v", detail)
	}
	if m := detail.Metrics[2]; m.Name != "inOctets" || m.Value != 1<<60 || len(m.Points) != 1 {
		t.Fatalf("%+v", m)
	}

	f.state("r1", event.TypeDeclared, 7*time.Second, event.Declared{Device: "r1", Removed: true})
	f.state("r1", event.TypeReachability, 8*time.Second, event.Reachability{Device: "r1", Status: "down", Method: "ping"}) // from a poller that does not know yet
	n := len(ok(s.Devices(ctx, all))(t).Items) + len(ok(s.Interfaces(ctx, all))(t).Items) + len(ok(s.Checks(ctx, all))(t).Items)
	if n != 0 {
		t.Fatalf("%d rows of a removed device", n)
	}
	if _, err := s.Device(ctx, api.DeviceRef{Tenant: "acme", Site: "syd", Device: "r1"}); !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
	f.state("r1", event.TypeDeclared, 9*time.Second, event.Declared{Device: "r1"})
	if d = ok(s.Devices(ctx, all))(t).Items; len(d) != 1 || d[0].Status != "down" {
		t.Fatalf("%+v", d)
	}
}

// Between two pollers of a site the later receive time decides; each one's own
// order is its sequence's.
func twoPollers(t *testing.T, e Exam) {
	s := e.open(t, store.Options{})
	seq := uint64(0)
	put := func(producer event.Producer, pseq uint64, received time.Duration, status string) {
		t.Helper()
		seq++
		data, _ := json.Marshal(event.Reachability{Device: "r1", Status: status, Method: "ping"})
		if _, err := s.Apply(ctx, "acme", []fold.Message{{Incarnation: 1, Event: event.Event{Kind: event.KindState, Site: "syd", Entity: "r1",
			Type: event.TypeReachability, Producer: producer, Epoch: 1, Sequence: pseq, Received: t0.Add(received), Time: t0, Data: data,
			Stream: event.StreamState, StreamSeq: seq}}}); err != nil {
			t.Fatal(err)
		}
	}
	is := func(want string) {
		t.Helper()
		d := ok(s.Devices(ctx, api.ListRequest{}))(t).Items
		if len(d) != 1 || d[0].Status != want {
			t.Fatalf("want %s: %+v", want, d)
		}
	}
	put("p1", 5, 10*time.Second, "up")
	put("p1", 4, 11*time.Second, "down") // older by its own count
	is("up")
	put("p2", 1, 9*time.Second, "down") // received earlier
	is("up")
	put("p2", 2, 12*time.Second, "down")
	is("down")
	put("p1", 6, 13*time.Second, "up")
	is("up")
}

// Metrics are kept for an hour back from the newest, and the newest always.
func metrics(t *testing.T, e Exam) {
	s := e.open(t, store.Options{})
	f := newFeed(t, s)
	f.state("r1", event.TypeDeclared, 0, event.Declared{Device: "r1"})
	for _, minute := range []int{0, 30, 70, 60, 95} { // 60 arrives late
		f.put("acme", event.KindMetric, "r1", event.TypePing, time.Duration(minute)*time.Minute, event.Ping{RTT: float64(minute)})
	}
	d := ok(s.Device(ctx, api.DeviceRef{Tenant: "acme", Site: "syd", Device: "r1"}))(t)
	var rtt []float64
	for _, m := range d.Metrics {
		if m.Name == "rttMs" {
			for _, p := range m.Points {
				rtt = append(rtt, p.Value)
			}
			if m.Value != 95 {
				t.Fatalf("latest value %v", m.Value)
			}
		}
	}
	if !cmp.Equal(rtt, []float64{60, 70, 95}) {
		t.Fatalf("points %v", rtt)
	}
}

// Page after page has every row once, over tenants.
func paging(t *testing.T, e Exam) {
	s := e.open(t, store.Options{})
	f := newFeed(t, s)
	for _, tenant := range []event.Tenant{"acme", "globex"} {
		for i := range 7 {
			dev := event.Entity(fmt.Sprintf("r%d", i))
			f.put(tenant, event.KindState, dev, event.TypeDeclared, 0, event.Declared{Device: dev})
			f.put(tenant, event.KindState, dev.Interface("1"), event.TypeInterface, 0, event.Interface{Device: dev, Index: "1"})
		}
	}
	var devices, interfaces []string
	for req := (api.ListRequest{Limit: 3}); ; {
		page := ok(s.Devices(ctx, req))(t)
		for _, d := range page.Items {
			devices = append(devices, d.Tenant+"/"+d.ID)
		}
		if req.After = page.Next; page.Next == "" {
			break
		}
	}
	for req := (api.ListRequest{Limit: 3}); ; {
		page := ok(s.Interfaces(ctx, req))(t)
		for _, d := range page.Items {
			interfaces = append(interfaces, d.Tenant+"/"+d.Device)
		}
		if req.After = page.Next; page.Next == "" {
			break
		}
	}
	if len(devices) != 14 || !cmp.Equal(devices, interfaces) {
		t.Fatalf("devices %v\ninterfaces %v", devices, interfaces)
	}
	if _, err := s.Devices(ctx, api.ListRequest{After: "?"}); !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
}
