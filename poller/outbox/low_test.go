package outbox

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"midplane/event"
	"midplane/telemetry"
)

// TestLowCountsWhatIsDeleted: an acknowledgement that a crash would undo does not
// move ce-low, since what was acknowledged would be sent again after it.
func TestLowCountsWhatIsDeleted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	o, err := Open(context.Background(), Config{Path: path, Producer: producer, BallastBytes: -1}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	commit := func(events ...event.Event) error {
		var batch []*request
		if len(events) > 0 {
			batch = append(batch, &request{events: events, done: make(chan error, 1)})
		}
		return o.writer.commit(batch, false)
	}
	if err := commit(happened("a", "1"), happened("b", "2"), happened("c", "3")); err != nil {
		t.Fatal(err)
	}
	low := func(want uint64, when string) {
		t.Helper()
		if got := o.Low(event.KindEvent); got != want {
			t.Fatalf("%s: low %d, want %d", when, got, want)
		}
	}
	events := next(t, o, 3)
	o.Ack(&events[1])
	low(0, "the second is acknowledged")
	o.Ack(&events[0])
	low(0, "two are acknowledged, and nothing is committed")

	o.db.inject = func() error { return errors.New("no") }
	_ = commit() // it fails, and that is in the log
	low(0, "a commit failed")
	o.db.inject = func() error { // acknowledged while the transaction runs: it is not in it
		o.Ack(&events[2])
		return nil
	}
	if err := commit(); err != nil {
		t.Fatal(err)
	}
	low(2, "two are deleted, and the third is acknowledged")

	// What a crash would bring back now is above low.
	o.db.inject = nil
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if o, err = Open(context.Background(), Config{Path: path, Producer: producer, BallastBytes: -1}, telemetry.Nop()); err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	low(2, "opened again")
	if again := next(t, o, 3); len(again) != 1 || again[0].Sequence != 3 || again[0].Low != 2 {
		t.Fatalf("%s come again", names(again))
	} else {
		o.Ack(&again[0])
	}
	if err := commit(); err != nil {
		t.Fatal(err)
	}
	low(3, "all is deleted")
}
