package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"

	"midplane/event"
	"midplane/fault"
	"midplane/telemetry"
)

const producer = "syd-01"

// opened opens an outbox in dir and runs it; stop ends Run and fails the test
// when it ended with an error.
func opened(t testing.TB, cfg Config) (o *Outbox, stop func()) {
	t.Helper()
	if cfg.Producer == "" {
		cfg.Producer = producer
	}
	if cfg.BallastBytes == 0 {
		cfg.BallastBytes = -1
	}
	if cfg.LedgerAfter == 0 {
		cfg.LedgerAfter = time.Hour // tests that want one say so
	}
	o, err := Open(context.Background(), cfg, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return o, running(t, o)
}

func running(t testing.TB, o *Outbox) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- o.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func state(ent, data string) event.Event {
	return event.Event{Kind: event.KindState, Entity: event.Entity(ent), Type: "net.test.v1", Data: json.RawMessage(data)}
}

func happened(ent, data string) event.Event {
	return event.Event{Kind: event.KindEvent, Severity: event.Info, Entity: event.Entity(ent), Type: "net.test.changed.v1", Data: json.RawMessage(data)}
}

func sample(ent, data string) event.Event {
	return event.Event{Kind: event.KindMetric, Entity: event.Entity(ent), Type: "net.test.sample.v1", Data: json.RawMessage(data)}
}

func put(t testing.TB, o *Outbox, e ...event.Event) {
	t.Helper()
	if err := o.Put(context.Background(), e...); err != nil {
		t.Fatal(err)
	}
}

// next returns what may be sent now, at most most; none within the time is none.
func next(t testing.TB, o *Outbox, most int) []event.Event {
	t.Helper()
	out, missing, _ := o.queue.take(time.Now(), most)
	if err := o.db.payloads(context.Background(), out, missing); err != nil {
		t.Fatal(err)
	}
	return out
}

func names(events []event.Event) string {
	var s []string
	for _, e := range events {
		s = append(s, fmt.Sprintf("%s/%d:%s", e.Kind, e.Sequence, e.Entity))
	}
	return strings.Join(s, " ")
}

// TestOrder: lanes by priority, one message of an entity at a time, in order.
func TestOrder(t *testing.T) {
	o, _ := opened(t, Config{Path: filepath.Join(t.TempDir(), "o.db")})
	put(t, o, sample("a", "1"), state("b", "1"), happened("a", "1"), happened("a", "2"), state("a", "1"), state("b", "2"))
	first := next(t, o, 100)
	if got := names(first); got != "event/1:a state/1:b" {
		t.Fatal(got)
	}
	if got := names(next(t, o, 100)); got != "" {
		t.Fatalf("a second message of a busy entity: %s", got)
	}
	o.Ack(&first[0])
	o.Ack(&first[0]) // twice is once
	second := next(t, o, 100)
	if got := names(second); got != "event/2:a" {
		t.Fatal(got)
	}
	o.Postpone(&second[0]) // EVENTS is full: other streams go on, the event's successors wait
	third := next(t, o, 1)
	if got := names(third); got != "state/2:a" {
		t.Fatal(got)
	}
	if s := o.Stats(); s.Depth != 5 || s.InFlight != 2 || s.Oldest < 0 || s.Epoch != o.Epoch() {
		t.Fatalf("%+v", s)
	}
}

// TestIdentity: ids, sequences, trace headers and times, also after reading them back.
func TestIdentity(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	o, stop := opened(t, Config{Path: path})
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	at := time.Date(2024, 2, 3, 4, 5, 6, 789, time.UTC)
	e := happened("r1/if/2", `{"a":"ü"}`)
	e.Time = at
	if err := o.Put(trace.ContextWithSpanContext(context.Background(), sc), e); err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprintf("syd-01/%d/EVENTS/1", o.Epoch())
	want := e
	want.ID, want.MsgID, want.Epoch, want.Sequence = id, id, o.Epoch(), 1
	want.TraceParent = "00-01000000000000000000000000000000-0200000000000000-01"
	fresh := next(t, o, 1)
	if d := cmp.Diff([]event.Event{want}, fresh); d != "" {
		t.Fatal(d)
	}
	epoch := o.Epoch()
	stop()
	o, _ = opened(t, Config{Path: path})
	if d := cmp.Diff([]event.Event{want}, next(t, o, 1)); d != "" {
		t.Fatalf("read back: %s", d)
	}
	if o.Epoch() != epoch {
		t.Fatal("the epoch changed with a restart")
	}
}

// TestSequenceSurvives: no sequence is used twice, also when every row is gone.
func TestSequenceSurvives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	for round := uint64(1); round <= 3; round++ {
		o, stop := opened(t, Config{Path: path})
		put(t, o, state("a", "1"))
		got := next(t, o, 10)
		if len(got) != 1 || got[0].Sequence != round || got[0].Low != round-1 {
			t.Fatalf("round %d: %s, low %d", round, names(got), got[0].Low)
		}
		o.Ack(&got[0])
		stop()
	}
}

// TestDerive: what follows from a state is committed with it, against the last
// state, also across a restart and within one call.
func TestDerive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	derive := func(prev *event.Event, next event.Event) []event.Event {
		from := `"none"`
		if prev != nil {
			from = string(prev.Data)
		}
		if from == string(next.Data) {
			return nil
		}
		if string(next.Data) == `"bad"` {
			return []event.Event{{Kind: "nonsense"}}
		}
		return []event.Event{happened(string(next.Entity), fmt.Sprintf("[%s,%s]", from, next.Data))}
	}
	o, stop := opened(t, Config{Path: path, Derive: derive})
	put(t, o, state("a", `"up"`), state("a", `"up"`), state("a", `"down"`))
	put(t, o, state("a", `"down"`), state("b", `"up"`))
	if err := o.Put(context.Background(), state("c", `"up"`), state("a", `"bad"`)); !fault.Is(err, fault.Invalid) {
		t.Fatalf("a derived event that cannot be: %v", err)
	}
	stop()
	o, _ = opened(t, Config{Path: path, Derive: derive})
	put(t, o, state("a", `"up"`), state("c", `"up"`))
	var got []string
	for {
		events := next(t, o, 100)
		if len(events) == 0 {
			break
		}
		for i := range events {
			if events[i].Kind == event.KindEvent {
				got = append(got, fmt.Sprintf("%d %s", events[i].Sequence, events[i].Data))
			}
			o.Ack(&events[i])
		}
	}
	want := []string{`1 ["none","up"]`, `3 ["none","up"]`, `5 ["none","up"]`, `2 ["up","down"]`, `4 ["down","up"]`}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
}

func TestPutRefuses(t *testing.T) {
	o, stop := opened(t, Config{Path: filepath.Join(t.TempDir(), "o.db")})
	noSeverity := happened("a", "1")
	noSeverity.Severity = ""
	badType := state("a", "1")
	badType.Type = "x"
	for _, e := range []event.Event{
		{Kind: event.KindDead, Entity: "a", Type: "x.v1", Data: json.RawMessage("1")},
		noSeverity, badType, state("", "1"), state("a", ""), state("a", "{"), state("a", `"`+strings.Repeat("x", 1<<20)+`"`),
	} {
		if err := o.Put(context.Background(), state("good", "1"), e); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s %s: %v", e.Kind, e.Type, err)
		}
	}
	if o.Stats().Depth != 0 {
		t.Error("half of a refused call was kept")
	}
	stop()
	if err := o.Put(context.Background(), state("a", "1")); !fault.Is(err, fault.Unavailable) {
		t.Errorf("after the end: %v", err)
	}
	if _, err := o.Next(context.Background(), 1); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Next after the end: %v", err)
	}
}

// TestGroupCommit: many callers share transactions, each hears of its own.
func TestGroupCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	o, stop := opened(t, Config{Path: path})
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for n := range 20 {
				ctx, cancel := context.WithCancel(context.Background())
				if n%7 == 3 {
					cancel() // may or may not be kept, must not hang
				}
				err := o.Put(ctx, state(fmt.Sprintf("e%d", i), fmt.Sprint(n)))
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	depth := o.Stats().Depth
	if depth < 32*17 || depth > 32*20 {
		t.Errorf("depth %d", depth)
	}
	stop()
	o, _ = opened(t, Config{Path: path})
	if got := o.Stats().Depth; got < depth {
		t.Errorf("%d before the restart, %d after", depth, got)
	}
}
