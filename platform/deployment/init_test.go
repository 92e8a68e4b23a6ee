package deployment_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midplane/fault"
	"midplane/platform"
	"midplane/platform/deployment"
	"midplane/telemetry"
	"midplane/tenants/account"
)

// plan is three nodes that listen on loopback.
func plan() deployment.Plan {
	p := deployment.Plan{Name: "cluster", Primary: "primary-1", Admin: "ann", TLS: true}
	for _, n := range []string{"n1", "n2", "n3"} {
		p.Nodes = append(p.Nodes, deployment.NodePlan{Name: n, Client: "127.0.0.1:0", Route: "127.0.0.1:0", Advertise: n + ".example:4222", Peer: n + ".example:6222"})
	}
	return p
}

func made(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "deployment")
	if done, err := deployment.Init(dir, plan()); err != nil || !done {
		t.Fatalf("made %t: %v", done, err)
	}
	return dir
}

// files returns every file below dir with its content.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		out[rel] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestInitIsComplete(t *testing.T) {
	dir := made(t)
	sum, err := deployment.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := deployment.Summary{Name: "cluster", Admin: "ann", Primary: "primary-1", Nodes: []string{"n1", "n2", "n3"}, TLS: true,
		Servers: []string{"tls://n1.example:4222", "tls://n2.example:4222", "tls://n3.example:4222"}}
	if d := cmp.Diff(want, sum); d != "" {
		t.Error(d)
	}
	// A node needs its own folder and nothing else: each must load alone.
	for _, n := range sum.Nodes {
		own := filepath.Join(t.TempDir(), "node")
		if err := os.Rename(deployment.NodeDir(dir, n), own); err != nil {
			t.Fatal(err)
		}
		cfg, err := platform.Load(own, t.TempDir())
		if err != nil {
			t.Fatalf("node %s: %v", n, err)
		}
		if cfg.Node.Name != n || cfg.Replicas != 3 || cfg.Advertise != "tls://"+n+".example:4222" || cfg.Node.Peer != n+".example:6222" || len(cfg.Node.Peers) != 3 || len(cfg.PeerClients) != 2 {
			t.Errorf("node %s: %+v", n, cfg.Node)
		}
		if _, err := platform.New(cfg, telemetry.Nop()); err != nil {
			t.Errorf("node %s: %v", n, err)
		}
	}
	for path, name := range map[string]string{
		deployment.AdminCreds(dir, "ann"):                   "ann",
		deployment.PrimaryCreds(dir, account.RoleCore):      "primary-1",
		deployment.PrimaryCreds(dir, account.RoleQuery):     "primary-1",
		deployment.PrimaryCreds(dir, account.RoleAdmin):     "primary-1",
		filepath.Join(dir, "offline", "../admin/ann.creds"): "ann",
	} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		creds, err := account.ReadCreds(data)
		if err != nil || creds.Name != name {
			t.Errorf("%s holds the credentials of %q: %v", path, creds.Name, err)
		}
	}
}

func TestInitLeavesWhatIsThere(t *testing.T) {
	dir := made(t)
	before := files(t, dir)
	other := plan()
	other.Name, other.Nodes = "other", other.Nodes[:1]
	if done, err := deployment.Init(dir, other); err != nil || done {
		t.Fatalf("made %t: %v", done, err)
	}
	if d := cmp.Diff(before, files(t, dir)); d != "" {
		t.Error("an existing folder was changed")
	}
}

func TestInitMakesHalfMadeAgain(t *testing.T) {
	dir := made(t)
	before := files(t, dir)
	if err := os.Remove(filepath.Join(dir, "deployment.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "nodes", "n2", "node.json")); err != nil {
		t.Fatal(err)
	}
	if done, err := deployment.Init(dir, plan()); err != nil || !done {
		t.Fatalf("made %t: %v", done, err)
	}
	after := files(t, dir)
	for name, was := range before {
		if _, ok := after[name]; !ok && !strings.Contains(name, "accounts/") { // named after keys
			t.Errorf("%s is missing", name)
		}
		if strings.HasSuffix(name, ".creds") && after[name] == was {
			t.Errorf("%s is of the try that was cut off", name)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d files, the first time there were %d", len(after), len(before))
	}
	if _, err := deployment.LoadNode(deployment.NodeDir(dir, "n2")); err != nil {
		t.Error(err)
	}
}

// Folders that are there already may be mounted volumes: they must stay.
func TestInitIntoPreparedFolders(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"admin", "nodes/n1", "nodes/n2", "nodes/n3", "offline", "primary", "tls"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.Stat(filepath.Join(dir, "tls"))
	if err != nil {
		t.Fatal(err)
	}
	if done, err := deployment.Init(dir, plan()); err != nil || !done {
		t.Fatalf("made %t: %v", done, err)
	}
	if after, err := os.Stat(filepath.Join(dir, "tls")); err != nil || !os.SameFile(before, after) {
		t.Errorf("tls is another folder: %v", err)
	}
}

func TestInitRefuses(t *testing.T) {
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "letter.txt"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := deployment.Init(foreign, plan()); !fault.Is(err, fault.Conflict) {
		t.Errorf("a folder with other files: %v, want Conflict", err)
	}
	if d := cmp.Diff(map[string]string{"letter.txt": "mine"}, files(t, foreign)); d != "" {
		t.Errorf("it was changed: %s", d)
	}
	for name, change := range map[string]func(*deployment.Plan){
		"two nodes":          func(p *deployment.Plan) { p.Nodes = p.Nodes[:2] },
		"no node":            func(p *deployment.Plan) { p.Nodes = nil },
		"two of one name":    func(p *deployment.Plan) { p.Nodes[1].Name = "n1" },
		"a node's bad name":  func(p *deployment.Plan) { p.Nodes[0].Name = "../n1" },
		"a bad cluster name": func(p *deployment.Plan) { p.Name = "a b" },
		"an admin called *":  func(p *deployment.Plan) { p.Admin = "*" },
		"no primary":         func(p *deployment.Plan) { p.Primary = "" },
	} {
		dir := filepath.Join(t.TempDir(), "d")
		p := plan()
		change(&p)
		if _, err := deployment.Init(dir, p); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, want Invalid", name, err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: a folder was made", name)
		}
	}
	if _, err := deployment.Read(t.TempDir()); !fault.Is(err, fault.NotFound) || fault.HintOf(err) == "" {
		t.Errorf("read an empty folder: %v", err)
	}
}

// secret is what must be in no file that others can read: nkey seeds of any
// kind and private keys.
var secret = regexp.MustCompile(`\bS[OAUNXC][A-Z2-7]{56}\b|PRIVATE KEY`)

func TestSecretsAreForTheOwnerOnly(t *testing.T) {
	dir := made(t)
	seeds := 0
	for name, text := range files(t, dir) {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		has := secret.MatchString(text) || strings.HasSuffix(name, "master.key") || strings.HasSuffix(name, "secrets.json")
		if has {
			seeds++
		}
		switch mode := info.Mode().Perm(); {
		case has && mode != 0o600:
			t.Errorf("%s holds a secret and has mode %o", name, mode)
		case !has && mode&0o022 != 0:
			t.Errorf("%s can be written by others: %o", name, mode)
		}
	}
	// Operator, two CAs, four credentials; secrets, master key, two keys per node.
	if seeds != 7+3*4 {
		t.Errorf("%d files with secrets, want %d", seeds, 7+3*4)
	}
	// What leaves the node's folder must not be in it.
	offline := files(t, filepath.Join(dir, "offline"))
	for name, text := range files(t, filepath.Join(dir, "nodes")) {
		for _, identity := range offline {
			for _, seed := range secret.FindAllString(identity, -1) {
				if seed != "PRIVATE KEY" && strings.Contains(text, seed) {
					t.Errorf("nodes/%s holds the operator's identity", name)
				}
			}
			if strings.Contains(identity, "PRIVATE KEY") && strings.Contains(text, identity) {
				t.Errorf("nodes/%s holds the key of a CA", name)
			}
		}
	}
}

func TestMasterKey(t *testing.T) {
	dir := made(t)
	n1 := deployment.NodeDir(dir, "n1")
	path := filepath.Join(n1, "master.key")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := platform.Load(n1, t.TempDir()); !fault.Is(err, fault.Denied) {
		t.Errorf("a master key that others can read: %v, want Denied", err)
	}
	key, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := platform.Load(n1, t.TempDir()); !fault.Is(err, fault.NotFound) {
		t.Errorf("no master key: %v, want NotFound", err)
	}
	t.Setenv(deployment.EnvMaster, strings.TrimSpace(string(key)))
	cfg, err := platform.Load(n1, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := platform.New(cfg, telemetry.Nop()); err != nil {
		t.Errorf("the master key of the environment: %v", err)
	}
	// A program that prints a configuration must not print it.
	if text, err := json.Marshal(cfg.Secrets); err != nil || strings.Contains(string(text), cfg.Secrets.Master) {
		t.Errorf("the master key is in what is stored: %v", err)
	}
}
