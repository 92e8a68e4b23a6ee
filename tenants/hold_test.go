package tenants_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/tenants"
)

// watching is a tenant with n SNMP devices at an interval, and default quotas.
func watching(t *testing.T, n int, interval time.Duration) *tenants.Spec {
	t.Helper()
	var b strings.Builder
	b.WriteString("apiVersion: midplane/v1\nkind: Tenant\nid: acme\nsites:\n- id: syd\n  pollers: [{id: syd-01}]\n  devices:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - {id: r%d, address: 192.0.2.1, snmp: {version: \"2c\", community: \"secret:snmp\"}, checks: [{name: snmp, collector: snmp, interval: %s}]}\n", i, interval)
	}
	loaded, err := tenants.LoadReader(strings.NewReader(b.String()), "acme.yaml", tenants.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return loaded[0].Spec
}

// The defaults are for 500 SNMP devices of ten interfaces that are asked once a
// minute: METRICS holds 24 hours, and STATE all of them.
func TestDefaultsHoldADayOf500Devices(t *testing.T) {
	s := watching(t, 500, time.Minute)
	if w := s.Warnings(); len(w) != 0 || tenants.MetricsHold(s) < 24*time.Hour || s.Retention.Metrics.Std() != 24*time.Hour {
		t.Errorf("METRICS holds %s: %v", tenants.MetricsHold(s), w)
	}
	if tenants.StateNeeds(s) < 500*13*500 || tenants.StateNeeds(s) > tenants.StateHolds(s) {
		t.Errorf("STATE: %d needed, %d there", tenants.StateNeeds(s), tenants.StateHolds(s))
	}
}

func TestWarningsSayWhenMetricsDoNotFit(t *testing.T) {
	s := watching(t, 2500, time.Minute)
	w := s.Warnings()
	if len(w) != 1 || !strings.Contains(w[0], "METRICS holds about 5h") || !strings.Contains(w[0], "a day), and retention.metrics is 24h: raise quota.storage to ") {
		t.Fatalf("2,500 devices: %v", w)
	}
	follow(t, s, w[0])
	s.Quota.Storage -= 2 << 30
	if w := s.Warnings(); len(w) != 1 {
		t.Error("with less than the warning says there is none")
	}
}

// follow sets the quota that a warning names: then there is none.
func follow(t *testing.T, s *tenants.Spec, warning string) {
	t.Helper()
	_, size, _ := strings.Cut(warning, "raise quota.storage to ")
	size, _, _ = strings.Cut(size, ",")
	if err := s.Quota.Storage.UnmarshalText([]byte(size)); err != nil {
		t.Fatal(err)
	}
	if w := s.Warnings(); len(w) != 0 {
		t.Errorf("with what the warning says: %v", w)
	}
}

func TestWarningsSayWhenStatesDoNotFit(t *testing.T) {
	s := watching(t, 1000, time.Hour)
	s.Quota.Storage = 64 << 20
	s.Retention.Metrics = api.Duration(tenants.MinRetention)
	w := s.Warnings()
	if len(w) != 1 || !strings.Contains(w[0], "STATE holds about 7") || !strings.Contains(w[0], "raise quota.storage to 1 GiB") {
		t.Fatalf("1,000 devices in 64 MiB: %v", w)
	}
	follow(t, s, w[0])
}

// The figures that the warning stands on are not below what is stored.
func TestMetricsPerDay(t *testing.T) {
	fast, slow := watching(t, 10, time.Minute), watching(t, 10, 10*time.Minute)
	if f, s := tenants.MetricsPerDay(fast), tenants.MetricsPerDay(slow); f < 9*s || f > 11*s {
		t.Errorf("%d and %d", f, s)
	}
	none := watching(t, 0, time.Minute)
	if tenants.MetricsPerDay(none) != 0 || tenants.MetricsHold(none) != 0 || len(none.Warnings()) != 0 {
		t.Error("no checks")
	}
	fast.Retention.Metrics = api.Duration(time.Second)
	if room := fast.Limits().Share(event.KindMetric); tenants.MetricsHold(fast) < time.Hour || len(fast.Warnings()) != 0 {
		t.Errorf("%d bytes of room: %v", room, fast.Warnings())
	}
}
