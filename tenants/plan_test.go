package tenants_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"midplane/api"
	"midplane/event"
	"midplane/tenants"
	"midplane/tenants/example"
)

func acme(t *testing.T) *tenants.Spec {
	t.Helper()
	specs, err := example.Specs("", "")
	if err != nil {
		t.Fatal(err)
	}
	return specs[0]
}

func lines(steps []tenants.Step) string {
	var out []string
	for _, s := range steps {
		out = append(out, s.String())
	}
	return strings.Join(out, "\n")
}

func TestPlan(t *testing.T) {
	have := acme(t)
	if got := tenants.Plan(have, acme(t)); len(got) != 0 {
		t.Fatalf("equal specs differ: %v", got)
	}
	want := acme(t)
	want.Policy = tenants.PolicyWarn
	want.Quota.Storage = 1 << 30
	want.Retention.Events = api.Duration(0)
	syd := &want.Sites[0]
	syd.Name = "Sydney CBD"
	syd.Pollers = append(syd.Pollers, tenants.Poller{ID: "syd-02"})
	syd.Devices = slices.Delete(syd.Devices, 1, 2)
	syd.Devices[0].Address = "127.0.0.2"
	syd.Devices[0].Checks[0].Interval *= 2
	syd.Devices[0].Checks = append(syd.Devices[0].Checks, tenants.Check{Name: "web", Collector: "http"})
	syd.Devices[1].SNMP.Community = "env:OTHER"
	want.Sites = append(want.Sites[:1], tenants.Site{ID: "bne", Name: "Brisbane", Pollers: []tenants.Poller{{ID: "bne-01"}},
		Devices: []tenants.Device{{ID: "r1", Address: "192.0.2.1"}}})
	want.Subscriptions[0].Filter.Site = nil
	want.Schemas[0].Line = "{door}"
	golden := strings.TrimPrefix(`
change tenant acme: policy enforce → warn
change quota acme/storage: 256 MiB → 1 GiB
change retention acme/events: 30d → 0s
remove site acme/mel
change site acme/syd: name Sydney → Sydney CBD
create site acme/bne: 1 poller, 1 device
create poller acme/syd/syd-02
remove device acme/syd/midplane-http
change device acme/syd/this-host: address 127.0.0.1 → 127.0.0.2, check host interval 10s → 20s, check web added
change device acme/syd/agent: snmp
create poller acme/bne/bne-01
create device acme/bne/r1: 192.0.2.1
change subscription acme/billing/outages: filter
change schema acme/acme.door.opened.v1: line door {door} opened by {by} → {door}`, "\n")
	if d := cmp.Diff(golden, lines(tenants.Plan(have, want))); d != "" {
		t.Error(d)
	}
	if got := lines(tenants.Plan(have, nil)); got != "remove tenant acme: with all its streams" {
		t.Error(got)
	}
	if tenants.Plan(nil, nil) != nil {
		t.Error("a plan for nothing")
	}
}

func TestPlanForNewTenant(t *testing.T) {
	for _, s := range tenants.Plan(nil, acme(t)) {
		if s.Verb != tenants.Create {
			t.Errorf("%v for a new tenant", s)
		}
	}
	if got := lines(tenants.Plan(nil, acme(t))); !strings.HasPrefix(got, "create tenant acme: 256 MiB of storage, 50 connections, 2000 messages/s\ncreate site acme/syd") {
		t.Error(got)
	}
}

func genSpec(t *rapid.T, label string) *tenants.Spec {
	s := &tenants.Spec{APIVersion: tenants.APIVersion, Kind: tenants.KindTenant, ID: "t", Name: rapid.SampledFrom([]string{"a", "b"}).Draw(t, label+" name"),
		Policy: "enforce", Quota: tenants.Quota{Storage: 1 << 30, Connections: rapid.IntRange(1, 2).Draw(t, label+" conns"), MessageRate: 10, MessageSize: 4096,
			ConnectionsPerUser: rapid.IntRange(2, 3).Draw(t, label+" per user"), Subscriptions: 100, Consumers: 8, MaxAckPending: 100, ByteRate: 1 << 20, ProducerMessageRate: 5, ProducerByteRate: 1 << 19},
		Retention: tenants.Retention{Events: 1e15, Metrics: 1e15, Dead: 1e15}}
	pollers := 0
	for _, id := range []event.Site{"x", "y"} {
		if !rapid.Bool().Draw(t, label+" site") {
			continue
		}
		site := tenants.Site{ID: id, Name: string(id)}
		for range rapid.IntRange(1, 3).Draw(t, label+" pollers") {
			pollers++
			site.Pollers = append(site.Pollers, tenants.Poller{ID: event.Producer(fmt.Sprintf("p-%d", pollers)), Embedded: rapid.Bool().Draw(t, label+" embedded")})
		}
		for _, d := range []event.Entity{"r1", "r2", "sw 3/1"} {
			if !rapid.Bool().Draw(t, label+" device") {
				continue
			}
			dev := tenants.Device{ID: d, Address: rapid.SampledFrom([]string{"192.0.2.1", "host.example", "2001:db8::1"}).Draw(t, label+" address")}
			for _, c := range rapid.Permutation([]string{"a", "b", "c"}).Draw(t, label+" order") {
				if rapid.Bool().Draw(t, label+" check") {
					dev.Checks = append(dev.Checks, tenants.Check{Name: c, Collector: rapid.SampledFrom([]string{"tcp", "http", "ping"}).Draw(t, label+" collector"),
						Interval: 30e9, Timeout: 5e9})
				}
			}
			site.Devices = append(site.Devices, dev)
		}
		s.Sites = append(s.Sites, site)
	}
	return s
}

// A plan is empty exactly when nothing differs, the same every time, and names
// nothing twice.
func TestPlanIsFaithful(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := genSpec(t, "have"), genSpec(t, "want")
		if err := want.Validate(options); err != nil {
			t.Fatal(err)
		}
		steps := tenants.Plan(have, want)
		if same := cmp.Equal(have, want); same != (len(steps) == 0) {
			t.Fatalf("same %v, steps %v\n%s", same, steps, cmp.Diff(have, want))
		}
		if again := tenants.Plan(have, want); !slices.Equal(steps, again) {
			t.Fatalf("%v, then %v", steps, again)
		}
		seen := map[string]bool{}
		for _, s := range steps {
			if seen[s.What] {
				t.Fatalf("%s twice in %v", s.What, steps)
			}
			seen[s.What] = true
		}
	})
}
