package crash

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testwait"
	"midplane/platform/deployment"
	"midplane/primary"
	"midplane/telemetry"
	"midplane/tenants/account"
)

var silenceRounds = flag.Int("silence-rounds", 3, "how often a node is killed, each in its turn")

// mostSilent is how long a primary may read nothing of what waits for it: 10 seconds
// are aimed at, and as much again is room for a machine that is busy. A consumer
// that was made under one name on a dead node was silent for 24 to 100.
const mostSilent = 20 * time.Second

// TestPrimaryReadsOnAtEveryKill kills each node in its turn, while three streams are
// written to. Of none of them the primary is silent for long, and in the end it has
// all that was acknowledged.
func TestPrimaryReadsOnAtEveryKill(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Duration(*silenceRounds)*2*time.Minute)
	defer cancel()
	s := start(ctx, t)
	s.Kill("primary") // the test has its own, whose cursors it can look at without a node
	prim := s.ownPrimary(ctx, t)
	f := &flow{acked: map[string]uint64{}}
	w := newWitness(t, s.Deployment, s.creds[witnessUser])
	sending, finish := context.WithCancel(ctx)
	defer finish()
	var running sync.WaitGroup
	running.Go(func() { w.run(sending) })
	running.Go(func() { f.send(sending, w.js, event.StreamMetrics, metric) })
	running.Go(func() { f.send(sending, w.js, event.StreamState, reachability) })
	looking, stop := context.WithCancel(ctx)
	defer stop()
	var looks sync.WaitGroup
	looks.Go(func() { f.look(looking, prim) })

	testwait.True(t, "the primary reads", func() bool { return f.caughtUp(event.StreamMetrics) && f.caughtUp(event.StreamState) })
	f.worst() // what the start took does not count
	longest := time.Duration(0)
	for round := range *silenceRounds {
		name := s.Nodes[round%len(s.Nodes)]
		s.Kill(name)
		select { // what follows a kill is over by then, or the silence is too long anyway
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		case <-time.After(mostSilent):
		}
		if _, err := s.StartNode(name); err != nil {
			t.Fatal(err)
		}
		if err := s.soon(ctx, func(ctx context.Context) error { _, err := s.Run(ctx, "status", "--check"); return err }); err != nil {
			t.Fatalf("after %s came back: %v", name, err)
		}
		waited, where, refused := f.worst()
		t.Logf("round %d, %s killed: the primary was silent for at most %.1f s (%s); a publish took at most %.1f s", round+1, name, waited.Seconds(), where, refused.Seconds())
		longest = max(longest, waited)
	}
	if longest > mostSilent {
		t.Errorf("the primary was silent for %s", longest)
	}
	finish()
	running.Wait()
	for _, stream := range []string{event.StreamMetrics, event.StreamState} {
		testwait.True(t, "the primary has all of "+stream, func() bool { return f.caughtUp(stream) })
	}
	if f.err != nil {
		t.Fatal(f.err)
	}
	var rows []api.Event
	testwait.Until(t, "the primary has all events", func() (err error) {
		rows, err = eventsOf(ctx, prim)
		if have := count(rows, witnessUser); err == nil && have < w.total() {
			err = fmt.Errorf("%d of %d", have, w.total())
		}
		return err
	})
	t.Logf("%d kills: silent for at most %.1f s; %d events, all of them read", *silenceRounds, longest.Seconds(), w.check(t, rows))
}

// ownPrimary runs a primary in this process until the test ends.
func (s *system) ownPrimary(ctx context.Context, t *testing.T) *primary.Primary {
	t.Helper()
	prim, err := primary.New(primary.Config{Name: s.Primary, Dir: filepath.Join(s.Dir, "own-primary"), Servers: s.Servers, CAFile: s.CA(),
		CoreCreds: deployment.PrimaryCreds(s.Folder, account.RoleCore), QueryCreds: deployment.PrimaryCreds(s.Folder, account.RoleQuery)}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- prim.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if err := prim.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return prim
}

func eventsOf(ctx context.Context, prim *primary.Primary) (rows []api.Event, err error) {
	for after := ""; ; {
		var page api.Page[api.Event]
		if err := prim.Query(ctx, api.EventList, api.EventRequest{Tenant: tenant, After: after, Limit: 1000}, &page); err != nil {
			return nil, err
		}
		rows = append(rows, page.Items...)
		if after = page.Next; after == "" {
			return rows, nil
		}
	}
}

// flow is what was acknowledged of streams, and how the primary followed.
type flow struct {
	mu      sync.Mutex
	acked   map[string]uint64 // the last acknowledged sequence
	read    map[string]uint64 // the primary's cursor
	waiting map[string]time.Time
	silent  time.Duration // the longest time that something waited and nothing was read
	where   string
	refused time.Duration // the longest time that a publish took
	err     error
}

// send publishes until ctx ends, each message until it is acknowledged.
func (f *flow) send(ctx context.Context, js jetstream.JetStream, stream string, make func(n int) *nats.Msg) {
	for n := 0; ctx.Err() == nil; n++ {
		began := time.Now()
		for {
			try, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
			ack, err := js.PublishMsg(try, make(n))
			cancel()
			f.mu.Lock()
			f.refused = max(f.refused, time.Since(began))
			if err == nil {
				f.acked[stream] = max(f.acked[stream], ack.Sequence)
			} else if time.Since(began) > time.Minute {
				f.err = fmt.Errorf("%s: %w", stream, err)
			}
			failed := f.err != nil
			f.mu.Unlock()
			if failed {
				return
			}
			if err == nil {
				break
			}
			time.Sleep(50 * time.Millisecond) // before the retry
		}
		time.Sleep(witnessPause)
	}
}

// look follows the primary's cursors until ctx ends.
func (f *flow) look(ctx context.Context, prim *primary.Primary) {
	f.mu.Lock()
	f.read, f.waiting = map[string]uint64{}, map[string]time.Time{}
	f.mu.Unlock()
	for ctx.Err() == nil {
		var report api.PrimaryReport
		if prim.Query(ctx, api.PrimaryStatus, struct{}{}, &report) == nil {
			f.note(report, time.Now())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (f *flow) note(report api.PrimaryReport, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range report.Tenants {
		for _, s := range t.Streams {
			moved := s.Cursor != f.read[s.Stream]
			f.read[s.Stream] = s.Cursor
			since, waits := f.waiting[s.Stream]
			if waits && now.Sub(since) > f.silent {
				f.silent, f.where = now.Sub(since), s.Stream
			}
			switch {
			case s.Cursor >= f.acked[s.Stream]:
				delete(f.waiting, s.Stream)
			case moved || !waits:
				f.waiting[s.Stream] = now
			}
		}
	}
}

func (f *flow) caughtUp(stream string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err != nil || f.acked[stream] > 0 && f.read[stream] >= f.acked[stream]
}

// worst returns the longest silence and the longest publish since it was called before.
func (f *flow) worst() (silent time.Duration, where string, refused time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	silent, where, refused = f.silent, f.where, f.refused
	f.silent, f.where, f.refused = 0, "", 0
	return silent, where, refused
}

func reachability(n int) *nats.Msg {
	return &nats.Msg{Subject: fmt.Sprintf("in.%s.state.w%d.%s", witnessUser, n%20, event.TypeReachability),
		Header: nats.Header{event.HeaderMsgID: {fmt.Sprintf("%s/reach/%d", witnessUser, n)}},
		Data:   fmt.Appendf(nil, `{"device":"w%d","status":"up","method":"ping"}`, n%20)}
}
