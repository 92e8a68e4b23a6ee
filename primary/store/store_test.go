package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/primary/fold"
)

func openTest(t *testing.T, cfg Config) *Store {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	s, err := Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// feed gives messages their places in the streams of a tenant and applies them.
type feed struct {
	t   *testing.T
	s   *Store
	seq map[string]uint64
}

func newFeed(t *testing.T, s *Store) *feed { return &feed{t, s, map[string]uint64{}} }

func (f *feed) say(tenant event.Tenant, kind event.Kind, entity event.Entity, typ event.Type, after time.Duration, payload any) fold.Result {
	f.t.Helper()
	data, err := json.Marshal(payload)
	if err != nil {
		f.t.Fatal(err)
	}
	f.seq[string(tenant)+kind.Stream()]++
	m := fold.Message{Incarnation: 1, Event: event.Event{
		Kind: kind, Site: "syd", Entity: entity, Type: typ, Producer: "p1", Data: data, Time: t0.Add(after), Received: t0.Add(after),
		Stream: kind.Stream(), StreamSeq: f.seq[string(tenant)+kind.Stream()],
		TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
	}}
	if kind == event.KindEvent {
		m.Severity, m.ID = event.Warning, fmt.Sprintf("id-%d", m.StreamSeq)
	}
	r, err := f.s.Apply(context.Background(), tenant, []fold.Message{m})
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

func (f *feed) state(entity event.Entity, typ event.Type, after time.Duration, payload any) {
	f.t.Helper()
	f.say("acme", event.KindState, entity, typ, after, payload)
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestDevices(t *testing.T) {
	s := openTest(t, Config{})
	f, ctx := newFeed(t, s), context.Background()
	all := api.ListRequest{}

	f.state("r1", event.TypeDeclared, 0, event.Declared{Device: "r1", Address: "192.0.2.1", Poller: "p1"})
	d := must(s.Devices(ctx, all))(t).Items
	if want := []api.Device{{ID: "r1", Tenant: "acme", Site: "syd", Address: "192.0.2.1", Name: "r1", Status: "unknown", Poller: "p1"}}; !cmp.Equal(d, want) {
		t.Fatal(cmp.Diff(want, d))
	}
	f.state("r1", event.TypeReachability, time.Second, event.Reachability{Device: "r1", Status: "up", Method: "ping"})
	f.state("r1", event.TypeReachability, 2*time.Second, event.Reachability{Device: "r1", Status: "up", Method: "ping", Message: "1 ms"})
	f.state("r1", event.TypeInventory, 3*time.Second, event.Inventory{Device: "r1", Name: "core-1", Description: "a router"})
	f.state("r1/if/2", event.TypeInterface, 4*time.Second, event.Interface{Device: "r1", Index: "2", Name: "eth1", AdminStatus: "up", OperStatus: "down", Speed: 1e9})
	f.state("r1/check/web", event.TypeCheck, 4*time.Second, event.Check{Device: "r1", Name: "web", Status: "ok", Collector: "http"})
	f.say("acme", event.KindMetric, "r1/if/2", event.TypeCounters, 5*time.Second, event.Counters{InOctets: 1 << 60})
	d = must(s.Devices(ctx, all))(t).Items
	seen, since := t0.Add(5*time.Second), t0.Add(time.Second)
	if want := []api.Device{{ID: "r1", Tenant: "acme", Site: "syd", Address: "192.0.2.1", Name: "core-1", Status: "up", Message: "1 ms", Poller: "p1",
		Description: "a router", Interfaces: 1, Checks: 1, LastSeen: &seen, Since: &since}}; !cmp.Equal(d, want) {
		t.Fatal(cmp.Diff(want, d))
	}
	ifs := must(s.Interfaces(ctx, all))(t).Items
	if want := []api.Interface{{ID: "r1/if/2", Tenant: "acme", Site: "syd", Device: "r1", Index: "2", Name: "eth1", AdminStatus: "up", OperStatus: "down",
		Speed: 1e9, LastSeen: &seen}}; !cmp.Equal(ifs, want) {
		t.Fatal(cmp.Diff(want, ifs))
	}
	f.say("acme", event.KindEvent, "r1/if/2", event.TypeInterfaceChanged, 6*time.Second, event.Changed{Device: "r1", From: "up", To: "down", Message: "down"})
	detail := must(s.Device(ctx, api.DeviceRef{Tenant: "acme", Site: "syd", Device: "r1"}))(t)
	if len(detail.Interfaces) != 1 || len(detail.Checks) != 1 || len(detail.Metrics) != 8 || len(detail.Events) != 1 || len(detail.Inventory) == 0 {
		t.Fatalf("%+v", detail)
	}
	if m := detail.Metrics[2]; m.Name != "inOctets" || m.Value != 1<<60 || len(m.Points) != 1 {
		t.Fatalf("%+v", m)
	}

	f.state("r1", event.TypeDeclared, 7*time.Second, event.Declared{Device: "r1", Removed: true})
	f.state("r1", event.TypeReachability, 8*time.Second, event.Reachability{Device: "r1", Status: "down", Method: "ping"}) // a poller that has not heard yet
	n := len(must(s.Devices(ctx, all))(t).Items) + len(must(s.Interfaces(ctx, all))(t).Items) + len(must(s.Checks(ctx, all))(t).Items)
	if n != 0 {
		t.Fatalf("%d rows of a removed device", n)
	}
	if _, err := s.Device(ctx, api.DeviceRef{Tenant: "acme", Site: "syd", Device: "r1"}); !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
	f.state("r1", event.TypeDeclared, 9*time.Second, event.Declared{Device: "r1"})
	if d = must(s.Devices(ctx, all))(t).Items; len(d) != 1 || d[0].Status != "down" {
		t.Fatalf("%+v", d)
	}
}

// Between two pollers of a site the later receive time decides; each one's own
// order is its sequence's.
func TestTwoPollers(t *testing.T) {
	s := openTest(t, Config{})
	seq := uint64(0)
	say := func(producer event.Producer, pseq uint64, received time.Duration, status string) {
		t.Helper()
		seq++
		data, _ := json.Marshal(event.Reachability{Device: "r1", Status: status, Method: "ping"})
		if _, err := s.Apply(context.Background(), "acme", []fold.Message{{Incarnation: 1, Event: event.Event{Kind: event.KindState, Site: "syd", Entity: "r1",
			Type: event.TypeReachability, Producer: producer, Epoch: 1, Sequence: pseq, Received: t0.Add(received), Time: t0, Data: data,
			Stream: event.StreamState, StreamSeq: seq}}}); err != nil {
			t.Fatal(err)
		}
	}
	is := func(want string) {
		t.Helper()
		d := must(s.Devices(context.Background(), api.ListRequest{}))(t).Items
		if len(d) != 1 || d[0].Status != want {
			t.Fatalf("want %s: %+v", want, d)
		}
	}
	say("p1", 5, 10*time.Second, "up")
	say("p1", 4, 11*time.Second, "down") // older by its own count
	is("up")
	say("p2", 1, 9*time.Second, "down") // received earlier
	is("up")
	say("p2", 2, 12*time.Second, "down")
	is("down")
	say("p1", 6, 13*time.Second, "up")
	is("up")
}

func TestEventFilters(t *testing.T) {
	now := t0
	s := openTest(t, Config{Now: func() time.Time { return now }})
	f, ctx := newFeed(t, s), context.Background()
	for i, e := range []struct {
		tenant event.Tenant
		entity event.Entity
		typ    event.Type
	}{
		{"acme", "r1", event.TypeReachabilityChanged}, {"acme", "r1/if/2", event.TypeInterfaceChanged}, {"acme", "r10", event.TypeReachabilityChanged},
		{"globex", "r1", event.TypeReachabilityChanged}, {"acme", "r1", "net.reachabilityx.v1"},
	} {
		now = t0.Add(time.Duration(i) * time.Hour)
		f.say(e.tenant, event.KindEvent, e.entity, e.typ, now.Sub(t0), event.Changed{Message: "m"})
	}
	since := t0.Add(150 * time.Minute)
	for _, tc := range []struct {
		req  api.EventRequest
		want string
	}{
		{api.EventRequest{}, "1 2 3 4 5"},
		{api.EventRequest{Tenant: "acme"}, "1 2 3 5"},
		{api.EventRequest{Tenant: "acme", Limit: 2, After: "1"}, "2 3 >3"},
		{api.EventRequest{Tenant: "acme", Limit: 2, Newest: true}, "3 5"},
		{api.EventRequest{Entity: "r1"}, "1 2 4 5"},
		{api.EventRequest{Tenant: "acme", Entity: "r1/if/2"}, "2"},
		{api.EventRequest{Type: "net.reachability"}, "1 3 4"},
		{api.EventRequest{Type: string(event.TypeInterfaceChanged)}, "2"},
		{api.EventRequest{Severity: event.Error}, ""},
		{api.EventRequest{Severity: event.Warning, Site: "syd"}, "1 2 3 4 5"},
		{api.EventRequest{Site: "mel"}, ""},
		{api.EventRequest{Since: &since}, "4 5"},
		{api.EventRequest{After: "now"}, ""},
	} {
		page := must(s.Events(ctx, tc.req))(t)
		var got []string
		for _, e := range page.Items {
			got = append(got, fmt.Sprint(e.Position))
		}
		if page.Next != "" {
			got = append(got, ">"+page.Next)
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%+v: got %q, want %q", tc.req, strings.Join(got, " "), tc.want)
		}
	}
	if e := must(s.Events(ctx, api.EventRequest{Limit: 1}))(t).Items[0]; e.TraceID != "0af7651916cd43dd8448eb211c80319c" || e.ID != "id-1" || e.Seq != 1 || e.Stream != "EVENTS" {
		t.Errorf("%+v", e)
	}
	for _, bad := range []api.EventRequest{{After: "x"}, {Severity: "loud"}, {Limit: -1}} {
		if _, err := s.Events(ctx, bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if err := s.PutTenant(ctx, "globex", Tenant{Name: "Globex", Account: "G", Deleted: true}); err != nil {
		t.Fatal(err)
	}
	if page := must(s.Events(ctx, api.EventRequest{}))(t); len(page.Items) != 4 {
		t.Errorf("%d events with a deleted tenant hidden", len(page.Items))
	}
}

func TestPaging(t *testing.T) {
	s := openTest(t, Config{})
	f, ctx := newFeed(t, s), context.Background()
	for _, tenant := range []event.Tenant{"acme", "globex"} {
		for i := range 7 {
			dev := event.Entity(fmt.Sprintf("r%d", i))
			f.say(tenant, event.KindState, dev, event.TypeDeclared, 0, event.Declared{Device: dev})
			f.say(tenant, event.KindState, dev.Interface("1"), event.TypeInterface, 0, event.Interface{Device: dev, Index: "1"})
		}
	}
	var devices, interfaces []string
	for req := (api.ListRequest{Limit: 3}); ; {
		page := must(s.Devices(ctx, req))(t)
		for _, d := range page.Items {
			devices = append(devices, d.Tenant+"/"+d.ID)
		}
		if req.After = page.Next; page.Next == "" {
			break
		}
	}
	for req := (api.ListRequest{Limit: 3}); ; {
		page := must(s.Interfaces(ctx, req))(t)
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
