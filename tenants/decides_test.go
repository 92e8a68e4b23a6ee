package tenants_test

import (
	"encoding/json"
	"strings"
	"testing"

	"midplane/api"
	"midplane/fault"
	"midplane/tenants"
)

// The check that decides whether a device is up: of those that the file does
// not forbid, the first that it marks, else the first of the order.
func TestOneCheckDecides(t *testing.T) {
	for name, tt := range map[string]struct {
		checks string // "COLLECTOR" or "COLLECTOR=MARK", in the order of the file
		want   string // the name of the check, which is its place in the file
	}{
		"no checks":                    {"", "ping"},
		"tcp knows better than http":   {"http tcp", "1"},
		"host knows better than http":  {"http host", "1"},
		"the order before the file":    {"http tcp snmp host ping", "4"},
		"the order without its first":  {"http tcp snmp host", "3"},
		"a new collector goes last":    {"dns tcp", "1"},
		"a new collector alone":        {"dns", "0"},
		"new collectors by the file":   {"dns syslog", "0"},
		"the first of two equals":      {"tcp tcp", "0"},
		"the mark before the order":    {"ping dns=true", "1"},
		"two marked: the first":        {"ping dns=true tcp=true", "1"},
		"not the forbidden one":        {"ping=false http", "1"},
		"a new one where ping may not": {"ping=false dns", "1"},
		"an empty mark is none":        {"dns tcp=", "1"},
		"a slip is no mark":            {"dns tcp=yes", "1"},
		"all forbidden: none":          {"ping=false dns=false", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := tenants.Device{Checks: marked(tt.checks)}
			for _, c := range checksOf(t, d) {
				want := "false"
				if c.Name == tt.want {
					want = "true"
				}
				if got := c.Params["reachability"]; got != want {
					t.Errorf("check %s of %q: reachability is %q, want %q", c.Name, tt.checks, got, want)
				}
			}
			for i, c := range marked(tt.checks) {
				if d.Checks[i].Params["reachability"] != c.Params["reachability"] {
					t.Error("the spec itself was changed")
				}
			}
		})
	}
}

// marked makes checks of "COLLECTOR=MARK …"; each is named by its place.
func marked(text string) []tenants.Check {
	var out []tenants.Check
	for i, word := range strings.Fields(text) {
		collector, mark, is := strings.Cut(word, "=")
		c := tenants.Check{Name: string(rune('0' + i)), Collector: collector, Interval: api.Duration(tenants.DefaultInterval), Timeout: api.Duration(tenants.DefaultTimeout)}
		if is {
			c.Params = map[string]string{"reachability": mark}
		}
		out = append(out, c)
	}
	return out
}

// A spec with two marks is refused when it is to be stored, and read
// when it is stored already: an older version took it, and the first mark counts.
func TestTwoMarksThatAreStoredKeepRunning(t *testing.T) {
	spec := acme(t)
	for i := range spec.Sites {
		for j := range spec.Sites[i].Devices {
			spec.Sites[i].Devices[j].Checks = marked("tcp=true http=true")
			for k := range spec.Sites[i].Devices[j].Checks {
				spec.Sites[i].Devices[j].Checks[k].Name = "c" + spec.Sites[i].Devices[j].Checks[k].Name
			}
		}
	}
	data, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tenants.ParseJSON(data); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "decide") {
		t.Errorf("to store it: %v", err)
	}
	stored, err := tenants.ParseStored(data)
	if err != nil {
		t.Fatalf("stored: %v", err)
	}
	for _, p := range stored.Pollers() {
		cfg, _ := stored.PollerConfig(p.ID)
		for _, d := range cfg.Devices {
			if d.Checks[0].Params["reachability"] != "true" || d.Checks[1].Params["reachability"] != "false" {
				t.Errorf("%s: %+v", d.ID, d.Checks)
			}
		}
	}
}
