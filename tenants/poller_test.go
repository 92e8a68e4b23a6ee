package tenants_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"midplane/api"
	"midplane/event"
	"midplane/streams"
	"midplane/tenants"
)

func checksOf(t *testing.T, d tenants.Device) []api.PollerCheck {
	t.Helper()
	d.ID, d.Address = "r1", "192.0.2.1"
	s := &tenants.Spec{ID: "acme", Sites: []tenants.Site{{ID: "syd", Pollers: []tenants.Poller{{ID: "p"}}, Devices: []tenants.Device{d}}}}
	cfg, ok := s.PollerConfig("p")
	if !ok || len(cfg.Devices) != 1 || cfg.Tenant != "acme" || cfg.Site != "syd" || cfg.Poller != "p" {
		t.Fatalf("%+v", cfg)
	}
	return cfg.Devices[0].Checks
}

func TestResolvedChecks(t *testing.T) {
	decides, not := map[string]string{"reachability": "true"}, map[string]string{"reachability": "false"}
	ping := api.PollerCheck{Name: "ping", Collector: "ping", Interval: 30e9, Timeout: 5e9, Params: decides}
	snmp := api.PollerCheck{Name: "snmp", Collector: "snmp", Interval: 60e9, Timeout: 5e9, Params: not}
	for name, tc := range map[string]struct {
		device tenants.Device
		want   []api.PollerCheck
	}{
		"none":           {tenants.Device{}, []api.PollerCheck{ping}},
		"none, but SNMP": {tenants.Device{SNMP: &api.SNMP{}}, []api.PollerCheck{ping, snmp}},
		"its own": {tenants.Device{Checks: []tenants.Check{{Name: "a", Collector: "http", Interval: 1e9, Params: map[string]string{"url": "x"}}, {Name: "b", Collector: "ping", Timeout: 2e9}}},
			[]api.PollerCheck{{Name: "a", Collector: "http", Interval: 1e9, Params: map[string]string{"url": "x", "reachability": "false"}}, {Name: "b", Collector: "ping", Timeout: 2e9, Params: decides}}},
	} {
		if d := cmp.Diff(tc.want, checksOf(t, tc.device)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// Every device has exactly one watcher; a poller more or less moves only what
// it wins or loses.
func TestSharingOut(t *testing.T) {
	assigned := func(s *tenants.Spec) map[event.Entity]string {
		out := map[event.Entity]string{}
		for _, p := range s.Pollers() {
			cfg, _ := s.PollerConfig(p.ID)
			for _, d := range cfg.Devices {
				if out[d.ID] != "" {
					panic("watched twice")
				}
				out[d.ID] = string(p.ID)
			}
		}
		for _, d := range s.Declared() {
			if out[d.Device] != d.Poller {
				panic("declared with another poller")
			}
		}
		return out
	}
	rapid.Check(t, func(t *rapid.T) {
		s := &tenants.Spec{ID: "t", Sites: []tenants.Site{{ID: "syd"}}}
		n := rapid.IntRange(1, 5).Draw(t, "pollers")
		for i := range n {
			s.Sites[0].Pollers = append(s.Sites[0].Pollers, tenants.Poller{ID: event.Producer(fmt.Sprintf("syd-%02d", i))})
		}
		for i := range rapid.IntRange(1, 40).Draw(t, "devices") {
			s.Sites[0].Devices = append(s.Sites[0].Devices, tenants.Device{ID: event.Entity(fmt.Sprintf("r%d", i))})
		}
		before := assigned(s)
		if len(before) != len(s.Sites[0].Devices) {
			t.Fatalf("%d of %d devices are watched", len(before), len(s.Sites[0].Devices))
		}
		s.Sites[0].Pollers = append(s.Sites[0].Pollers, tenants.Poller{ID: "syd-new"})
		for d, now := range assigned(s) {
			if now != before[d] && now != "syd-new" {
				t.Fatalf("%s moved from %s to %s", d, before[d], now)
			}
		}
	})
	s := &tenants.Spec{ID: "t", Sites: []tenants.Site{{ID: "syd", Pollers: []tenants.Poller{{ID: "syd-01"}, {ID: "syd-02"}, {ID: "syd-03"}}}}}
	for i := range 300 {
		s.Sites[0].Devices = append(s.Sites[0].Devices, tenants.Device{ID: event.Entity(fmt.Sprintf("r%d", i))})
	}
	count := map[string]int{}
	for _, p := range assigned(s) {
		count[p]++
	}
	for p, n := range count {
		if n < 60 || n > 140 {
			t.Errorf("%s has %d of 300 devices", p, n)
		}
	}
}

func TestLookups(t *testing.T) {
	s := acme(t)
	if site, ok := s.SiteOf("mel-02"); !ok || site.ID != "mel" {
		t.Error(site, ok)
	}
	if _, ok := s.SiteOf("nobody"); ok {
		t.Error("a poller that is not declared has a site")
	}
	if _, ok := s.PollerConfig("nobody"); ok {
		t.Error("a poller that is not declared has a configuration")
	}
	if got := s.RetentionOf(event.KindMetric).Std(); got != tenants.DefaultRetentionMetrics {
		t.Error(got)
	}
	if got := s.RetentionOf(event.KindState); got != 0 {
		t.Errorf("state is kept %v", got)
	}
	if l := s.Limits(); l.Events+l.State+l.Metrics+l.Dead != int64(s.Quota.Storage) {
		t.Errorf("%+v", l)
	}
	c, err := s.Consumers(event.StreamEvents)
	if err != nil || len(c) != 1 || c[0].Durable != streams.DurableName("billing", "outages") || len(c[0].FilterSubjects) != 4 {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := s.Consumers(event.StreamState); err != nil || len(c) != 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]tenants.Bytes{
		"0": 0, "1048576": 1 << 20, "256KiB": 256 << 10, "1 GiB": 1 << 30, "3B": 3, "1PiB": 1 << 50, " 7 ": 7,
	} {
		var b tenants.Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%q: %d, %v", text, b, err)
		}
	}
	for _, text := range []string{"", "KiB", "-1", "1.5GiB", "1GB", "1KIB", "9223372036854775808", "9000PiB", "1 2", "0x10", "1k", "8192PiB"} {
		var b tenants.Bytes
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was read as %d", text, b)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		want := tenants.Bytes(rapid.Int64Range(0, 1<<62).Draw(t, "bytes"))
		var got tenants.Bytes
		if err := got.UnmarshalText([]byte(want.String())); err != nil || got != want {
			t.Fatalf("%d prints as %s, reads as %d, %v", want, want, got, err)
		}
	})
}
