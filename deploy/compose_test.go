package deploy_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// Keys of file format 3.8 that may be used, and that docker-compose 1.29 knows.
var (
	topKeys     = []string{"version", "services", "networks", "volumes", "configs", "secrets"}
	serviceKeys = []string{"cap_add", "cap_drop", "command", "container_name", "depends_on", "dns", "entrypoint", "environment", "expose",
		"extra_hosts", "healthcheck", "hostname", "image", "init", "labels", "logging", "network_mode", "networks", "ports", "read_only",
		"restart", "security_opt", "stop_grace_period", "stop_signal", "sysctls", "tmpfs", "ulimits", "user", "volumes", "working_dir"}
	networkKeys = []string{"driver", "driver_opts", "external", "internal", "ipam", "labels", "name"}
	conditions  = []string{"service_started", "service_healthy", "service_completed_successfully"}
)

type composeFile struct {
	Version  string                    `yaml:"version"`
	Services map[string]map[string]any `yaml:"services"`
	Networks map[string]map[string]any `yaml:"networks"`
	Volumes  map[string]map[string]any `yaml:"volumes"`
}

func compose(t *testing.T) (composeFile, map[string]any) {
	t.Helper()
	text := []byte(read(t, "../docker-compose.yml"))
	var f composeFile
	var all map[string]any
	if err := yaml.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return f, all
}

func TestComposeKeys(t *testing.T) {
	f, all := compose(t)
	if f.Version != "3.8" {
		t.Errorf("version %q", f.Version)
	}
	for key := range all {
		if !slices.Contains(topKeys, key) && !strings.HasPrefix(key, "x-") {
			t.Errorf("top-level key %s is not one of format 3.8", key)
		}
	}
	for name, s := range f.Services {
		for key := range s {
			if !slices.Contains(serviceKeys, key) {
				t.Errorf("service %s has key %s, which docker-compose 1.29 or format 3.8 may not know", name, key)
			}
		}
		on, _ := s["depends_on"].(map[string]any)
		for other, how := range on {
			m, _ := how.(map[string]any)
			if c, _ := m["condition"].(string); len(m) != 1 || !slices.Contains(conditions, c) || f.Services[other] == nil {
				t.Errorf("service %s depends on %s: %v", name, other, how)
			}
		}
	}
	for name, n := range f.Networks {
		for key := range n {
			if !slices.Contains(networkKeys, key) {
				t.Errorf("network %s has key %s", name, key)
			}
		}
	}
}

// words returns the words of a list, none when v is no list.
func words(v any) (out []string) {
	list, _ := v.([]any)
	for _, w := range list {
		out = append(out, fmt.Sprint(w))
	}
	return out
}

// mounts returns the named volumes of a service, and the folders they are at.
func mounts(s map[string]any) map[string]string {
	out := map[string]string{}
	for _, v := range words(s["volumes"]) {
		name, rest, _ := strings.Cut(v, ":")
		if !strings.HasPrefix(name, ".") {
			out[name] = rest
		}
	}
	return out
}

// Every service gets its own secrets and no others.
func TestComposeKeepsApart(t *testing.T) {
	f, _ := compose(t)
	images := map[string]bool{}
	holders := map[string][]string{} // of a volume
	for name, s := range f.Services {
		images[fmt.Sprint(s["image"])] = true
		for volume := range mounts(s) {
			if _, ok := f.Volumes[volume]; !ok {
				t.Errorf("service %s: volume %s is not declared", name, volume)
			}
			holders[volume] = append(holders[volume], name)
		}
		for _, n := range words(s["networks"]) {
			if _, ok := f.Networks[n]; !ok {
				t.Errorf("service %s: network %s is not declared", name, n)
			}
		}
		if s["read_only"] != true || !slices.Equal(words(s["cap_drop"]), []string{"ALL"}) || s["privileged"] != nil {
			t.Errorf("service %s is not locked down", name)
		}
		// The page and the nodes' ports for clients (with TLS), for this machine only.
		for _, p := range words(s["ports"]) {
			if !slices.Contains([]string{"primary", "n1", "n2", "n3"}, name) || !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("service %s publishes %s", name, p)
			}
		}
		if env, _ := s["environment"].(map[string]any); len(env) > 1 || len(env) == 1 && env["XDG_CONFIG_HOME"] == nil {
			t.Errorf("service %s has an environment: %v", name, env)
		}
	}
	if len(images) != 1 {
		t.Errorf("images %v, want one", slices.Sorted(maps.Keys(images)))
	}
	for volume, want := range map[string][]string{
		"offline":      {"init"},
		"n1-keys":      {"init", "n1"},
		"n2-keys":      {"init", "n2"},
		"n3-keys":      {"init", "n3"},
		"primary-keys": {"init", "primary"},
		"acme-creds":   {"acme-syd-01", "setup-acme"},
		"globex-creds": {"globex-hq-01", "setup-globex"},
		"admin":        {"init", "primary", "setup-acme", "setup-apply", "setup-globex"},
	} {
		got := holders[volume]
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("volume %s is held by %v, want %v", volume, got, want)
		}
	}
	acme, globex := words(f.Services["acme-syd-01"]["networks"]), words(f.Services["globex-hq-01"]["networks"])
	if !slices.Equal(acme, []string{"edge-acme"}) || !slices.Equal(globex, []string{"edge-globex"}) {
		t.Errorf("the pollers are on %v and %v", acme, globex)
	}
}
