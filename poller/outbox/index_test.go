package outbox

import (
	"fmt"
	"slices"
	"testing"
	"time"
	"unsafe"

	"midplane/event"
)

// TestPaused: a lane that is full for all is tried with few messages, the
// other lanes go on, and the first that passes opens it.
func TestPaused(t *testing.T) {
	ix := newIndex(1000)
	now := time.Unix(1000, 0)
	for i := range uint64(200) {
		ix.add(1, i+1, event.Entity(fmt.Sprint(i)), "x.v1", 0, 1, nil)
	}
	rows, _ := ix.take(now, 1000)
	if len(rows) != 200 {
		t.Fatal(len(rows))
	}
	for _, r := range rows {
		ix.postpone(ix.land(1, r.seq), now)
	}
	now = now.Add(time.Second)
	rows, _ = ix.take(now, 1000)
	if len(rows) != breakAfter {
		t.Fatalf("%d probes, want %d", len(rows), breakAfter)
	}
	first := slices.MinFunc(rows, func(a, b *row) int { return int(a.seq) - int(b.seq) })
	for _, r := range rows {
		ix.postpone(ix.land(1, r.seq), now)
	}
	ix.add(0, 1, "e", "x.v1", 0, 1, nil)
	if rows, wait := ix.take(now, 1000); len(rows) != 1 || rows[0].lane != 0 || wait <= 0 || wait > pauseMost {
		t.Fatalf("%d rows, wait %s", len(rows), wait)
	}
	now = now.Add(pauseMost)
	rows, _ = ix.take(now, 1000)
	if len(rows) != breakAfter || slices.Contains(rows, first) {
		t.Fatalf("%d probes, the same again: %v", len(rows), slices.Contains(rows, first))
	}
	ix.land(1, rows[0].seq)
	ix.remove(rows[0])
	ix.lanes[1].accepted()
	rows, _ = ix.take(now.Add(time.Minute), 1000)
	if len(rows) != 200-breakAfter {
		t.Fatalf("%d after one passed, want the %d that are not on their way", len(rows), 200-breakAfter)
	}
}

// TestWindow: states and metrics leave room for events.
func TestWindow(t *testing.T) {
	ix := newIndex(10)
	for i := range uint64(20) {
		for l := range lane(lanes) {
			if l > 0 {
				ix.add(l, i+1, event.Entity(fmt.Sprint(l, "-", i)), "x.v1", 0, 1, nil)
			}
		}
	}
	rows, _ := ix.take(time.Unix(1, 0), 100)
	if len(rows) != 9 {
		t.Fatalf("%d of states and metrics, want 6 and 3", len(rows))
	}
	ix.add(0, 1, "e", "x.v1", 0, 1, nil)
	ix.add(0, 2, "f", "x.v1", 0, 1, nil)
	if rows, _ = ix.take(time.Unix(1, 0), 100); len(rows) != 1 || rows[0].lane != 0 {
		t.Fatalf("%d rows", len(rows))
	}
}

// TestRowSize keeps what DESIGN.md says of memory true.
func TestRowSize(t *testing.T) {
	if size := unsafe.Sizeof(row{}); size > 120 {
		t.Errorf("a waiting message takes %d bytes of memory", size)
	}
}
