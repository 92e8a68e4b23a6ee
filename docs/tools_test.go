package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var target = regexp.MustCompile(`make ([a-z][a-z0-9-]*)`)

// recipes returns what the Makefile does, by target.
func recipes(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	out, at := map[string]string{}, ""
	for _, line := range strings.Split(string(data), "\n") {
		switch name, _, ok := strings.Cut(line, ":"); {
		case strings.HasPrefix(line, "\t"):
			out[at] += line + "\n"
		case ok && !strings.ContainsAny(name, " #="):
			at = name
			out[at] += ""
		}
	}
	return out
}

// TestMakeTargets: every target that a page names exists, and only the one that
// is named for it removes what the containers keep.
func TestMakeTargets(t *testing.T) {
	made := recipes(t)
	removes := regexp.MustCompile(`docker-compose.* (-v|--volumes)\b|volume rm`)
	for name, recipe := range made {
		if removes.MatchString(recipe) != (name == "compose-destroy") {
			t.Errorf("make %s: %s", name, recipe)
		}
	}
	for _, p := range pages(t) {
		for _, code := range regexp.MustCompile("`[^`\n]*`|(?m)^make .*$").FindAllString(p.text, -1) {
			for _, m := range target.FindAllStringSubmatch(code, -1) {
				if _, ok := made[m[1]]; !ok {
					t.Errorf("%s names %q, which the Makefile has not", p.name, m[0])
				}
			}
		}
	}
}

// standIn writes a program that stands for another one.
func standIn(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// TestComposeSaysHowToReachIt: what "make compose" ends with are lines that
// work: the ports that docker-compose.yml opens, and files that are there.
func TestComposeSaysHowToReachIt(t *testing.T) {
	if !strings.Contains(recipes(t)["compose"], "deploy/compose/host.sh") {
		t.Error("make compose does not print them")
	}
	bin, state := t.TempDir(), t.TempDir()
	standIn(t, bin, "docker-compose", "[ \"$*\" = 'ps -q primary' ] && echo c0ffee\n")
	standIn(t, bin, "docker", "[ \"$1\" = cp ] && echo \"$2\" > \"$3/$(basename \"$2\")\"\n")
	cmd := exec.Command(filepath.Join(root, "deploy", "compose", "host.sh"))
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "XDG_STATE_HOME="+state)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	m := regexp.MustCompile(`export NATS_URL='([^']*)' NATS_CREDS='([^']*)' NATS_CA='([^']*)'`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("no line to export:\n%s", out)
	}
	for i, inside := range map[int]string{2: "c0ffee:/deployment/admin/admin.creds", 3: "c0ffee:/deployment/tls/ca.crt"} {
		data, err := os.ReadFile(string(m[i]))
		if err != nil || strings.TrimSpace(string(data)) != inside {
			t.Errorf("%s: %q %v", m[i], data, err)
		}
		if info, err := os.Stat(string(m[i])); err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v", m[i], info.Mode())
		}
	}
	compose, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	open := regexp.MustCompile(`"127\.0\.0\.1:\$\{MIDPLANE_N\d_PORT:-(\d+)\}:4222"`).FindAllSubmatch(compose, -1)
	if len(open) != 3 {
		t.Errorf("docker-compose.yml opens %d nodes", len(open))
	}
	for _, port := range open {
		if !strings.Contains(string(m[1]), "tls://127.0.0.1:"+string(port[1])) {
			t.Errorf("%s lacks port %s", m[1], port[1])
		}
	}
}

// TestTourRevokesWhoHasJoined: the README can be followed to the letter. A
// poller is there to be revoked only when it has joined before.
func TestTourRevokesWhoHasJoined(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, m := range regexp.MustCompile(`midplane revoke poller ([a-z0-9-]+)/([a-z0-9-]+)`).FindAllSubmatchIndex(data, -1) {
		found = true
		tenant, poller := string(data[m[2]:m[3]]), string(data[m[4]:m[5]])
		before := string(data[:m[0]])
		if !strings.Contains(before, "$ midplane poller join ") || !strings.Contains(before, "joined as poller "+poller+" of tenant "+tenant) {
			t.Errorf("the README revokes %s/%s, which has not joined", tenant, poller)
		}
	}
	if !found {
		t.Error("the README revokes no poller")
	}
}

// TestTestScript: packages that .ci/test is given take the place of all.
func TestTestScript(t *testing.T) {
	bin := t.TempDir()
	standIn(t, bin, "go", "echo \"$@\"\n")
	standIn(t, bin, "snmpd", "")
	for given, want := range map[string]string{
		"":                              "test ./...",
		"-timeout 15m":                  "test ./... -timeout 15m",
		"./tenants":                     "test ./tenants",
		"-run TestLoad ./tenants ./bus": "test -run TestLoad ./tenants ./bus",
		"./platform/... -count 1":       "test ./platform/... -count 1",
		"midplane/tenants":              "test midplane/tenants",
		"-args ./x":                     "test ./... -args ./x",
	} {
		cmd := exec.Command(filepath.Join(root, ".ci", "test"), strings.Fields(given)...)
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf(".ci/test %s runs go %s (%v), want go %s", given, got, err, want)
		}
	}
}
