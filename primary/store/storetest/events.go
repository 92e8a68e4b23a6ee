package storetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/primary/store"
)

// Every filter of the event log finds what it names and nothing else.
func eventFilters(t *testing.T, e Exam) {
	now := t0
	s := e.open(t, store.Options{Now: func() time.Time { return now }})
	f := newFeed(t, s)
	for i, e := range []struct {
		tenant event.Tenant
		entity event.Entity
		typ    event.Type
	}{
		{"acme", "r1", event.TypeReachabilityChanged}, {"acme", "r1/if/2", event.TypeInterfaceChanged}, {"acme", "r10", event.TypeReachabilityChanged},
		{"globex", "r1", event.TypeReachabilityChanged}, {"acme", "r1", "net.reachabilityx.v1"},
	} {
		now = t0.Add(time.Duration(i) * time.Hour)
		f.put(e.tenant, event.KindEvent, e.entity, e.typ, now.Sub(t0), event.Changed{Message: "m"})
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
		{api.EventRequest{After: store.AfterNow}, ""},
	} {
		page := ok(s.Events(ctx, tc.req))(t)
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
	if e := ok(s.Events(ctx, api.EventRequest{Limit: 1}))(t).Items[0]; e.TraceID != "0af7651916cd43dd8448eb211c80319c" || e.ID != "id-1" || e.Seq != 1 || e.Stream != "EVENTS" {
		t.Errorf("%+v", e)
	}
	for _, bad := range []api.EventRequest{{After: "x"}, {Severity: "loud"}, {Limit: -1}} {
		if _, err := s.Events(ctx, bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if err := s.PutTenant(ctx, "globex", store.Tenant{Name: "Globex", Account: "G", Deleted: true}); err != nil {
		t.Fatal(err)
	}
	if page := ok(s.Events(ctx, api.EventRequest{}))(t); len(page.Items) != 4 {
		t.Errorf("%d events with a deleted tenant hidden", len(page.Items))
	}
}

// An answer fits into one NATS message, however large the events are.
func pagesFit(t *testing.T, e Exam) {
	s := e.open(t, store.Options{})
	f := newFeed(t, s)
	for range 12 {
		f.put("acme", event.KindEvent, "r1", "app.big.v1", 0, map[string]string{"blob": strings.Repeat("x", 100<<10)})
	}
	f.put("acme", event.KindEvent, "r1", "app.big.v1", 0, map[string]string{"blob": strings.Repeat("x", 900<<10)})
	n := 0
	for req := (api.EventRequest{}); ; {
		page := ok(s.Events(ctx, req))(t)
		if body, err := json.Marshal(page); err != nil || len(body) > 1<<20 {
			t.Fatalf("a page of %d bytes, %v", len(body), err)
		}
		n += len(page.Items)
		if req.After = page.Next; page.Next == "" {
			break
		}
	}
	if n != 13 {
		t.Fatalf("%d events of 13", n)
	}

	// Devices that say much of themselves.
	since := ok(s.DeviceChanges(ctx, api.ChangesRequest{}))(t).Position
	f.many(api.MaxPage, func(i int) (event.Entity, event.Type, any) {
		dev := event.Entity(fmt.Sprint("big", i))
		return dev, event.TypeInventory, event.Inventory{Device: dev, Description: strings.Repeat("x", 1000)}
	})
	fits := func(v any) {
		t.Helper()
		if body, err := json.Marshal(v); err != nil || len(body) > 1<<20 {
			t.Fatalf("an answer of %d bytes, %v", len(body), err)
		}
	}
	listed, followed := 0, 0
	for req := (api.ListRequest{Limit: api.MaxPage}); ; {
		page := ok(s.Devices(ctx, req))(t)
		fits(page)
		listed += len(page.Items)
		if req.After = page.Next; page.Next == "" {
			break
		}
	}
	for req := (api.ChangesRequest{ListRequest: api.ListRequest{Limit: api.MaxPage}, Since: since}); ; {
		c := ok(s.DeviceChanges(ctx, req))(t)
		fits(c)
		followed += len(c.Items)
		if req.Since = c.Position; !c.More {
			break
		}
	}
	if listed != api.MaxPage || followed != api.MaxPage {
		t.Errorf("listed %d, followed %d of %d devices", listed, followed, api.MaxPage)
	}
}

// Those who wait for events wake when there are some, and not before.
func changed(t *testing.T, e Exam) {
	s := e.open(t, store.Options{})
	f, grown := newFeed(t, s), s.Changed()
	f.state("r1", event.TypeDeclared, 0, event.Declared{Device: "r1"})
	select {
	case <-grown:
		t.Fatal("a state is no event")
	default:
	}
	if r := f.put("acme", event.KindEvent, "r1", "app.thing.v1", 0, map[string]string{}); r.Position != 1 {
		t.Fatalf("position %d", r.Position)
	}
	select {
	case <-grown:
	default:
		t.Fatal("the log grew and no one woke")
	}
	select {
	case <-s.Changed():
		t.Fatal("it did not grow again")
	default:
	}
	if end := ok(s.End(ctx))(t); end != 1 {
		t.Fatalf("the log ends at %d", end)
	}
}
