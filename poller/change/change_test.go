package change

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"midplane/event"
	"midplane/schemas/catalog"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	day  = 24 * time.Hour
	span = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
)

// state is a state of type typ that was seen at a time.
func state(at time.Time, entity event.Entity, typ event.Type, payload any) event.Event {
	data, err := json.Marshal(payload)
	if err != nil {
		panic(err)
	}
	return event.Event{Kind: event.KindState, Entity: entity, Type: typ, Time: at, Data: data, TraceParent: span}
}

func reach(status, message string) *event.Event {
	e := state(noon, "r1", event.TypeReachability, event.Reachability{Device: "r1", Status: status, Method: "ping", Message: message})
	return &e
}

func port(admin, oper string) *event.Event {
	e := state(noon, "r1/if/2", event.TypeInterface, event.Interface{Device: "r1", Index: "2", Name: "ge2", Alias: "uplink", AdminStatus: admin, OperStatus: oper})
	return &e
}

func web(status, message string) *event.Event {
	e := state(noon, "r1/check/web", event.TypeCheck, event.Check{Device: "r1", Name: "web", Collector: "http", Target: "https://r1/", Status: status, Message: message})
	return &e
}

// tls is a check of a certificate that ends left after the reading at.
func tls(at, notAfter time.Time) *event.Event {
	e := state(at, "r1/check/web", event.TypeCheck, event.Check{Device: "r1", Name: "web", Collector: "http", Target: "https://r1/", Status: event.CheckOK, NotAfter: &notAfter})
	return &e
}

func device(change func(*event.Inventory)) *event.Event {
	boot := noon.Add(-10 * day)
	v := event.Inventory{Device: "r1", Name: "r1.lab", Model: "X-1000", Serial: "A", OS: "7.3", BootTime: &boot,
		Components: []event.Component{{Index: "1", Class: "chassis", Serial: "A"}, {Index: "2", Class: "module", Name: "slot 2", Serial: "M1"}}}
	if change != nil {
		change(&v)
	}
	e := state(noon, "r1", event.TypeInventory, v)
	return &e
}

func booted(at time.Time) *event.Event {
	return device(func(v *event.Inventory) { v.BootTime = &at })
}

// tell writes events as "severity type from>to message".
func tell(es []event.Event) []string {
	out := []string{}
	for _, e := range es {
		var p struct {
			From, To, Message string
			Days              *int
		}
		if err := json.Unmarshal(e.Data, &p); err != nil {
			panic(err)
		}
		short := strings.TrimSuffix(strings.TrimPrefix(string(e.Type), "net."), ".v1")
		if p.Days != nil {
			out = append(out, fmt.Sprintf("%s %s %d days", e.Severity, short, *p.Days))
		} else {
			out = append(out, fmt.Sprintf("%s %s %s>%s %s", e.Severity, short, p.From, p.To, p.Message))
		}
	}
	return out
}

func TestScenarios(t *testing.T) {
	later := func(d time.Duration) time.Time { return noon.Add(d) }
	end := later(100 * day)
	for name, tt := range map[string]struct {
		prev, next *event.Event
		want       []string
	}{
		// Reachability.
		"first reading, the device is up":   {nil, reach("up", ""), []string{"notice reachability.changed unknown>up answers ping"}},
		"first reading, the device is down": {nil, reach("down", "no answer"), []string{"critical reachability.changed unknown>down no answer"}},
		"the device is still up":            {reach("up", ""), reach("up", ""), nil},
		"the device goes down":              {reach("up", ""), reach("down", "no answer"), []string{"critical reachability.changed up>down no answer"}},
		"the device comes back":             {reach("down", ""), reach("up", ""), []string{"notice reachability.changed down>up answers ping"}},
		"still down for another reason":     {reach("down", "no route"), reach("down", "no answer"), nil},

		// Interfaces.
		"first reading, a port in use":        {nil, port("up", "up"), nil},
		"first reading, a port switched off":  {nil, port("down", "down"), nil},
		"first reading, an enabled dead port": {nil, port("up", "down"), []string{"error interface.changed unknown>down enabled, but down when first seen (uplink)"}},
		"the cable is pulled":                 {port("up", "up"), port("up", "down"), []string{"error interface.changed up>down went down (uplink)"}},
		"the cable is back":                   {port("up", "down"), port("up", "up"), []string{"notice interface.changed down>up up again (uplink)"}},
		"the layer below is dead":             {port("up", "up"), port("up", "lowerLayerDown"), []string{"error interface.changed up>lowerLayerDown went lowerLayerDown (uplink)"}},
		"down in another way":                 {port("up", "down"), port("up", "notPresent"), nil},
		"a port is switched off":              {port("up", "up"), port("down", "down"), []string{"info interface.changed up>down set to down by an administrator (uplink)"}},
		"a port is switched on":               {port("down", "down"), port("up", "up"), []string{"info interface.changed down>up set to up by an administrator (uplink)"}},
		"a port is switched on, no cable":     {port("down", "down"), port("up", "down"), []string{"error interface.changed down>down enabled by an administrator, but down (uplink)"}},
		"a switched-off port changes":         {port("down", "down"), port("down", "notPresent"), nil},
		"a loopback that says unknown":        {port("up", "up"), port("up", "unknown"), nil},
		"a dial-up line waits":                {port("up", "up"), port("up", "dormant"), nil},

		// Checks.
		"first reading, all is well":     {nil, web("ok", "HTTP 200"), []string{"notice check.changed unknown>ok HTTP 200"}},
		"first reading, it cannot look":  {nil, web("unknown", "no port"), []string{"warning check.changed unknown>unknown no port"}},
		"the page breaks":                {web("ok", ""), web("critical", "HTTP 503"), []string{"critical check.changed ok>critical HTTP 503"}},
		"the page is late":               {web("ok", ""), web("warning", ""), []string{"warning check.changed ok>warning the check is warning"}},
		"the page is back":               {web("critical", ""), web("ok", "HTTP 200"), []string{"notice check.changed critical>ok HTTP 200"}},
		"the check cannot look any more": {web("ok", ""), web("unknown", "no name"), []string{"warning check.changed ok>unknown no name"}},
		"critical for another reason":    {web("critical", "a"), web("critical", "b"), nil},

		// Certificates.
		"far from its end":             {tls(noon, end), tls(later(day), end), nil},
		"30 days are reached":          {tls(end.Add(-30*day), end), tls(end.Add(-30*day+time.Minute), end), []string{"warning certificate.expiring 29 days"}},
		"between 30 and 14 days":       {tls(end.Add(-29*day), end), tls(end.Add(-20*day), end), nil},
		"14 days are reached":          {tls(end.Add(-20*day), end), tls(end.Add(-13*day), end), []string{"warning certificate.expiring 13 days"}},
		"7 days are reached":           {tls(end.Add(-8*day), end), tls(end.Add(-6*day), end), []string{"critical certificate.expiring 6 days"}},
		"the last day":                 {tls(end.Add(-2*day), end), tls(end.Add(-time.Hour), end), []string{"critical certificate.expiring 0 days"}},
		"it is over":                   {tls(end.Add(-time.Hour), end), tls(end.Add(time.Hour), end), []string{"critical certificate.expiring -1 days"}},
		"it is over for long":          {tls(end.Add(time.Hour), end), tls(end.Add(5*day), end), nil},
		"the poller was off for weeks": {tls(end.Add(-40*day), end), tls(end.Add(-3*day), end), []string{"critical certificate.expiring 3 days"}},
		"renewed for long":             {tls(end.Add(-3*day), end), tls(end.Add(-2*day), end.Add(365*day)), nil},
		"replaced by a short one":      {tls(end.Add(-3*day), end), tls(end.Add(-2*day), end.Add(18*day)), []string{"warning certificate.expiring 20 days"}},

		// Restarts.
		"the boot time wanders":         {booted(noon.Add(-day)), booted(noon.Add(-day + 20*time.Second)), nil},
		"the boot time wanders back":    {booted(noon.Add(-day)), booted(noon.Add(-day - 5*time.Minute)), nil},
		"the device restarted":          {booted(noon.Add(-day)), booted(noon.Add(-2 * time.Minute)), []string{"warning device.restarted 2026-02-28T12:00:00Z>2026-03-01T11:58:00Z running since 2026-03-01T11:58:00Z"}},
		"497 days: its counter wrapped": {booted(noon.Add(-498 * day)), booted(noon.Add(-498*day + ticksAround + 3*time.Second)), nil},
		"a restart after 500 days":      {booted(noon.Add(-500 * day)), booted(noon.Add(-time.Minute)), []string{"warning device.restarted 2024-10-17T12:00:00Z>2026-03-01T11:59:00Z running since 2026-03-01T11:59:00Z"}},

		// Inventory.
		"first seen":          {nil, device(nil), []string{"notice inventory.changed >X-1000 first seen: X-1000"}},
		"nothing new":         {device(nil), device(nil), nil},
		"another order":       {device(nil), device(func(v *event.Inventory) { v.Components[0], v.Components[1] = v.Components[1], v.Components[0] }), nil},
		"another serial":      {device(nil), device(func(v *event.Inventory) { v.Serial = "B" }), []string{"notice inventory.changed A>B serial A → B"}},
		"a new release":       {device(nil), device(func(v *event.Inventory) { v.OS = "7.4" }), []string{"notice inventory.changed 7.3>7.4 OS 7.3 → 7.4"}},
		"name and place":      {device(nil), device(func(v *event.Inventory) { v.Name, v.Location = "r1", "Sydney" }), []string{"notice inventory.changed r1.lab, >r1, Sydney name r1.lab → r1, location none → Sydney"}},
		"a module is taken":   {device(nil), device(func(v *event.Inventory) { v.Components = v.Components[:1] }), []string{"notice inventory.changed slot 2 serial M1> module 2 slot 2 serial M1 → none"}},
		"a module is swapped": {device(nil), device(func(v *event.Inventory) { v.Components[1].Serial = "M2" }), []string{"notice inventory.changed slot 2 serial M1>slot 2 serial M2 module 2 slot 2 serial M1 → slot 2 serial M2"}},
		"restart and upgrade": {device(nil), device(func(v *event.Inventory) { v.OS = "7.4"; at := noon; v.BootTime = &at }), []string{
			"warning device.restarted 2026-02-19T12:00:00Z>2026-03-01T12:00:00Z running since 2026-03-01T12:00:00Z", "notice inventory.changed 7.3>7.4 OS 7.3 → 7.4"}},
		"the boot time is lost": {device(nil), device(func(v *event.Inventory) { v.BootTime = nil }), nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := Of(tt.prev, *tt.next)
			if tt.want == nil {
				tt.want = []string{}
			}
			if diff := cmp.Diff(tt.want, tell(got)); diff != "" {
				t.Error(diff)
			}
			for _, e := range got {
				conforms(t, *tt.next, e)
			}
		})
	}
}

type failer interface {
	Helper()
	Errorf(format string, args ...any)
}

// conforms checks the envelope of an event that follows from next, and its
// payload against the catalogue.
func conforms(t failer, next, e event.Event) {
	t.Helper()
	if e.Kind != event.KindEvent || e.Severity.Level() < 0 || e.Entity != next.Entity || !e.Time.Equal(next.Time) || e.TraceParent != next.TraceParent {
		t.Errorf("envelope %+v", e)
	}
	entry, ok := catalog.Set().Lookup(e.Type)
	if !ok || entry.Schema.Kind != event.KindEvent {
		t.Errorf("%s is no event of the catalogue", e.Type)
		return
	}
	if v := entry.Validator.Validate(e.Data); v != nil {
		t.Errorf("%s: %v\n%s", e.Type, v, e.Data)
	}
}

func TestNothingFollows(t *testing.T) {
	metric := *reach("up", "")
	metric.Kind = event.KindMetric
	broken := *reach("up", "")
	broken.Data = json.RawMessage(`{"status":`)
	other := state(noon, "r1", "acme.custom.v1", map[string]string{"status": "down"})
	elsewhere := *reach("down", "")
	elsewhere.Entity = "r2"
	for name, tt := range map[string]struct {
		prev *event.Event
		next event.Event
	}{
		"from a metric":                     {nil, metric},
		"from what cannot be decoded":       {nil, broken},
		"from a type that no rule is about": {nil, other},
		"when prev is another entity":       {&elsewhere, *reach("up", "")},
		"when prev is another type":         {web("ok", ""), *reach("up", "")},
	} {
		if got := Of(tt.prev, tt.next); len(got) != 0 {
			t.Errorf("%s: %v", name, tell(got))
		}
	}
	// What cannot be decoded was no reading.
	if got := tell(Of(&broken, *reach("up", ""))); len(got) != 1 || !strings.Contains(got[0], "unknown>up") {
		t.Errorf("%v", got)
	}
}

// However its readings fall, a certificate gives one event for each step, the
// steps in order, and never twice for the same readings.
func TestCertificateStepsOnce(t *testing.T) {
	end := noon.Add(60 * day)
	rapid.Check(t, func(t *rapid.T) {
		gaps := rapid.SliceOfN(rapid.Int64Range(1, int64(10*day)), 1, 60).Draw(t, "gaps")
		at := noon
		var prev *event.Event
		events, last := 0, 1000
		for _, gap := range gaps {
			next := tls(at, end)
			for _, e := range Of(prev, *next) {
				if e.Type == event.TypeCertificateExpiring {
					var p event.CertificateExpiring
					if err := json.Unmarshal(e.Data, &p); err != nil {
						t.Fatal(err)
					}
					if events++; p.Days >= last || p.Days >= 30 {
						t.Fatalf("%d days after %d", p.Days, last)
					}
					last = p.Days
				}
			}
			if again := Of(next, *next); len(again) != 0 {
				t.Fatalf("the same reading again gives %v", tell(again))
			}
			prev, at = next, at.Add(time.Duration(gap))
		}
		if events > len(certificateDays)+1 {
			t.Fatalf("%d events", events)
		}
	})
}

// For any two inventories what follows is valid, and is nothing when they are
// equal.
func TestInventoriesOfAnyKind(t *testing.T) {
	word := rapid.StringN(0, 255, -1)
	inventories := rapid.Custom(func(t *rapid.T) event.Inventory {
		v := event.Inventory{Device: "r1", Name: word.Draw(t, "name"), Model: word.Draw(t, "model"), OS: word.Draw(t, "os")}
		for i := range rapid.IntRange(0, 20).Draw(t, "components") {
			v.Components = append(v.Components, event.Component{Index: fmt.Sprint(i), Class: "module", Serial: word.Draw(t, "serial")})
		}
		return v
	})
	rapid.Check(t, func(t *rapid.T) {
		a := state(noon, "r1", event.TypeInventory, inventories.Draw(t, "a"))
		b := state(noon, "r1", event.TypeInventory, inventories.Draw(t, "b"))
		if got := Of(&a, a); len(got) != 0 {
			t.Fatalf("%v", tell(got))
		}
		for _, e := range Of(&a, b) {
			conforms(t, b, e)
		}
	})
}
