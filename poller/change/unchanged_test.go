package change

import (
	"encoding/json"
	"testing"
	"time"

	"midplane/event"
)

func TestUnchanged(t *testing.T) {
	with := func(e *event.Event, change func(map[string]any)) event.Event {
		if change == nil {
			return *e
		}
		doc := map[string]any{}
		if err := json.Unmarshal(e.Data, &doc); err != nil {
			t.Fatal(err)
		}
		change(doc)
		next := *e
		next.Data, _ = json.Marshal(doc)
		return next
	}
	set := func(field string, value any) func(map[string]any) {
		return func(doc map[string]any) { doc[field] = value }
	}
	boot := noon.Add(-10 * day)
	end := noon.Add(90 * day)
	for name, c := range map[string]struct {
		prev   *event.Event
		change func(map[string]any)
		want   bool
	}{
		"nothing":                        {port("up", "up"), nil, true},
		"a round-trip time":              {reach(event.StatusUp, ""), set("rttMs", 1.5), true},
		"some loss":                      {reach(event.StatusUp, ""), set("lossPercent", 20), true},
		"reachability's message":         {reach(event.StatusUp, ""), set("message", "slow"), false},
		"reachability's address":         {reach(event.StatusUp, ""), set("address", "192.0.2.1"), false},
		"a check's latency":              {web(event.CheckOK, ""), set("latencyMs", 3.25), true},
		"a check's message":              {web(event.CheckOK, ""), set("message", "moved"), false},
		"a check's status":               {web(event.CheckOK, ""), set("status", event.CheckWarning), false},
		"a certificate that was renewed": {tls(noon, end), set("notAfter", end.Add(day)), false},
		"the same certificate":           {tls(noon, end), set("latencyMs", 9), true},
		"a boot time that wanders":       {device(nil), set("bootTime", boot.Add(20*time.Second)), true},
		"a boot time that drifted":       {device(nil), set("bootTime", boot.Add(40*time.Second)), false},
		"no boot time":                   {device(nil), func(doc map[string]any) { delete(doc, "bootTime") }, false},
		"another serial number":          {device(nil), set("serial", "B"), false},
		"a field that is not known":      {port("up", "up"), set("more", 1), false},
	} {
		if got := Unchanged(*c.prev, with(c.prev, c.change)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if other := web(event.CheckOK, ""); Unchanged(*reach(event.StatusUp, ""), *other) {
		t.Error("a state of another type")
	}
	if bad := state(noon, "r1", event.TypeReachability, "text"); Unchanged(*reach(event.StatusUp, ""), bad) {
		t.Error("a payload that cannot be decoded")
	}
}

// Nothing follows from the same bytes a year later, of every type for which the
// outbox relies on it; of a certificate something does.
func TestTimeless(t *testing.T) {
	end := noon.Add(90 * day)
	cert := web(event.CheckOK, "")
	cert.Data, _ = json.Marshal(event.Check{Device: "r1", Name: "web", Collector: "http", Status: event.CheckOK, NotAfter: &end})
	for _, prev := range []*event.Event{port("up", "up"), port("up", "down"), reach(event.StatusUp, ""), reach(event.StatusDown, "no answer"), web(event.CheckCritical, "no"), cert} {
		next := *prev
		next.Time = prev.Time.Add(365 * day)
		if n := len(Of(prev, next)); n > 0 && Timeless(prev.Type) {
			t.Errorf("%d events follow from %s %s", n, prev.Type, prev.Data)
		}
	}
	next := *cert
	next.Time = cert.Time.Add(365 * day)
	if Timeless(cert.Type) || len(Of(cert, next)) == 0 {
		t.Error("a certificate expires without changing")
	}
}
