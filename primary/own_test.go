package primary

import (
	"context"
	"testing"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/testwait"
	"midplane/telemetry"
)

// A program beside a primary asks that one, in its own process: its positions are good
// for the next question, whichever other primaries there are.
func TestAsksItsOwnPrimary(t *testing.T) {
	w := newWorld(t)
	acme := w.add("acme")
	idle := ok(New(w.config("p0"), telemetry.Nop()))(t)
	var page api.Page[api.Device]
	if err := idle.Query(context.Background(), api.DeviceList, api.ListRequest{}, &page); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a primary that does not run: %v", err)
	}
	p1, stop := run(t, w.config("p1"), telemetry.Nop())
	run(t, w.config("p2"), telemetry.Nop())
	acme.put(t, event.KindState, "r1", event.TypeReachability, event.Reachability{Device: "r1", Status: "up", Method: "ping"})
	list := func(req api.ListRequest) []api.Device {
		t.Helper()
		var page api.Page[api.Device]
		if err := p1.Query(context.Background(), api.DeviceList, req, &page); err != nil {
			t.Fatal(err)
		}
		return page.Items
	}
	testwait.True(t, "the device is there", func() bool { return len(list(api.ListRequest{Status: "up", Search: "R1", Poller: "syd-01"})) == 1 })
	since := func(position string) (c api.Changes) {
		t.Helper()
		if err := p1.Query(context.Background(), api.DeviceChanges, api.ChangesRequest{Since: position}, &c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := since("")
	for range 20 {
		if c := since(first.Position); c.Again || len(c.Items) != 0 {
			t.Fatalf("nothing changed: %+v", c)
		}
	}
	acme.put(t, event.KindState, "r1", event.TypeReachability, event.Reachability{Device: "r1", Status: "down", Method: "ping"})
	var changed api.Changes
	testwait.True(t, "it has changed", func() bool { changed = since(first.Position); return len(changed.Items) == 1 })
	if changed.Items[0].Status != "down" || changed.Position == first.Position {
		t.Errorf("%+v", changed)
	}
	var st api.PrimaryReport
	if err := p1.Query(context.Background(), api.PrimaryStatus, struct{}{}, &st); err != nil || st.Name != "p1" || *st.Tenants[0].Devices != (api.DeviceCounts{Down: 1}) {
		t.Errorf("%+v %v", st, err)
	}
	if err := p1.Query(context.Background(), api.DeviceGet, api.DeviceRef{Tenant: "acme", Site: "syd", Device: "r9"}, &api.DeviceDetail{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown device: %v", err)
	}
	if err := p1.Query(context.Background(), "device.guess", struct{}{}, &st); !fault.Is(err, fault.Invalid) {
		t.Errorf("an unknown verb: %v", err)
	}
	stop()
	if err := p1.Query(context.Background(), api.DeviceList, api.ListRequest{}, &page); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a primary that has ended: %v", err)
	}
}
