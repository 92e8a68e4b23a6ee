package example_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midplane/fault"
	"midplane/tenants"
	"midplane/tenants/example"
)

var collectors = tenants.Options{Collectors: []string{"ping", "tcp", "http", "snmp", "host"}}

// A user's copy of the files gives what the program has built in.
func TestWrittenFilesLoad(t *testing.T) {
	dir := t.TempDir() + "/my/tenants"
	if err := example.WriteTo(dir); err != nil {
		t.Fatal(err)
	}
	loaded, err := tenants.LoadDir(dir, collectors)
	if err != nil {
		t.Fatal(err)
	}
	specs, err := example.Specs(example.HTTPAddr, "")
	if err != nil {
		t.Fatal(err)
	}
	if len(loaded) != 2 || len(specs) != 2 {
		t.Fatalf("%d and %d tenants", len(loaded), len(specs))
	}
	for i := range specs {
		if d := cmp.Diff(specs[i], loaded[i].Spec); d != "" {
			t.Error(d)
		}
	}
	if err := example.WriteTo(dir); !fault.Is(err, fault.Conflict) {
		t.Errorf("written over a user's files: %v", err)
	}
}

func TestAddressesAreReplaced(t *testing.T) {
	specs, err := example.Specs("0.0.0.0:9000", "127.0.0.1:5333")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range specs {
		data, err := s.JSON()
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		for _, old := range []string{"8480", `"4222"`, "0.0.0.0"} {
			if strings.Contains(text, old) {
				t.Errorf("%s still has %s", s.ID, old)
			}
		}
		for _, now := range []string{"http://127.0.0.1:9000/healthz", `"port":"5333"`} {
			if !strings.Contains(text, now) {
				t.Errorf("%s lacks %s", s.ID, now)
			}
		}
		if _, err := tenants.ParseJSON(data); err != nil {
			t.Error(err)
		}
	}
	if _, err := example.Specs("nowhere", ""); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
}

// Only this machine is watched, every collector is shown, every poller is one
// that "up" runs and has something to do.
func TestExampleIsSelfContained(t *testing.T) {
	specs, err := example.Specs("", "")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, s := range specs {
		for _, d := range s.Declared() {
			if d.Address != "127.0.0.1" {
				t.Errorf("%s/%s/%s looks at %s", s.ID, d.Site, d.Device, d.Address)
			}
		}
		for _, p := range s.Pollers() {
			cfg, ok := s.PollerConfig(p.ID)
			if !ok || !p.Embedded || len(cfg.Devices) == 0 {
				t.Errorf("poller %s: embedded %v, %d devices", p.ID, p.Embedded, len(cfg.Devices))
			}
			for _, d := range cfg.Devices {
				for _, c := range d.Checks {
					used[c.Collector] = true
				}
			}
		}
		if len(s.Subscriptions) == 0 {
			t.Errorf("%s shows no subscription", s.ID)
		}
	}
	for _, c := range collectors.Collectors {
		if !used[c] {
			t.Errorf("no device shows collector %s", c)
		}
	}
}
