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
