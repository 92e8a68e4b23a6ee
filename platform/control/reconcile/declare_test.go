package reconcile

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testregistry"
	"midplane/platform/registry"
	"midplane/telemetry"
	"midplane/tenants"
)

func declaredSpec(t *testing.T, n int, change func(*tenants.Spec)) *tenants.Spec {
	t.Helper()
	s, err := tenants.ParseJSON([]byte(`{"apiVersion":"midplane/v1","kind":"Tenant","id":"acme","sites":[{"id":"syd","pollers":[{"id":"syd-01"}]},{"id":"mel","pollers":[{"id":"mel-01"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.Sites {
		for j := range n {
			s.Sites[i].Devices = append(s.Sites[i].Devices, tenants.Device{ID: event.Entity(fmt.Sprintf("r%05d", j)), Name: strings.Repeat("x", 100), Address: "192.0.2.1"})
		}
	}
	if change != nil {
		change(s)
	}
	return s
}

// What is declared follows each change of a spec, in parts or not, and says what
// changed and nothing else.
func TestDeclaredIsWhatChanged(t *testing.T) {
	node := testregistry.Open(t)
	reg, ctx := node.Registry, node.Ctx
	if _, err := reg.Levels.Put(ctx, registry.Level{Understands: api.Understands{Formats: api.CurrentFormats()}}, 0); err != nil {
		t.Fatal(err)
	}
	w := NewWalk(WalkConfig{Registry: reg, Log: telemetry.Nop().Log})
	var last registry.Declared
	var rev uint64
	known := map[string]event.Declared{}
	for _, step := range []struct {
		name     string
		spec     *tenants.Spec
		messages int // -1: any number
		looked   int // devices of the present spec that were looked at, at most
	}{
		{"new", declaredSpec(t, 2500, nil), 5000, 5000},
		{"the same", declaredSpec(t, 2500, nil), 0, 0},
		{"one changed", declaredSpec(t, 2500, func(s *tenants.Spec) { s.Sites[1].Devices[7].Address = "192.0.2.2" }), 1, 128},
		{"one gone", declaredSpec(t, 2500, func(s *tenants.Spec) { s.Sites[1].Devices = s.Sites[1].Devices[1:] }), 2, 256},
		{"one check more, which is not declared", declaredSpec(t, 2500, func(s *tenants.Spec) {
			s.Sites[1].Devices = s.Sites[1].Devices[1:]
			s.Sites[0].Devices[3].Checks = []tenants.Check{{Name: "ping", Collector: "ping", Interval: api.Duration(60e9), Timeout: api.Duration(5e9)}}
		}), 0, 128},
		{"a poller more", declaredSpec(t, 2500, func(s *tenants.Spec) { s.Sites[0].Pollers = append(s.Sites[0].Pollers, tenants.Poller{ID: "syd-02"}) }), -1, 5000},
		{"a site gone", declaredSpec(t, 2500, func(s *tenants.Spec) { s.Sites = s.Sites[:1] }), -1, 2500},
		{"small, in one value", declaredSpec(t, 20, nil), -1, 40},
		{"small, one changed", declaredSpec(t, 20, func(s *tenants.Spec) { s.Sites[1].Devices[7].Address = "192.0.2.2" }), 1, 40},
		{"large again", declaredSpec(t, 1000, nil), -1, 2000},
	} {
		var err error
		if rev, err = reg.Specs.Put(ctx, step.spec, rev); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		view, err := reg.WaitView(ctx, rev)
		if err != nil {
			t.Fatal(err)
		}
		tenant := view.Tenants["acme"]
		next := registry.Declared{Parts: map[event.Site][]string{}, Pollers: map[event.Site][]event.Producer{}}
		for site, parts := range last.Parts {
			next.Parts[site], next.Pollers[site] = parts, last.Pollers[site]
		}
		messages, looked := 0, 0
		for d := range w.steps(tenant, last) {
			looked += len(d.now)
			for _, device := range d.list() {
				messages++
				if known[declaredKey(d.site, device.Device)] = device; device.Removed {
					delete(known, declaredKey(d.site, device.Device))
				}
			}
			d.done(tenant, &next)
		}
		want := map[string]event.Declared{}
		for _, d := range step.spec.Declared() {
			want[declaredKey(d.Site, d.Device)] = d.Declared
		}
		if diff := cmp.Diff(want, known); diff != "" {
			t.Fatalf("%s: readers know something else: %.2000s", step.name, diff)
		}
		if step.messages >= 0 && messages != step.messages || looked > step.looked {
			t.Errorf("%s: %d messages, %d devices looked at; want %d, at most %d", step.name, messages, looked, step.messages, step.looked)
		}
		if last = next; tenant.PartNames == nil {
			last = registry.Declared{Devices: want}
		}
	}
}
