//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/release"
)

// fleet is a deployment that was made by the release before, and both programs.
type fleet struct {
	*processes
	before  release.Release
	old, as string       // the programs
	older   atomic.Int32 // nodes of the older version
}

func (f *fleet) someOld() bool { return f.older.Load() > 0 }

// newFleet builds both versions and makes a deployment with the older one.
func newFleet(t *testing.T) *fleet {
	needs(t, "go", "see go.dev/dl")
	needs(t, "git", "apt-get install git")
	f := &fleet{before: release.Last()}
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	began := time.Now()
	var err error
	if f.old, err = f.before.Build(ctx, repo(t), t.TempDir()); err != nil {
		t.Fatalf("%v; %s", err, fault.HintOf(err))
	}
	f.as = filepath.Join(dir, "midplane-now")
	run(t, 8*time.Minute, repo(t), []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-o", f.as, "./cmd/midplane")
	t.Logf("built %s and this version in %s", f.before.Version, time.Since(began).Round(time.Second))
	f.processes = deploy(t, dir, f.old)
	f.older.Store(int32(len(nodes)))
	return f
}

// replace stops a process and starts it again with another program.
func (f *fleet) replace(t *testing.T, name, bin string) {
	t.Helper()
	began := time.Now()
	f.end(t, name)
	if slices.Contains(nodes, name) {
		f.older.Add(map[bool]int32{true: 1, false: -1}[bin == f.old])
	}
	f.release[name] = bin
	switch name {
	case "primary":
		f.launchPrimary(t)
	case "acme", "globex":
		f.launchPoller(t, name)
	default:
		f.launchNode(t, name)
	}
	if name != "acme" && name != "globex" {
		f.ready(t, name)
	}
	for tenant := range devices {
		eventually(t, 2*time.Minute, "every replica of "+tenant+" is current", func() error { return current(f, tenant) })
	}
	t.Logf("%s runs %s after %s", name, filepath.Base(bin), time.Since(began).Round(100*time.Millisecond))
}

// printed returns a command, and complains when the runbook does not print it.
func (f *fleet) printed(t *testing.T, args ...string) []string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(repo(t), "docs", "runbooks", "upgrade.md"))
	if err != nil {
		t.Fatal(err)
	}
	if line := "midplane " + strings.Join(args, " "); !strings.Contains(string(page), line) {
		t.Errorf("the runbook does not say %q", line)
	}
	return args
}

// now runs the command line of this version.
func (f *fleet) now(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, 90*time.Second, f.dir, f.env, f.as, args...)
}

// apply writes a tenant's file and applies it with the program bin.
func (f *fleet) apply(t *testing.T, bin, id, check string) error {
	t.Helper()
	file := filepath.Join(f.dir, id+".yaml")
	text := fmt.Sprintf(`apiVersion: midplane/v1
kind: Tenant
id: %s
name: %s
quota: {storage: 1GiB}
sites:
  - id: hq
    name: Headquarters
    pollers: [{id: hq-01}]
    devices:
      - id: n1
        name: First node
        address: 127.0.0.1
        checks: [%s]
`, id, id, check)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := try(90*time.Second, f.dir, f.env, bin, "apply", "-f", file)
	return err
}

// watcher looks at the tenants all the time and keeps what it did not like.
type watcher struct {
	stop           context.CancelFunc
	done           sync.WaitGroup
	mu             sync.Mutex
	wrong          map[string]int // what was wrong, and how often it was seen
	looks, excused int
}

// watch begins to look: every tenant that is listed as ready once stays so.
func (f *fleet) watch() *watcher {
	ctx, stop := context.WithCancel(context.Background())
	w := &watcher{stop: stop, wrong: map[string]int{}}
	ready := map[string]bool{}
	w.done.Go(func() {
		for ctx.Err() == nil {
			var rows []api.Tenant
			out, err := try(30*time.Second, f.dir, f.env, f.as, "get", "tenants", "-o", "json")
			if err == nil {
				err = json.Unmarshal([]byte(out), &rows)
			}
			w.mu.Lock()
			w.looks++
			if err != nil {
				w.wrong["not answered: "+err.Error()]++
			}
			for _, r := range rows {
				bad := unready(r)
				switch {
				case bad == "":
					ready[r.ID] = true
				case !ready[r.ID]:
				case onlyStreams(r) && f.someOld():
					// A leader of v0.1.0 says so when its term begins, until it has looked.
					w.excused++
				default:
					w.wrong[r.ID+": "+bad]++
				}
			}
			w.mu.Unlock()
			time.Sleep(200 * time.Millisecond)
		}
	})
	return w
}

// unready names the conditions of a tenant that do not hold. A primary that is
// replaced reads nothing for that long.
func unready(r api.Tenant) string {
	var out []string
	for _, c := range r.Conditions {
		if !c.OK && c.Type != api.PrimaryReading {
			out = append(out, c.Type+": "+c.Message)
		}
	}
	return strings.Join(out, "; ")
}

// onlyStreams reports whether nothing but StreamsReady does not hold.
func onlyStreams(r api.Tenant) bool {
	for _, c := range r.Conditions {
		if !c.OK && c.Type != api.PrimaryReading && c.Type != api.StreamsReady {
			return false
		}
	}
	return true
}

func (w *watcher) close(t *testing.T) {
	t.Helper()
	w.stop()
	w.done.Wait()
	t.Logf("looked at the tenants %d times; %d times a new leader of the older version had not looked yet", w.looks, w.excused)
	for what, n := range w.wrong {
		t.Errorf("seen %d times: %s", n, what)
	}
}

const tcpCheck = `{name: nats, collector: tcp, interval: 10s, timeout: 2s, params: {port: "4222"}}`

// TestUpgrade replaces a deployment of the release before, process by process,
// under load: nothing acknowledged is lost, no tenant's door closes, and every
// step can be taken back until the upgrade is ended.
func TestUpgrade(t *testing.T) {
	f := newFleet(t)
	f.up(t)
	began := time.Now()
	s := &story{world: f, root: t, cafile: f.ca(t)}
	s.everythingUp(t, began)
	feed := as(t, f, s.cafile, "acme", "gate", f.user(t, "acme", "producer", "gate"), f.servers())
	defer feed.nc.Close()
	for i := range 4 {
		s.stiles = append(s.stiles, &turnstile{user: feed, entity: fmt.Sprintf("gate-%d", i+1), pause: 20 * time.Millisecond})
	}
	g := open(s.stiles)
	defer g.stop()
	w := f.watch()
	defer w.stop()

	// A newer poller and a newer primary work with the older nodes.
	f.replace(t, "acme", f.as)
	f.replace(t, "primary", f.as)
	s.seen(t)

	// And the older ones with newer nodes, one after the other.
	f.replace(t, "primary", f.old)
	f.replace(t, "acme", f.old)
	f.replace(t, "n1", f.as)
	if err := f.apply(t, f.old, "midway", tcpCheck); err != nil {
		t.Error(err)
	}
	s.seen(t)
	f.behind(t, "node n2", "node n3", "primary primary-1")
	f.mayNotFinish(t)
	f.replace(t, "n2", f.as)
	f.replace(t, "n3", f.as)
	s.seen(t)
	f.replace(t, "n2", f.old) // one goes back
	s.seen(t)
	f.behind(t, "node n2", "primary primary-1")
	f.replace(t, "n2", f.as)
	f.replace(t, "primary", f.as)
	f.behind(t)
	f.replace(t, "primary", f.old) // it may go back, too, and counts as what it is
	f.behind(t, "primary primary-1")
	f.replace(t, "primary", f.as)
	f.replace(t, "acme", f.as)
	f.replace(t, "globex", f.as)
	s.seen(t)

	// All are new: what is new is used when an operator ends the upgrade.
	f.behind(t)
	if u := f.upgrade(t); !u.Open || !u.Ready || len(u.Level.Types) != 0 {
		t.Errorf("before it is ended: %+v", u)
	}
	if status := f.now(t, "status"); !strings.Contains(status, string(api.CodeUpgradeOpen)) {
		t.Errorf("the status does not say that the upgrade is open:\n%s", status)
	}
	f.publishes(t, feed, false)
	f.now(t, f.printed(t, "upgrade", "finish", "--yes")...)
	f.publishes(t, feed, true)
	eventually(t, time.Minute, "all pollers have reported that they are new", func() error {
		if u := f.upgrade(t); u.Open || len(u.Level.Types) == 0 || u.OldPollers != 0 {
			return fmt.Errorf("%+v", u)
		}
		return nil
	})
	s.seen(t)
	w.close(t)
	g.close(t)
	eventually(t, 3*time.Minute, "the primary shows everything that was acknowledged", func() error { return exactlyOnce(f, s.stiles) })
	all, single := gaps(s.stiles)
	t.Logf("%d acknowledged, 0 lost, 0 doubled, 0 out of order; longest gap %s, of one entity %s", total(s.stiles), all.Round(10*time.Millisecond), single.Round(10*time.Millisecond))
	s.noAlarm(t)
}

// seen waits until all devices were seen after this moment.
func (s *story) seen(t *testing.T) {
	t.Helper()
	s.everythingUp(t, time.Now())
}

func (f *fleet) upgrade(t *testing.T) (u api.Upgrade) {
	t.Helper()
	if err := json.Unmarshal([]byte(f.now(t, append(f.printed(t, "upgrade", "status"), "-o", "json")...)), &u); err != nil {
		t.Fatal(err)
	}
	return u
}

// behind waits until exactly these programs hold the upgrade up.
func (f *fleet) behind(t *testing.T, want ...string) {
	t.Helper()
	eventually(t, 4*time.Minute, "what is behind is "+strings.Join(want, ", "), func() error {
		if u := f.upgrade(t); !slices.Equal(u.Behind, want) {
			return fmt.Errorf("%+v", u)
		}
		return nil
	})
}

func (f *fleet) mayNotFinish(t *testing.T) {
	t.Helper()
	if out, err := try(30*time.Second, f.dir, f.env, f.as, "upgrade", "finish", "--yes"); err == nil || !strings.Contains(err.Error(), "node n2") {
		t.Errorf("the upgrade is ended while nodes are old: %v %s", err, out)
	}
}

// publishes waits until the doors take, or refuse, what only the new version of a
// type allows: reachability by a collector that the version before does not have.
func (f *fleet) publishes(t *testing.T, u *user, want bool) {
	t.Helper()
	eventually(t, time.Minute, fmt.Sprintf("what is new is taken: %v", want), func() error {
		ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
		defer stop()
		_, err := u.js.Publish(ctx, "in."+u.name+".state.name-server.net.reachability.v1", []byte(`{"device":"name-server","status":"up","method":"dns"}`))
		if (err == nil) != want {
			return fmt.Errorf("the answer: %w", err)
		}
		return nil
	})
}
