package outbox

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"midplane/event"
	"midplane/telemetry"
)

// TestLedgerEnds: a quiet stream gets one ledger message that covers its tail,
// and then none.
func TestLedgerEnds(t *testing.T) {
	o, _ := opened(t, Config{Path: filepath.Join(t.TempDir(), "o.db"), LedgerAfter: time.Millisecond})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	put(t, o, state("a", "1"))
	events, err := o.Next(ctx, 1)
	if err != nil || len(events) != 1 {
		t.Fatal(err)
	}
	o.Ack(&events[0])
	if events, err = o.Next(ctx, 10); err != nil || len(events) != 1 {
		t.Fatal(names(events), err)
	}
	e := events[0]
	want := fmt.Sprintf(`{"stream":"STATE","epoch":%d,"low":1,"tombstones":[]}`, o.Epoch())
	if e.Type != event.TypeLedgerState || e.Entity != "poller/syd-01" || string(e.Data) != want || e.Low != 1 || e.Sequence != 2 {
		t.Fatalf("%s %s low %d", e.Type, e.Data, e.Low)
	}
	o.Ack(&events[0])
	quiet, stop := context.WithTimeout(ctx, 50*time.Millisecond)
	defer stop()
	if events, err = o.Next(quiet, 10); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("another ledger message: %s, %v", names(events), err)
	}
}

// TestLedgerRefused: an ingress that refuses ledger messages is asked ever more
// rarely, with fewer tombstones; no tombstone is forgotten.
func TestLedgerRefused(t *testing.T) {
	o, err := Open(context.Background(), Config{Path: filepath.Join(t.TempDir(), "o.db"), Producer: producer, BallastBytes: -1, LedgerAfter: 1}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	r := &request{events: []event.Event{happened("a", "1"), happened("b", "1")}, done: make(chan error, 1)}
	if err := o.writer.commit([]*request{r}, false); err != nil {
		t.Fatal(err)
	}
	for _, e := range next(t, o, 2) {
		o.Refuse(&e)
	}
	for i := range 5 {
		o.queue.ledgers[0].next = time.Time{}
		if err := o.writer.commit(nil, true); err != nil {
			t.Fatal(err)
		}
		events := next(t, o, 2)
		if len(events) != 1 || events[0].Type != event.TypeLedgerEvent {
			t.Fatalf("round %d: %s", i, names(events))
		}
		o.Refuse(&events[0])
		if o.queue.ledgers[0].most != maxTombstones>>(i+1) || o.queue.ledgers[0].refused != i+1 {
			t.Fatalf("round %d: %+v", i, o.queue.ledgers[0])
		}
	}
	if low := o.Low(event.KindEvent); low != 0 {
		t.Fatalf("low %d over a tombstone that is not published", low)
	}
	o.queue.ledgers[0].next = time.Time{}
	if err := o.writer.commit(nil, true); err != nil {
		t.Fatal(err)
	}
	events := next(t, o, 1)
	want := fmt.Sprintf(`{"stream":"EVENTS","epoch":%d,"low":7,"tombstones":[{"epoch":%d,"from":1,"to":7,"reason":"refused"}]}`, o.Epoch(), o.Epoch())
	if string(events[0].Data) != want {
		t.Fatalf("%s, want %s", events[0].Data, want)
	}
	o.Ack(&events[0])
	if err := o.writer.commit(nil, false); err != nil {
		t.Fatal(err)
	}
	if low := o.Low(event.KindEvent); low != 8 || o.queue.ledgers[0].most != maxTombstones {
		t.Fatalf("low %d after it was published", low)
	}
}
