package registry

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"midplane/api"
	"midplane/telemetry"
)

// ofTenants is a registry whose STATUS holds what n tenants with a poller each, three
// nodes and a primary report.
func ofTenants(t *testing.T, n int) *Registry {
	t.Helper()
	r := &Registry{Status: NewMirror(nil, nil, telemetry.Nop())}
	put := func(key string, v any) {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		r.Status.entries[key] = Entry{Key: key, Value: data, Seen: time.Now()}
		r.Status.keys.add(key)
	}
	for _, name := range []string{"n1", "n2", "n3"} {
		put(NodeKey(name), Presence{Name: name, Formats: api.CurrentFormats()})
	}
	put(PrimaryKey("p1"), time.Now())
	put(PrimaryUnderstandsKey("p1"), api.Understands{Formats: api.CurrentFormats()})
	for i := range n {
		id := fmt.Sprintf("t%04d", i)
		put(TenantKey(id), TenantStatus{Revision: 1, Conditions: []api.Condition{{Type: api.StreamsReady, OK: true}}})
		put(CursorKey(id, "p1"), CursorStatus{Reading: true})
		put(PollerKey(id, "syd-01"), PollerStatus{PollerReport: api.PollerReport{Version: "v1", Revision: 1}})
	}
	return r
}

// What is asked at every request of a poller, every second and at every change is
// about nodes, primaries, or one tenant: it costs the same however many tenants there
// are.
func TestReportsOfOneCostNothingForOthers(t *testing.T) {
	few, many := ofTenants(t, 2), ofTenants(t, 2000)
	for name, ask := range map[string]func(*Registry){
		"nodes":             func(r *Registry) { r.LiveNodes() },
		"primaries":         func(r *Registry) { r.Primaries() },
		"formats of nodes":  func(r *Registry) { r.NodeFormats() },
		"states to resend":  func(r *Registry) { r.Resends("t0001", "syd-01", time.Now()) },
		"cursors of one":    func(r *Registry) { Collect[CursorStatus](r, "cursor.t0001.") },
		"conditions of one": func(r *Registry) { Get[TenantStatus](r, TenantKey("t0001")) },
		"a poller's report": func(r *Registry) { Get[PollerStatus](r, PollerKey("t0001", "syd-01")) },
	} {
		with := func(r *Registry) float64 {
			ask(r) // the index is put in order at first use
			return testing.AllocsPerRun(20, func() { ask(r) })
		}
		if a, b := with(few), with(many); b > a*1.1 {
			t.Errorf("%s: %.0f allocations among 2 tenants, %.0f among 2,000", name, a, b)
		}
	}
}
