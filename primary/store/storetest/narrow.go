package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/primary/store"
)

// A list that is narrowed by status, poller and words has what looking through the
// whole list would find, page by page, and says how many devices it has.
func narrowed(t *testing.T, e Exam) {
	dir := t.TempDir()
	s := e.Open(t, dir, store.Options{})
	t.Cleanup(func() { _ = s.Close() })
	f := newFeed(t, s)
	for _, tenant := range []event.Tenant{"acme", "globex"} {
		for i := range 12 {
			dev := event.Entity(fmt.Sprintf("r%d", i))
			put := func(entity event.Entity, typ event.Type, payload any) {
				f.put(tenant, event.KindState, entity, typ, 0, payload)
			}
			put(dev, event.TypeDeclared, event.Declared{Device: dev, Address: fmt.Sprintf("192.0.2.%d", i), Poller: fmt.Sprintf("p%d", i%2)})
			if i%4 > 0 {
				put(dev, event.TypeReachability, event.Reachability{Device: dev, Status: []string{"up", "down"}[i%2], Method: "ping"})
			}
			if i%3 == 0 {
				put(dev, event.TypeInventory, event.Inventory{Device: dev, Name: fmt.Sprintf("Core %d", i)})
			}
			put(dev.Check("web"), event.TypeCheck, event.Check{Device: dev, Name: "web", Target: "Shop", Collector: "http", Status: api.CheckStatuses[i%4]})
			put(dev.Check("dns"), event.TypeCheck, event.Check{Device: dev, Name: "dns", Collector: "dns", Status: event.CheckOK})
			put(dev.Interface("1"), event.TypeInterface, event.Interface{Device: dev, Index: "1", Name: "Gi0", Alias: fmt.Sprintf("to r%d", i+1), OperStatus: []string{"up", "down"}[i%2]})
			if i == 11 {
				put(dev, event.TypeDeclared, event.Declared{Device: dev, Removed: true})
			}
		}
	}
	for _, req := range []api.ListRequest{
		{}, {Status: "down"}, {Status: "unknown"}, {Status: "up", Tenant: "globex"}, {Poller: "p1"}, {Poller: "none"}, {Search: "core"}, {Search: "192.0.2.1"},
		{Search: "CORE 3"}, {Search: "r1 192"}, {Status: "down", Poller: "p1", Search: "r"}, {Status: "down", Name: "r1"}, {Status: "down", Prefix: "acme/syd/r1"},
	} {
		narrow(t, s.Devices, req, true)
		req.Order = api.OrderStatus
		narrow(t, s.Devices, req, true)
	}
	for _, req := range []api.ListRequest{
		{Status: "critical"}, {Status: "warning", Tenant: "acme"}, {Status: "ok"}, {Search: "web"}, {Search: "shop r1"}, {Status: "critical", Search: "r4"},
		{Status: "unknown", Name: "r2/check/web"}, {Search: "web", Name: "r2/check/web"}, {Status: "critical", Prefix: "acme/syd/r1"}, {Search: "none"},
	} {
		narrow(t, s.Checks, req, false)
	}
	for _, req := range []api.ListRequest{{Status: "down"}, {Search: "gi0"}, {Search: "TO R1"}, {Status: "up", Search: "r2", Tenant: "acme"}} {
		narrow(t, s.Interfaces, req, false)
	}
	for _, bad := range []func() error{
		func() error { _, err := s.Devices(ctx, api.ListRequest{Status: "broken"}); return err },
		func() error { _, err := s.Devices(ctx, api.ListRequest{Order: "name"}); return err },
		func() error { _, err := s.Checks(ctx, api.ListRequest{Status: "down"}); return err },
		func() error { _, err := s.Checks(ctx, api.ListRequest{Poller: "p1"}); return err },
		func() error { _, err := s.Interfaces(ctx, api.ListRequest{Poller: "p1"}); return err },
	} {
		if err := bad(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%v is not Invalid", err)
		}
	}
	// What is found and counted is the same after a restart.
	before := foundIn(t, s)
	if c := before.Counts["acme"]; c != (api.DeviceCounts{Up: 3, Down: 5, Unknown: 3}) {
		t.Errorf("counts %+v", c)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = e.Open(t, dir, store.Options{})
	if diff := cmp.Diff(before, foundIn(t, s)); diff != "" {
		t.Errorf("after a restart (-before +after):\n%s", diff)
	}
}

// found is what is found and counted without looking through everything.
type found struct {
	Counts map[string]api.DeviceCounts
	Sites  map[string][]api.SiteReport
	Down   api.Page[api.Device]
	Core   api.Page[api.Device]
	Bad    api.Page[api.Check]
}

func foundIn(t *testing.T, s Reader) found {
	t.Helper()
	return found{
		Counts: ok(s.Counts(ctx))(t), Sites: ok(s.Sites(ctx))(t), Bad: ok(s.Checks(ctx, api.ListRequest{Status: event.CheckCritical}))(t),
		Down: ok(s.Devices(ctx, api.ListRequest{Status: event.StatusDown}))(t), Core: ok(s.Devices(ctx, api.ListRequest{Search: "core", Poller: "p1"}))(t),
	}
}

// narrow compares the pages of a narrowed list with the whole list looked through.
func narrow[T any](t *testing.T, list func(ctx context.Context, req api.ListRequest) (api.Page[T], error), req api.ListRequest, counted bool) {
	t.Helper()
	key := func(row any) (k api.Key, status string) {
		switch row := row.(type) {
		case api.Device:
			return api.Key{Tenant: row.Tenant, Site: row.Site, ID: row.ID}, row.Status
		case api.Check:
			return api.Key{Tenant: row.Tenant, Site: row.Site, ID: row.ID}, row.Status
		case api.Interface:
			return api.Key{Tenant: row.Tenant, Site: row.Site, ID: row.ID}, row.OperStatus
		}
		t.Fatalf("%T", row)
		return k, ""
	}
	scope := api.ListRequest{Tenant: req.Tenant, Name: req.Name, Prefix: req.Prefix, Limit: api.MaxPage}
	var want, got []string
	whole := ok(list(ctx, scope))(t).Items
	orders := []string{""}
	if req.Order != "" {
		orders = api.DeviceStatuses
	}
	for _, only := range orders {
		for _, row := range whole {
			if k, status := key(row); req.Matches(row) && (only == "" || status == only) {
				want = append(want, k.Full(false))
			}
		}
	}
	for page, pages := req, 0; ; pages++ {
		page.Limit = 2
		answer := ok(list(ctx, page))(t)
		for _, row := range answer.Items {
			k, _ := key(row)
			got = append(got, k.Full(false))
		}
		if counted && answer.Total != len(want) {
			t.Errorf("%+v: %d in all, want %d", req, answer.Total, len(want))
		}
		if page.After = answer.Next; answer.Next == "" || pages > 100 {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%+v (-want +got):\n%s", req, diff)
	}
}

// A list that is narrowed ends its pages before it has looked at very much, and is
// whole all the same.
func lookingOn(t *testing.T, e Exam) {
	s := e.open(t, store.Options{})
	f := newFeed(t, s)
	const all = 9000
	for i := 0; i < all; i += store.MaxBatch {
		f.many(store.MaxBatch, func(n int) (event.Entity, event.Type, any) {
			dev := event.Entity(fmt.Sprintf("r%05d", i+n))
			return dev.Interface("1"), event.TypeInterface, event.Interface{Device: dev, Index: "1", Name: fmt.Sprintf("name-%05d", i+n)}
		})
	}
	pages, found := 0, 0
	for req := (api.ListRequest{Search: "name-08999"}); ; pages++ {
		page := ok(s.Interfaces(ctx, req))(t)
		found += len(page.Items)
		if req.After = page.Next; page.Next == "" {
			break
		}
	}
	if found != 1 || pages < 2 {
		t.Errorf("%d found on %d pages", found, pages)
	}
}
