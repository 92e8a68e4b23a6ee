//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"midplane/api"
)

// The devices of deploy/compose/tenants.
var devices = map[string][]string{
	"acme":   {"this-host", "n1", "n2", "poller-page"},
	"globex": {"this-host", "n3"},
}

// atMost is how long a world may take for the whole story.
const atMost = 6 * time.Minute

// story is what one chapter leaves to the next.
type story struct {
	world
	root   *testing.T
	cafile string
	victim string // the node that died
	stiles []*turnstile
}

// tell runs the story in a world: each chapter goes on where the last ended.
func tell(t *testing.T, w world) {
	began := time.Now()
	s := &story{world: w, root: t}
	for _, chapter := range []struct {
		name string
		tell func(*testing.T)
	}{
		{"what the pollers of both tenants see arrives", s.arrives},
		{"no tenant sees or touches another", s.separate},
		{"the page asks who you are", s.guarded},
		{"a node dies while producers publish", s.dies},
		{"the node comes back and catches up", s.returns},
		{"everything stops, starts again and goes on", s.goesOn},
	} {
		at := time.Now()
		if !t.Run(strings.ReplaceAll(chapter.name, " ", "-"), chapter.tell) {
			t.FailNow()
		}
		t.Logf("%s: %s", chapter.name, time.Since(at).Round(100*time.Millisecond))
	}
	if took := time.Since(began); took > atMost {
		t.Errorf("the whole story took %s, want at most %s", took.Round(time.Second), atMost)
	} else {
		t.Logf("the whole story: %s", took.Round(100*time.Millisecond))
	}
}

func (s *story) arrives(t *testing.T) {
	began := time.Now()
	s.up(t)
	t.Logf("started and set up in %s", time.Since(began).Round(100*time.Millisecond))
	s.everythingUp(t, began)
	t.Logf("all devices of both tenants up after %s", time.Since(began).Round(100*time.Millisecond))
	s.cafile = s.ca(t)

	// The command line says what the page says.
	var rows []api.Device
	if err := json.Unmarshal([]byte(s.midplane(t, "get", "devices", "--tenant", "globex", "-o", "json")), &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(devices["globex"]) || rows[0].Tenant != "globex" {
		t.Errorf("get devices --tenant globex: %+v", rows)
	}
}

// everythingUp waits until every device is up, and seen after a moment.
func (s *story) everythingUp(t *testing.T, after time.Time) {
	t.Helper()
	for tenant, names := range devices {
		eventually(t, 3*time.Minute, "the devices of "+tenant+" are up", func() error { return allUp(s, tenant, after, names...) })
	}
}

func (s *story) dies(t *testing.T) {
	var err error
	eventually(t, 20*time.Second, "acme's EVENTS has a leader", func() error {
		s.victim, err = leader(s, "acme", "EVENTS")
		return err
	})
	// One producer's connection dies with the node, the other's does not.
	on, beside := rotate(s.servers(), s.victim)
	north := as(t, s, s.cafile, "acme", "gate-north", s.user(t, "acme", "producer", "gate-north"), on)
	south := as(t, s, s.cafile, "acme", "gate-south", s.user(t, "acme", "producer", "gate-south"), beside)
	for _, u := range []*user{north, south} {
		s.root.Cleanup(u.nc.Close) // they go on after the restart
		for i := range 4 {
			s.stiles = append(s.stiles, &turnstile{user: u, entity: fmt.Sprintf("%s-%d", u.name, i+1), pause: 10 * time.Millisecond})
		}
	}
	g := open(s.stiles)
	defer g.stop()
	advance(t, time.Minute, s.stiles, 100)
	before := total(s.stiles)
	s.kill(t, s.victim)
	at := time.Now()
	advance(t, time.Minute, s.stiles, 100)
	t.Logf("%s, which led acme's EVENTS, was killed after %d acknowledgements; all turnstiles go on after %s", s.victim, before, time.Since(at).Round(100*time.Millisecond))
	s.seesIt(t)
	g.close(t)
	all, single := gaps(s.stiles)
	t.Logf("longest gap between two acknowledgements: %s; of a single turnstile: %s", all.Round(10*time.Millisecond), single.Round(10*time.Millisecond))
	took := eventually(t, 3*time.Minute, "the primary shows everything that was acknowledged", func() error { return exactlyOnce(s, s.stiles) })
	t.Logf("%d acknowledged, 0 lost, 0 doubled, 0 out of order (the primary had all after %s)", total(s.stiles), took.Round(10*time.Millisecond))
	if single > 20*time.Second {
		t.Errorf("a gap of %s, want at most 20s", single)
	}
}

// seesIt waits until the check of the dead node fails in the primary: "critical",
// or "unknown" where its name is gone with its container. The status names it.
func (s *story) seesIt(t *testing.T) {
	t.Helper()
	tenant := "acme"
	if s.victim == "n3" {
		tenant = "globex"
	}
	took := eventually(t, 90*time.Second, "the dead node's check fails", func() error {
		rows, err := list[api.Check](s, "checks", "tenant="+tenant)
		for _, c := range rows {
			if c.Device == s.victim && c.Name == "nats" && c.Status != "ok" {
				return nil
			}
		}
		return fmt.Errorf("of %s/%s it does not: %v", tenant, s.victim, err)
	})
	t.Logf("the primary shows that %s's poller does not reach it after another %s", tenant, took.Round(100*time.Millisecond))
	// Until STATUS has a leader again, the node that answers has no quorum and says so
	// instead.
	eventually(t, time.Minute, "the status names the dead node", func() error {
		status := s.midplane(t, "status", "-o", "json")
		if want := "node " + s.victim + " is not live"; !strings.Contains(status, want) {
			return fmt.Errorf("it does not say %q:\n%s", want, status)
		}
		return nil
	})
}

func (s *story) returns(t *testing.T) {
	began := time.Now()
	s.start(t, s.victim)
	for tenant := range devices {
		eventually(t, 90*time.Second, "every replica of "+tenant+" is current", func() error { return current(s, tenant) })
	}
	t.Logf("%s is back and every replica current after %s", s.victim, time.Since(began).Round(100*time.Millisecond))
	s.everythingUp(t, began)
	s.noAlarm(t)
}

// noAlarm checks that no reader has found a message to be missing.
func (s *story) noAlarm(t *testing.T) {
	t.Helper()
	for tenant := range devices {
		rows, err := list[api.Event](s, "events", "tenant="+tenant, "type=midplane.alarm.raised")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			t.Errorf("alarm of %s: %s", tenant, r.Message)
		}
	}
}

func (s *story) goesOn(t *testing.T) {
	before := map[string][]api.Event{}
	var err error
	began := time.Now()
	s.down(t)
	stopped := time.Since(began).Round(100 * time.Millisecond)
	began = time.Now()
	s.up(t)
	started := time.Since(began).Round(100 * time.Millisecond)
	s.everythingUp(t, began)
	t.Logf("stopped in %s, started in %s, all devices seen again after %s", stopped, started, time.Since(began).Round(100*time.Millisecond))
	for tenant := range devices {
		eventually(t, 3*time.Minute, "every replica of "+tenant+" is current", func() error { return current(s, tenant) })
		if before[tenant], err = list[api.Event](s, "events", "tenant="+tenant); err != nil {
			t.Fatal(err)
		}
	}
	if err := exactlyOnce(s, s.stiles); err != nil {
		t.Fatalf("after the restart: %v", err)
	}
	// The producers' connections have come back by themselves.
	g := open(s.stiles)
	defer g.stop()
	advance(t, time.Minute, s.stiles, 50)
	g.close(t)
	eventually(t, 3*time.Minute, "the primary shows what was published after the restart, too", func() error { return exactlyOnce(s, s.stiles) })
	for tenant, rows := range before {
		unique := map[string]bool{}
		for _, r := range rows {
			if unique[r.ID] {
				t.Errorf("event %s of %s is there twice", r.ID, tenant)
			}
			unique[r.ID] = true
		}
	}
	s.noAlarm(t)
}

// rotate returns the servers with node's first, and with it last.
func rotate(servers []string, node string) (first, last []string) {
	var of string
	for i, n := range nodes {
		if n == node {
			of = servers[i]
		} else {
			last = append(last, servers[i])
		}
	}
	return append([]string{of}, last...), append(last, of)
}

func total(stiles []*turnstile) (n int) {
	for _, s := range stiles {
		n += s.count()
	}
	return n
}
