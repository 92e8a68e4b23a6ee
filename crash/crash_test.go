package crash

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"midplane/api"
	"midplane/internal/testcluster"
)

var (
	killRounds = flag.Int("kill-rounds", 50, "how often a process is killed")
	killSeed   = flag.Uint64("kill-seed", 0, "seed of the moments; 0 takes a random one")
)

const (
	tenant     = "acme"
	pollerUser = "syd-01"
	inspector  = "judge"
	devices    = 12
	perDevice  = 4 // checks
)

// spec is the tenant's file: one site, its poller, and devices with as many
// checks as a second takes.
func spec(f *testcluster.Flapping) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: midplane/v1\nkind: Tenant\nid: %s\nname: Acme\nquota: {messageRate: 20000, storage: 1GiB}\nsites:\n  - id: syd\n    name: Sydney\n    pollers: [{id: %s}]\n    devices:\n", tenant, pollerUser)
	for d := range devices {
		fmt.Fprintf(&b, "      - id: r%d\n        name: Router %d\n        address: 127.0.0.1\n        checks:\n", d, d)
		for c := range perDevice {
			fmt.Fprintf(&b, "          - {name: web-%d, collector: http, interval: 1s, timeout: 1s, params: {url: \"%s/r%d/%d\"}}\n", c, f.URL, d, c)
		}
	}
	return b.String()
}

// system is everything that runs.
type system struct {
	*testcluster.Deployment
	flap  *testcluster.Flapping
	creds map[string]string
}

// deploy starts three nodes and a primary until the test ends.
func deploy(ctx context.Context, t *testing.T) *testcluster.Deployment {
	t.Helper()
	dir, err := os.MkdirTemp("", "midplane-crash-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return deployIn(ctx, t, dir)
}

// deployIn is deploy with the files of everything in dir.
func deployIn(ctx context.Context, t *testing.T, dir string) *testcluster.Deployment {
	t.Helper()
	bin, err := testcluster.Build(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	m := testcluster.NewMachine(bin, dir)
	t.Cleanup(m.StopAll)
	d, err := testcluster.NewDeployment(ctx, m)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Up(ctx); err != nil {
		t.Fatalf("%v\n%s", err, m.Log("n1"))
	}
	return d
}

func start(ctx context.Context, t *testing.T) *system {
	t.Helper()
	d := deploy(ctx, t)
	s := &system{Deployment: d, flap: testcluster.NewFlapping(t), creds: map[string]string{}}
	file := filepath.Join(d.Dir, tenant+".yaml")
	if err := os.WriteFile(file, []byte(spec(s.flap)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Run(ctx, "apply", "-f", file); err != nil {
		t.Fatalf("%v\n%s", err, d.Log("n1"))
	}
	for user, role := range map[string]string{pollerUser: "poller", witnessUser: "producer", inspector: "inspector"} {
		s.creds[user] = filepath.Join(d.Dir, user+".creds")
		if _, err := d.Run(ctx, "user", "create", "--tenant", tenant, "--role", role, user, "--out", s.creds[user]); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *system) outboxDir() string { return filepath.Join(s.Dir, "data-poller") }

func (s *system) run(t *testing.T, name string) *testcluster.Process {
	t.Helper()
	var p *testcluster.Process
	var err error
	if name == "primary" {
		p, err = s.StartPrimary()
	} else {
		p, err = s.Start(name, "poller", "--creds", s.creds[pollerUser], "--server", strings.Join(s.Servers, ","), "--ca", s.CA(),
			"--data", s.outboxDir(), "--http", "127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// killing kills the primary, the poller, or both, at random moments: soon after
// a start as well as in the middle of work.
func (s *system) killing(ctx context.Context, t *testing.T, random *rand.Rand) {
	t.Helper()
	for round := range *killRounds {
		// Half of the time while it is still getting up, half of the time at work.
		var wait time.Duration
		if random.IntN(2) == 0 {
			wait = 600*time.Millisecond + time.Duration(random.Int64N(int64(2*time.Second)))
		} else {
			wait = time.Duration(random.Int64N(int64(600 * time.Millisecond)))
		}
		select {
		case <-ctx.Done():
			t.Fatalf("round %d: %v", round, ctx.Err())
		case <-time.After(wait):
		}
		victims := [][]string{{"primary"}, {"poller"}, {"primary"}, {"poller"}, {"primary", "poller"}}[random.IntN(5)]
		for _, v := range victims {
			s.Kill(v)
		}
		time.Sleep(time.Duration(random.Int64N(int64(300 * time.Millisecond)))) // how long it is away
		for _, v := range victims {
			s.run(t, v)
		}
	}
}

// settle stops the flapping and returns the outbox once it holds nothing that
// is not acknowledged.
func (s *system) settle(ctx context.Context, t *testing.T, p *testcluster.Process) outbox {
	t.Helper()
	s.flap.Steady.Store(true)
	for {
		// Every check has run once more, and what changed by it was sent.
		if err := s.soon(ctx, s.healthy); err != nil {
			t.Fatalf("%v\nprimary:\n%s\npoller:\n%s", err, s.Log("primary"), s.Log("poller"))
		}
		p.Stop()
		o, err := readOutbox(ctx, s.outboxDir())
		if err != nil {
			t.Fatal(err)
		}
		if o.waiting == 0 {
			return o
		}
		p = s.run(t, "poller")
	}
}

// soon repeats f until it succeeds, for a minute.
func (s *system) soon(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return s.Await(ctx, f)
}

// healthy reports an error until every check is ok in the primary.
func (s *system) healthy(ctx context.Context) error {
	var checks []api.Check
	if err := s.Get(ctx, &checks, "checks", "--tenant", tenant); err != nil {
		return err
	}
	if len(checks) != devices*perDevice {
		return fmt.Errorf("%d checks of %d", len(checks), devices*perDevice)
	}
	for _, c := range checks {
		if c.Status != "ok" {
			return fmt.Errorf("%s is %s: %s", c.ID, c.Status, c.Message)
		}
	}
	return nil
}

func (s *system) events(ctx context.Context) (rows []api.Event, err error) {
	return rows, s.Get(ctx, &rows, "events", "--tenant", tenant, "--limit", "0")
}

// TestEveryEventExactlyOnceUnderKills kills the primary and the poller at random
// moments while data flows. Then every event that the poller's outbox ever
// committed, and every event that a stock producer was told is stored, is in
// the primary exactly once; nothing raised an alarm, and every check shows its
// latest state.
func TestEveryEventExactlyOnceUnderKills(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	seed := *killSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-kill-rounds %d -kill-seed %d", *killRounds, seed)
	s := start(ctx, t)
	s.run(t, "poller")
	w := newWitness(t, s.Deployment, s.creds[witnessUser])
	wctx, finish := context.WithCancel(ctx)
	defer finish()
	witnessed := make(chan struct{})
	go func() { defer close(witnessed); w.run(wctx) }()

	began := time.Now()
	s.killing(ctx, t, rand.New(rand.NewPCG(seed, 1)))
	killed := time.Since(began)
	finish()
	<-witnessed
	s.Kill("poller")
	o := s.settle(ctx, t, s.run(t, "poller"))
	if int(o.last) < *killRounds*10 {
		t.Fatalf("the poller committed %d events only: nothing was proved", o.last)
	}
	in := readStream(ctx, t, s.Deployment, s.creds[inspector], o)
	in.check(t, o)
	var rows []api.Event
	if err := s.soon(ctx, func(ctx context.Context) (err error) {
		if rows, err = s.events(ctx); err != nil {
			return err
		}
		if have := count(rows, o.producer); have < len(in.times)-len(in.ledger) {
			return fmt.Errorf("the primary has %d events of the poller, the stream %d", have, len(in.times)-len(in.ledger))
		}
		return nil
	}); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	polled := in.checkPrimary(t, o, rows)
	seen := w.check(t, rows)
	t.Logf("%d kills in %s; %d events of the poller (and %d ledger messages), %d of the witness, every one exactly once",
		*killRounds, killed.Round(time.Second), polled, len(in.ledger), seen)
	if t.Failed() {
		t.Logf("primary:\n%s\npoller:\n%s", s.Log("primary"), s.Log("poller"))
	}
}

func count(rows []api.Event, producer string) (n int) {
	for _, r := range rows {
		if r.Producer == producer {
			n++
		}
	}
	return n
}
