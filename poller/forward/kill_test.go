package forward

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"midplane/bus"
	"midplane/event"
	"midplane/poller/outbox"
	"midplane/poller/pollertest"
	"midplane/telemetry"
)

// The environment that makes the test binary a poller to be killed.
const (
	envPath  = "MIDPLANE_TEST_OUTBOX" // of the outbox
	envURL   = "MIDPLANE_TEST_URL"    // of the server
	envFirst = "MIDPLANE_TEST_FIRST"  // number of the first message, "" only drains
)

func TestMain(m *testing.M) {
	if os.Getenv(envPath) == "" {
		os.Exit(m.Run())
	}
	if err := victim(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// victim puts numbered states, each followed by a derived event of the same
// number, prints every number that Put promised to keep, and forwards, until it
// is killed. Draining, it ends when the outbox is empty.
func victim() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	o, err := outbox.Open(ctx, outbox.Config{
		Path: os.Getenv(envPath), Producer: "syd-01", BallastBytes: -1, LedgerAfter: 50 * time.Millisecond,
		Derive: func(_ *event.Event, next event.Event) []event.Event {
			e := pollertest.Message(event.KindEvent, string(next.Entity), 0)
			e.Data = next.Data
			return []event.Event{e}
		},
	}, telemetry.Nop())
	if err != nil {
		return err
	}
	nc, err := bus.Connect(bus.Config{Servers: []string{os.Getenv(envURL)}, User: "syd-01", Name: "victim", MaxWait: pollertest.Patience}, telemetry.Nop())
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() { ended <- o.Run(ctx) }()
	go func() { ended <- New(nc, "syd-01", o, fast(), telemetry.Nop()).Run(ctx) }()
	if os.Getenv(envFirst) == "" {
		for o.Stats().Depth > 0 || o.Low(event.KindState) == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
		<-ended
		return <-ended
	}
	first, err := strconv.Atoi(os.Getenv(envFirst))
	if err != nil {
		return err
	}
	const emitters = 8
	for g := range emitters {
		go func() {
			for n := first + g; ; n += emitters {
				if err := o.Put(ctx, pollertest.Message(event.KindState, fmt.Sprint("r", n%20), n)); err != nil {
					ended <- err
					return
				}
				fmt.Println(n)
			}
		}()
	}
	return <-ended
}

// start begins a victim; promised returns the numbers it printed, once it is gone.
func start(t *testing.T, path, url, first string) (cmd *exec.Cmd, promised func(upTo int) []int) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envPath+"="+path, envURL+"="+url, envFirst+"="+first)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	return cmd, func(upTo int) (got []int) {
		for len(got) < upTo && lines.Scan() {
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				break // torn by the kill
			}
			got = append(got, n)
		}
		return got
	}
}

// TestKill kills a poller at random moments, twenty times. Nothing that Put
// promised is lost, nothing is there twice, and a state is never there without
// the event that follows from it.
func TestKill(t *testing.T) {
	s := pollertest.Broker(t, t.TempDir(), -1)
	nc := pollertest.Connect(t, s.ClientURL(), "reader")
	js := pollertest.Streams(t, nc)
	path := pollertest.TempPath(t)
	promised := map[int]bool{}
	const rounds, span = 20, 1_000_000
	for round := range rounds {
		cmd, read := start(t, path, s.ClientURL(), strconv.Itoa(1+round*span))
		got := read(1 + rand.IntN(1500))
		time.Sleep(rand.N(5 * time.Millisecond)) // somewhere in between
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		got = append(got, read(1<<30)...)
		_ = cmd.Wait() // killed
		if len(got) == 0 {
			t.Fatalf("round %d promised nothing", round)
		}
		for _, n := range got {
			promised[n] = true
		}
	}
	cmd, read := start(t, path, s.ClientURL(), "")
	read(1)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("draining: %v", err)
	}
	seen := map[event.Kind]map[int]bool{}
	for _, k := range []event.Kind{event.KindState, event.KindEvent} {
		got := pollertest.Stored(t, js, k)
		checkStream(t, got, got[len(got)-1].Sequence)
		seen[k] = map[int]bool{}
		for _, e := range got {
			if e.Entity == outbox.LedgerEntity("syd-01") {
				var l event.Ledger
				if err := json.Unmarshal(e.Data, &l); err != nil || len(l.Tombstones) > 0 {
					t.Fatalf("ledger %s: %v", e.Data, err)
				}
				continue
			}
			n, err := strconv.Atoi(string(e.Data))
			if err != nil || seen[k][n] {
				t.Fatalf("%s is there twice (%v)", e.Data, err)
			}
			seen[k][n] = true
		}
	}
	for n := range promised {
		if !seen[event.KindState][n] || !seen[event.KindEvent][n] {
			t.Fatalf("%d was promised: state there: %v, event there: %v", n, seen[event.KindState][n], seen[event.KindEvent][n])
		}
	}
	for n := range seen[event.KindState] {
		if !seen[event.KindEvent][n] {
			t.Fatalf("the event that follows from state %d is not there", n)
		}
	}
	t.Logf("%d promised, %d stored, %d kills", len(promised), len(seen[event.KindState]), rounds)
}

// TestKillBetweenAnswerAndCommit kills a poller that has been answered and has not
// written it down, twenty times: what was said to be done with, by ce-low, is never
// sent again after it.
func TestKillBetweenAnswerAndCommit(t *testing.T) {
	s := pollertest.Broker(t, t.TempDir(), -1)
	var mu sync.Mutex
	low, again, arrived := map[event.Kind]uint64{}, 0, map[event.Kind]map[uint64]int{}
	pollertest.Ingress(t, pollertest.Connect(t, s.ClientURL(), "door"), func(_ string, e event.Event) string {
		mu.Lock()
		defer mu.Unlock()
		if e.Sequence <= low[e.Kind] {
			t.Errorf("%s %d is sent after a message that says all up to %d is done with", e.Kind.Stream(), e.Sequence, low[e.Kind])
		}
		low[e.Kind] = max(low[e.Kind], e.Low)
		if arrived[e.Kind] == nil {
			arrived[e.Kind] = map[uint64]int{}
		}
		if arrived[e.Kind][e.Sequence]++; arrived[e.Kind][e.Sequence] > 1 {
			again++
		}
		return pollertest.Ack(e)
	})
	path := pollertest.TempPath(t)
	const rounds, span = 20, 1_000_000
	for round := range rounds {
		cmd, read := start(t, path, s.ClientURL(), strconv.Itoa(1+round*span))
		read(1 + rand.IntN(800))
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		read(1 << 30)
		_ = cmd.Wait() // killed
	}
	cmd, read := start(t, path, s.ClientURL(), "")
	read(1)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("draining: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if again == 0 {
		t.Error("no kill came between an answer and its commit: this test shows nothing")
	}
	for k, seqs := range arrived {
		if uint64(len(seqs)) < low[k] || low[k] == 0 {
			t.Errorf("%s: %d of %d arrived", k.Stream(), len(seqs), low[k])
		}
	}
	t.Logf("%d messages arrived twice in %d kills", again, rounds)
}
