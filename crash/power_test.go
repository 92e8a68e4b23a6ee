package crash

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"midplane/api"
	"midplane/internal/atomicfile"
	"midplane/internal/forgetfs"
	"midplane/internal/testwait"
)

// powered is a tenant with a poller that has a secret.
const powered = `apiVersion: midplane/v1
kind: Tenant
id: acme
name: Acme
sites:
  - id: syd
    name: Sydney
    pollers: [{id: syd-01}]
    devices:
      - {id: r1, address: 127.0.0.1, poller: syd-01, snmp: {community: "secret:community"}, checks: [{name: agent, collector: snmp, interval: 1h}]}
`

// recovered says of a file that it is brought back by what owns it, or may be missing:
// streams by JetStream, databases by SQLite, and both are tried elsewhere with what is
// in them; the rest is made again by every start.
func recovered(path string) bool {
	name := filepath.Base(path)
	return strings.HasSuffix(name, ".log") || strings.Contains(name, ".db") || name == "lock" || strings.Contains(path, "/jetstream/") ||
		name == "replicas.json" // what has been read already; without it all is read again
}

// kept reads every file below dir that must not be lost.
func kept(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || recovered(path) {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		out[rel] = data
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPowerCutTakesNothingThatIsKept has everything that Midplane keeps beside its
// streams on a disk that forgets what was not synced, file and folder: deployment,
// contexts, credentials, account JWTs, the console's users, a poller's identity,
// configuration and secrets. After a cut all of it is as it was, and works.
func TestPowerCutTakesNothingThatIsKept(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	disk := forgetfs.Mount(t)
	dir := filepath.Join(disk.Dir, "machine")
	if err := atomicfile.MakeDir(dir); err != nil {
		t.Fatal(err)
	}
	d := deployIn(ctx, t, dir)
	m := d.Machine
	run := func(input string, args ...string) string {
		t.Helper()
		out, err := m.RunWith(ctx, input, args...)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	file := filepath.Join(t.TempDir(), "acme.yaml")
	if err := os.WriteFile(file, []byte(powered), 0o600); err != nil {
		t.Fatal(err)
	}
	creds, data := filepath.Join(m.Dir, "people", "ops.creds"), filepath.Join(m.Dir, "sites", "syd-01")
	run("", "apply", "-f", file)
	run("public", "secret", "set", "acme/community")
	if err := atomicfile.MakeDir(filepath.Dir(creds)); err != nil { // the operator's
		t.Fatal(err)
	}
	run("", "user", "create", "--tenant", "acme", "--role", "inspector", "ops", "--out", creds)
	run("correct-horse-battery-staple-77\n", "console", "user", "add", "ann", "--role", "viewer", "--data", filepath.Join(m.Dir, "data-primary"))
	token := strings.Fields(run("", "token", "create", "--tenant", "acme", "--poller", "syd-01"))[0]
	if _, err := m.Start("syd-01", "poller", "join", token, "--data", data, "--http", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	online := func() error {
		var rows []api.Poller
		if err := m.Get(ctx, &rows, "pollers"); err != nil {
			return err
		}
		if len(rows) != 1 || rows[0].Status != api.PollerOnline {
			return fmt.Errorf("%+v\n%s", rows, m.Log("syd-01"))
		}
		return nil
	}
	testwait.Within(t, 2*time.Minute, "the poller is there, with its secret", func() error {
		if _, err := os.Stat(filepath.Join(data, "secrets.sealed")); err != nil {
			return err
		}
		return online()
	})
	// The rig can lose.
	if err := os.WriteFile(filepath.Join(m.Dir, "control.log"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	was := kept(t, m.Dir)
	disk.Cut()
	for _, name := range slices.Concat(d.Nodes, []string{"primary", "syd-01"}) {
		m.Kill(name)
	}
	if err := disk.Restore(); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(m.Dir, "control.log")); err == nil && len(data) > 0 {
		t.Fatal("the disk kept what was not synced")
	}
	is := kept(t, m.Dir)
	for path, data := range was {
		if got, there := is[path]; !there || !bytes.Equal(got, data) {
			t.Errorf("%s: there %v, %d bytes of %d", path, there, len(got), len(data))
		}
	}
	t.Logf("%d files are as they were", len(was))
	if t.Failed() {
		return
	}
	if err := d.Up(ctx); err != nil {
		t.Fatalf("%v\n%s", err, m.Log("n1"))
	}
	if _, err := m.Start("syd-01", "poller", "--data", data, "--http", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	testwait.Within(t, 2*time.Minute, "the poller is back without a new token", online)
	if out := run("", "console", "user", "list", "--data", filepath.Join(m.Dir, "data-primary")); !strings.Contains(out, "ann") {
		t.Errorf("users of the console: %s", out)
	}
}
