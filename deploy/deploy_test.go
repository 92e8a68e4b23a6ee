// Package deploy_test checks the files in deploy/ and docker-compose.yml: keys
// that Debian 12's docker-compose knows, nothing shared between tenants, units
// with every guard, dashboards over metrics that exist. Package e2e runs them.
package deploy_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"midplane/poller/collect/all"
	"midplane/tenants"
)

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestTenantsLoad(t *testing.T) {
	loaded, err := tenants.LoadDir("compose/tenants", tenants.Options{Collectors: slices.Sorted(maps.Keys(all.Collectors()))})
	if err != nil {
		t.Fatal(err)
	}
	compose := read(t, "../docker-compose.yml")
	for _, l := range loaded {
		for _, site := range l.Spec.Sites {
			for _, p := range site.Pollers {
				service := string(l.Spec.ID) + "-" + string(p.ID)
				if !strings.Contains(compose, "\n  "+service+":\n") {
					t.Errorf("poller %s of %s has no service %s in docker-compose.yml", p.ID, l.Spec.ID, service)
				}
			}
		}
	}
}

// The image must not need a shell, a user database or a registry.
func TestImage(t *testing.T) {
	user, health := false, false
	for line := range strings.Lines(read(t, "Dockerfile")) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "FROM":
			if rest != "scratch" {
				t.Errorf("FROM %s", rest)
			}
		case "USER":
			user = regexp.MustCompile(`^[1-9][0-9]*:[1-9][0-9]*$`).MatchString(rest)
		case "HEALTHCHECK":
			health = strings.Contains(rest, `CMD ["`)
		case "RUN":
			t.Errorf("RUN in an image without a shell: %s", line)
		}
	}
	if !user || !health {
		t.Errorf("numeric user other than root: %t; health check in exec form: %t", user, health)
	}
}

// guards are the lines that every unit has.
var guards = []string{
	"NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "PrivateDevices=yes",
	"ProtectKernelTunables=yes", "ProtectKernelModules=yes", "ProtectControlGroups=yes", "RestrictSUIDSGID=yes",
	"RestrictNamespaces=yes", "LockPersonality=yes", "MemoryDenyWriteExecute=yes", "SystemCallArchitectures=native",
	"User=midplane", "UMask=0077", "StateDirectoryMode=0700", "Type=simple", "Restart=always",
}

func TestUnits(t *testing.T) {
	units, err := filepath.Glob("systemd/*.service")
	if err != nil || len(units) != 3 {
		t.Fatalf("%v %v", units, err)
	}
	for _, path := range units {
		text := read(t, path)
		lines := strings.Split(text, "\n")
		for _, g := range guards {
			if !slices.Contains(lines, g) {
				t.Errorf("%s has no %s", path, g)
			}
		}
		capability := "CapabilityBoundingSet="
		ambient := "AmbientCapabilities="
		if strings.Contains(path, "poller") { // ping
			capability, ambient = capability+"CAP_NET_RAW", ambient+"CAP_NET_RAW"
		}
		if !slices.Contains(lines, capability) || !slices.Contains(lines, ambient) {
			t.Errorf("%s: want %q and %q", path, capability, ambient)
		}
		if regexp.MustCompile(`(?im)^Environment=.*(KEY|SEED|PASS|TOKEN|SECRET)`).MatchString(text) {
			t.Errorf("%s has a secret in its environment", path)
		}
		verifyUnit(t, path, text)
	}
}

// verifyUnit lets systemd check a unit on a machine that has systemd; the checks
// above run everywhere.
func verifyUnit(t *testing.T, path, text string) {
	t.Helper()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		return
	}
	// systemd requires that the program exists.
	copied := filepath.Join(t.TempDir(), filepath.Base(path))
	if err := os.WriteFile(copied, []byte(strings.ReplaceAll(text, "/usr/bin/midplane", "/bin/true")), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", copied).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify %s: %v\n%s", path, err, out)
	}
}

// Dashboard and alerts may use only metrics that the reference, which is made from
// the code, lists.
func TestMetricsExist(t *testing.T) {
	reference := read(t, "../docs/reference/metrics.md")
	for _, path := range []string{"grafana/midplane.json", "prometheus/midplane.rules.yml"} {
		for _, name := range regexp.MustCompile(`midplane_[a-z_]+`).FindAllString(expressions(t, path), -1) {
			base := strings.TrimSuffix(name, "_bucket")
			label := slices.Contains([]string{"midplane_tenant", "midplane_stream", "midplane_reason", "midplane_alarm", "midplane_poller", "midplane_node", "midplane_check", "midplane_kind", "midplane_producer", "midplane_limit"}, name)
			if !label && !strings.Contains(reference, "`"+base+"`") {
				t.Errorf("%s asks for %s, which no server has", path, name)
			}
		}
	}
	var config map[string]any
	if err := yaml.Unmarshal([]byte(read(t, "prometheus/prometheus.yml")), &config); err != nil {
		t.Error(err)
	}
}

// expressions returns every "expr" of a file, at any depth.
func expressions(t *testing.T, path string) string {
	t.Helper()
	var doc any
	var err error
	if strings.HasSuffix(path, ".json") {
		err = json.Unmarshal([]byte(read(t, path)), &doc)
	} else {
		err = yaml.Unmarshal([]byte(read(t, path)), &doc)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	var out []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				if s, ok := value.(string); ok && key == "expr" {
					out = append(out, s)
				}
				walk(value)
			}
		case []any:
			for _, value := range v {
				walk(value)
			}
		}
	}
	walk(doc)
	if len(out) == 0 {
		t.Errorf("%s asks for nothing", path)
	}
	return strings.Join(out, "\n")
}
