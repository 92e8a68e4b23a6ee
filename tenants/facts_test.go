package tenants

import "testing"

// Every field of a tenant's file has its facts, and every fact a field.
func TestEveryFieldIsExplained(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Fields() {
		seen[f.Path] = true
		if f.Meaning == "" {
			t.Errorf("nothing is known of %s", f.Path)
		}
	}
	for at := range facts {
		if !seen[at] {
			t.Errorf("a tenant's file has no field %s", at)
		}
	}
}

func TestExplain(t *testing.T) {
	for path, want := range map[string]struct {
		is     string
		inside int
	}{
		"tenant": {"tenant", 11}, "": {"tenant", 11}, "tenant.sites.devices.checks": {"sites[].devices[].checks", 5}, "sites[].devices[].checks[]": {"sites[].devices[].checks", 5},
		"quota.storage": {"quota.storage", 0}, "subscriptions.filter": {"subscriptions[].filter", 3}, "tenant.sites.devices.snmp": {"sites[].devices[].snmp", 10},
	} {
		f, inside, _, ok := Explain(path)
		if !ok || f.Path != want.is || len(inside) != want.inside {
			t.Errorf("%s: %+v with %d fields inside", path, f, len(inside))
		}
	}
	if _, _, near, ok := Explain("tenant.devices"); ok || near != "sites[].devices" {
		t.Errorf("near %q", near)
	}
}
