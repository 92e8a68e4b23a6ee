package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"midplane/event"
	"midplane/fault"
	"midplane/telemetry"
)

var kilo = `"` + strings.Repeat("x", 1000) + `"`

// waiting returns the sequences that wait in lane l.
func waiting(o *Outbox, l lane) (out []uint64) {
	o.queue.mu.Lock()
	defer o.queue.mu.Unlock()
	for r := o.queue.ix.lanes[l].first; r != nil; r = r.next {
		out = append(out, r.seq)
	}
	return out
}

// TestFullOrder: metrics go first, then superseded states, events last, and
// each is published as a tombstone in a ledger message.
func TestFullOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	o, stop := opened(t, Config{Path: path, MaxBytes: 512 << 10})
	ctx := context.Background()
	for i := range 60 {
		put(t, o, sample(fmt.Sprint("m", i), kilo), state(fmt.Sprint("s", i%30), kilo), happened(fmt.Sprint("e", i), kilo))
	}
	flying := next(t, o, 3) // events 1, 2, 3: they are never given up
	if names(flying) != "event/1:e0 event/2:e1 event/3:e2" {
		t.Fatal(names(flying))
	}
	full := func(l lane) bool { return len(waiting(o, l)) < 60 }
	for i := 0; !full(2); i++ {
		put(t, o, happened(fmt.Sprint("x", i), kilo))
	}
	if full(1) {
		t.Fatal("states went before metrics")
	}
	if m := waiting(o, 2); len(m) > 0 && m[0] == 1 {
		t.Fatalf("the oldest metric stayed: %v", m)
	}
	for i := 0; !full(1); i++ {
		put(t, o, happened(fmt.Sprint("y", i), kilo))
	}
	if m := waiting(o, 2); len(m) > 0 {
		t.Fatalf("states went while metrics waited: %v", m)
	}
	events := len(waiting(o, 0))
	for i := 0; len(waiting(o, 0)) >= events; i++ {
		events = len(waiting(o, 0))
		put(t, o, happened(fmt.Sprint("z", i), kilo))
	}
	s := waiting(o, 1)
	if len(s) != 30 || s[0] != 31 {
		t.Fatalf("events went while superseded states waited, or a newest state went: %v", s)
	}
	e := waiting(o, 0)
	if len(e) < 3 || e[0] != 1 || e[1] != 2 || e[2] != 3 || e[3] == 4 {
		t.Fatalf("what is on its way was given up, or the oldest stayed: %v", e)
	}
	given := o.Stats().GivenUp
	if given[ReasonFull] < 61 || given[ReasonSuperseded] != 30 {
		t.Fatalf("%v", given)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 512<<10 {
		t.Fatalf("%d bytes, at most %d allowed: %v", info.Size(), 512<<10, err)
	}
	// States that nothing supersedes are not given up: when only they are left, there is no room.
	var err error
	for i := 0; err == nil && i < 10_000; i++ {
		err = o.Put(ctx, state(fmt.Sprint("new", i), kilo))
	}
	if !fault.Is(err, fault.Exhausted) {
		t.Fatalf("an outbox full of newest states: %v", err)
	}
	depth := o.Stats().Depth
	for i := range flying {
		o.Ack(&flying[i])
	}
	stop()
	o, _ = opened(t, Config{Path: path, MaxBytes: 512 << 10})
	if got := o.Stats().Depth; got != depth-3 {
		t.Fatalf("%d waiting before the restart, %d after", depth-3, got)
	}
}

// TestAllThatIsGivenUpIsPublished: after a full outbox drained, every sequence was either sent or
// is in a tombstone, and low has reached the end.
func TestAllThatIsGivenUpIsPublished(t *testing.T) {
	o, _ := opened(t, Config{Path: filepath.Join(t.TempDir(), "o.db"), MaxBytes: minBytes, LedgerAfter: time.Millisecond})
	for i := range 600 {
		put(t, o, sample(fmt.Sprint("m", i%7), kilo))
	}
	const last = 600
	have := map[uint64]bool{}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for o.Low(event.KindMetric) < last {
		events, err := o.Next(ctx, 10)
		if err != nil {
			t.Fatal(err)
		}
		for i := range events {
			e := &events[i]
			have[e.Sequence] = true
			if e.Type == event.TypeLedgerMetric {
				var d event.Ledger
				if err := json.Unmarshal(e.Data, &d); err != nil {
					t.Fatal(err)
				}
				for _, tomb := range d.Tombstones {
					if tomb.Reason != ReasonFull || tomb.Epoch != o.Epoch() {
						t.Fatalf("%+v", tomb)
					}
					for s := tomb.From; s <= tomb.To; s++ {
						have[s] = true
					}
				}
			}
			o.Ack(e)
		}
	}
	for s := uint64(1); s <= last; s++ {
		if !have[s] {
			t.Fatalf("%d is neither sent nor in a tombstone", s)
		}
	}
	if o.Stats().GivenUp[ReasonFull] == 0 {
		t.Fatal("nothing was given up: the test proves nothing")
	}
}

// fullDisk is SQLite's error 13.
type fullDisk struct{}

func (fullDisk) Error() string { return "database or disk is full (13)" }
func (fullDisk) Code() int     { return codeFull }

// TestDiskFull: when it is not the outbox' own bound that is met, the ballast
// goes first and nothing else; it is made again when there is room.
func TestDiskFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	cfg := Config{Path: path, Producer: producer, BallastBytes: 128 << 10, LedgerAfter: time.Hour}
	o, stop := opened(t, cfg)
	if info, err := os.Stat(path + ".ballast"); err != nil || info.Size() != 128<<10 {
		t.Fatalf("no ballast: %v", err)
	}
	put(t, o, sample("a", kilo))
	stop()
	o, err := Open(context.Background(), cfg, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	// The disk has no room until the ballast is gone.
	o.db.inject = func() error {
		if o.writer.space.ballast.there() {
			return fullDisk{}
		}
		return nil
	}
	running(t, o)
	put(t, o, sample("a", kilo))
	if o.writer.space.ballast.there() || o.Stats().Depth != 2 {
		t.Fatalf("ballast there: %v, depth %d", o.writer.space.ballast.there(), o.Stats().Depth)
	}
	if err := o.writer.space.ballast.make(); err != nil || !o.writer.space.ballast.there() {
		t.Fatalf("the ballast is not made again: %v", err)
	}
}

// TestDiskFullForGood: without ballast and without anything to give up, Put
// says Exhausted and keeps nothing; when there is room again it goes on, and
// no sequence is missing.
func TestDiskFullForGood(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	o, err := Open(context.Background(), Config{Path: path, Producer: producer, BallastBytes: 64 << 10, LedgerAfter: time.Hour}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	var full bool
	o.db.inject = func() error {
		if full {
			return fullDisk{}
		}
		return nil
	}
	send := func(want error, events ...event.Event) {
		t.Helper()
		r := &request{events: events, done: make(chan error, 1)}
		if err := o.writer.commit([]*request{r}, false); err != nil {
			t.Fatal(err)
		}
		if err := <-r.done; fault.KindOf(err) != fault.KindOf(want) {
			t.Fatal(err)
		}
	}
	send(nil, state("a", "1"))
	full = true
	send(fault.New(fault.Exhausted, ""), state("b", "1"))
	full = false
	send(nil, state("c", "1"))
	if got := names(next(t, o, 10)); got != "state/1:a state/2:c" {
		t.Fatal(got)
	}
	_ = o.Close()
}
