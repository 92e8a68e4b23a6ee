//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"midplane/api"
	"midplane/internal/testcluster"
)

// enrolment is a deployment to join: three nodes and a primary, with TLS.
type enrolment struct {
	*testcluster.Deployment
	ctx     context.Context
	secrets map[string]string // what must stand nowhere, by what it is
	mu      sync.Mutex
	printed []string // output of every command
}

const joinTenant = `apiVersion: midplane/v1
kind: Tenant
id: acme
name: Acme
quota: {storage: 256MiB}
sites:
  - id: syd
    name: Sydney
    pollers: [{id: syd-01}, {id: syd-02}]
    devices:
      - {id: one, address: 127.0.0.1, poller: syd-01, checks: [{name: port, collector: tcp, interval: 5s, params: {port: "%[1]s"}}]}
      - {id: two, address: 127.0.0.1, poller: syd-02, checks: [{name: port, collector: tcp, interval: 5s, params: {port: "%[1]s"}}]}
`

func newEnrolment(t *testing.T) *enrolment {
	t.Helper()
	needs(t, "go", "see go.dev/dl")
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	bin, err := testcluster.Build(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	m := testcluster.NewMachine(bin, dir)
	t.Cleanup(m.StopAll)
	d, err := testcluster.NewDeployment(ctx, m)
	if err == nil {
		err = d.Up(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	e := &enrolment{Deployment: d, ctx: ctx, secrets: map[string]string{}}
	files := filepath.Join(dir, "tenants")
	if err := os.MkdirAll(files, 0o700); err != nil {
		t.Fatal(err)
	}
	port := d.Servers[0][strings.LastIndex(d.Servers[0], ":")+1:]
	if err := os.WriteFile(filepath.Join(files, "acme.yaml"), []byte(fmt.Sprintf(joinTenant, port)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := e.await(func(ctx context.Context) error { _, err := e.run(ctx, "apply", "-f", files); return err }); err != nil {
		t.Fatal(err)
	}
	return e
}

// await repeats f for two minutes.
func (e *enrolment) await(f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(e.ctx, 2*time.Minute)
	defer cancel()
	return e.Await(ctx, f)
}

// run runs one command and keeps what it says.
func (e *enrolment) run(ctx context.Context, args ...string) (string, error) {
	out, err := e.Run(ctx, args...)
	e.mu.Lock()
	defer e.mu.Unlock()
	if args[0] != "token" || args[1] != "create" {
		e.printed = append(e.printed, string(out))
	}
	if err != nil { // the test says the command line first, with the token
		e.printed = append(e.printed, strings.TrimPrefix(err.Error(), "midplane "+strings.Join(args, " ")))
	}
	return string(out), err
}

// token has one made and remembers what of it must stand nowhere.
func (e *enrolment) token(t *testing.T, poller string) string {
	t.Helper()
	var out string
	err := e.await(func(ctx context.Context) (err error) {
		out, err = e.run(ctx, "token", "create", "--tenant", "acme", "--poller", poller)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 2 || strings.ContainsAny(lines[0], " \t") || lines[1] != "midplane poller join "+lines[0] {
		t.Fatalf("printed %d lines", len(lines))
	}
	parts := strings.Split(lines[0], ".")
	e.secrets["seed of the token for "+poller], e.secrets["claims of the token for "+poller] = parts[1][:43], parts[2]
	return lines[0]
}

// join starts a poller with a token, in the folder of that name.
func (e *enrolment) join(t *testing.T, name, token string) {
	t.Helper()
	if _, err := e.Start(name, "poller", "join", token, "--data", filepath.Join(e.Dir, name), "--http", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
}

// online waits until the control plane knows of a poller.
func (e *enrolment) online(t *testing.T, poller string) {
	t.Helper()
	err := e.await(func(ctx context.Context) error {
		var rows []api.Poller
		if err := e.Get(ctx, &rows, "pollers"); err != nil {
			return err
		}
		for _, r := range rows {
			if r.ID == poller && r.Status == api.PollerOnline {
				return nil
			}
		}
		return fmt.Errorf("poller %s is not online: %+v", poller, rows)
	})
	if err != nil {
		t.Fatalf("%v\n%s\nn1: %s\nn2: %s\nn3: %s", err, e.Log(poller), e.Log("n1"), e.Log("n2"), e.Log("n3"))
	}
}

// TestJoin is enrolment as a person does it, with what can go wrong.
func TestJoin(t *testing.T) {
	e := newEnrolment(t)
	e.firstReading(t)
	e.restarts(t)
	e.raced(t)
	e.nodeKilled(t)
	e.nothingLeaked(t)
}

// firstReading measures from the command to the first reading in the primary.
func (e *enrolment) firstReading(t *testing.T) {
	fastest := time.Hour
	for poller, device := range map[string]string{"syd-01": "one", "syd-02": "two"} {
		token := e.token(t, poller)
		began := time.Now()
		e.join(t, poller, token)
		err := e.await(func(ctx context.Context) error {
			var rows []api.Device
			if err := e.Get(ctx, &rows, "devices"); err != nil {
				return err
			}
			for _, r := range rows {
				if r.ID == device && r.Status == "up" {
					return nil
				}
			}
			return fmt.Errorf("%+v", rows)
		})
		if err != nil {
			t.Fatalf("%v\n%s", err, e.Log(poller))
		}
		took := time.Since(began)
		t.Logf("from `midplane poller join` to the first reading in the primary: %s", took.Round(10*time.Millisecond))
		fastest = min(fastest, took)
	}
	if fastest > 5*time.Second {
		t.Errorf("the faster of two took %s, want below 5 s", fastest)
	}
}

// restarts: what a poller joined with is enough to run it again.
func (e *enrolment) restarts(t *testing.T) {
	e.Kill("syd-01")
	if _, err := e.Start("syd-01", "poller", "--data", filepath.Join(e.Dir, "syd-01"), "--http", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	e.online(t, "syd-01")
	if _, err := e.run(e.ctx, "poller", "--data", filepath.Join(e.Dir, "empty"), "--http", "127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), "exit status 2") {
		t.Errorf("a folder without a poller: %v", err)
	}
}

// raced: ten machines have the same token.
func (e *enrolment) raced(t *testing.T) {
	token := e.token(t, "raced")
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	type end struct {
		err     error
		stopped bool
	}
	ends := make(chan end, 10)
	for i := range 10 {
		go func() {
			_, err := e.run(ctx, "poller", "join", token, "--data", filepath.Join(e.Dir, fmt.Sprintf("raced-%d", i)), "--http", "127.0.0.1:0")
			ends <- end{err, ctx.Err() != nil}
		}()
	}
	for range 9 {
		if x := <-ends; x.err == nil || !strings.Contains(x.err.Error(), "exit status 3") || !strings.Contains(x.err.Error(), "used already") {
			t.Errorf("not refused: %v", x.err)
		}
	}
	e.online(t, "raced")
	select {
	case x := <-ends:
		t.Errorf("no one won: %v", x.err)
	default:
	}
	cancel()
	<-ends
}

// nodeKilled: a node dies while a token is redeemed.
func (e *enrolment) nodeKilled(t *testing.T) {
	for i, node := range e.Nodes {
		poller := fmt.Sprintf("killed-%d", i+1)
		token := e.token(t, poller)
		e.join(t, poller, token)
		time.Sleep(time.Duration(i) * 30 * time.Millisecond) // somewhere in the middle
		e.Kill(node)
		began := time.Now()
		e.online(t, poller)
		t.Logf("node %s killed while %s joins: online %s later", node, poller, time.Since(began).Round(10*time.Millisecond))
		_, err := e.run(e.ctx, "poller", "join", token, "--data", filepath.Join(e.Dir, poller+"-again"), "--http", "127.0.0.1:0")
		if err == nil || !strings.Contains(err.Error(), "exit status 3") {
			t.Errorf("another with that token: %v", err)
		}
		if _, err := e.StartNode(node); err != nil {
			t.Fatal(err)
		}
		if err := e.await(e.allLive); err != nil {
			t.Fatal(err)
		}
	}
}

// allLive is nil when every node is live.
func (e *enrolment) allLive(ctx context.Context) error {
	s, err := testcluster.StatusOf(ctx, e.Machine)
	if err != nil {
		return err
	}
	for _, n := range s.Cluster.Nodes {
		if !n.Live {
			return fmt.Errorf("%+v", s.Cluster.Nodes)
		}
	}
	return nil
}

// nothingLeaked looks for tokens and keys in every log and output.
func (e *enrolment) nothingLeaked(t *testing.T) {
	seeds := 0
	_ = filepath.WalkDir(e.Dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "poller.creds" {
			data, _ := os.ReadFile(path)
			for _, line := range strings.Split(string(data), "\n") {
				if strings.HasPrefix(line, "SU") {
					e.secrets["seed in "+path] = line
					seeds++
				}
			}
		}
		return nil
	})
	if seeds < 6 {
		t.Errorf("%d credentials were found to look for", seeds)
	}
	logs, err := filepath.Glob(filepath.Join(e.Dir, "*.log"))
	if err != nil || len(logs) < 8 {
		t.Fatalf("%d logs: %v", len(logs), err)
	}
	places := map[string]string{"output": strings.Join(e.printed, "\n")}
	for _, path := range logs {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		places[filepath.Base(path)] = string(data)
	}
	bytes := 0
	for place, text := range places {
		bytes += len(text)
		for what, secret := range e.secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s stands in %s", what, place)
			}
		}
	}
	t.Logf("%d secrets looked for in %d places, %d bytes", len(e.secrets), len(places), bytes)
}
