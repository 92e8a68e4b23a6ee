package outbox

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"midplane/event"
	"midplane/telemetry"
)

// outage fills an index as an outage of ten polls does: each of entities has a
// state and a metric of every poll, a minute apart, and one event.
func outage(entities int) (ix *index, now time.Time) {
	ix = newIndex(1000)
	now = time.UnixMilli(1_000_000_000)
	seq := [lanes]uint64{}
	add := func(l lane, e int, typ event.Type) {
		seq[l]++
		ix.add(l, seq[l], event.Entity(fmt.Sprint(e)), typ, now.UnixMilli(), 1, nil)
	}
	for range 10 {
		for e := range entities {
			add(1, e, "x.v1")
			add(2, e, "x.v1")
		}
		now = now.Add(time.Minute)
	}
	for e := range entities {
		add(0, e, "x.v1")
	}
	return ix, now.Add(2 * freshFor)
}

// ack lets what take returned be stored.
func ack(ix *index, rows []*row) {
	for _, r := range rows {
		ix.land(r.lane, r.seq)
		ix.remove(r)
	}
}

// TestLiveDataGoesFirst: while a backlog drains, what is put now goes before
// it, metrics of entities that have old ones too, and the backlog has what is left.
func TestLiveDataGoesFirst(t *testing.T) {
	ix, now := outage(500)
	const perStep, step = 20, 100 * time.Millisecond // 200 messages a second
	var live, backlog, liveWaits int
	for i := range 200 {
		now = now.Add(step)
		for n := range 4 { // 80 a second are live
			e := event.Entity(fmt.Sprint((i*4 + n) % 500))
			l := lane(1 + n%2)
			ix.add(l, ix.lanes[l].top+1, e, "y.v1", now.UnixMilli(), 1, nil)
		}
		rows, _ := ix.take(now, perStep)
		for _, r := range rows {
			if r.typ == "y.v1" {
				live++
				liveWaits = max(liveWaits, int(now.UnixMilli()-r.put))
			} else {
				backlog++
			}
		}
		ack(ix, rows)
	}
	// One step is for an older message of the same entity that is on its way.
	if live != 800 || backlog != 200*perStep-live || liveWaits > int(step.Milliseconds()) {
		t.Errorf("%d live messages and %d of the backlog were sent, a live one waited for %d ms", live, backlog, liveWaits)
	}
}

// TestTheBacklogHasEveryFourthPlace: when live data alone would take all there
// is room for, the backlog still moves.
func TestTheBacklogHasEveryFourthPlace(t *testing.T) {
	ix, now := outage(100)
	var backlog, all int
	for i := range 100 {
		now = now.Add(100 * time.Millisecond)
		for n := range 20 {
			ix.add(2, ix.lanes[2].top+1, event.Entity(fmt.Sprint("live", i, "-", n)), "y.v1", now.UnixMilli(), 1, nil)
		}
		rows, _ := ix.take(now, 10)
		for _, r := range rows {
			if r.typ != "y.v1" {
				backlog++
			}
		}
		all += len(rows)
		ack(ix, rows)
	}
	if all != 1000 || backlog < all/backlogEvery-10 || backlog > all/backlogEvery+10 {
		t.Errorf("%d of %d messages were of the backlog, want a quarter", backlog, all)
	}
}

// TestOldStatesAreSuperseded: after an outage the last state of each entity and
// type is sent, not one for every poll; what it replaced is given up with a
// tombstone, and a ledger message says so.
func TestOldStatesAreSuperseded(t *testing.T) {
	o, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "o.db"), Producer: producer, BallastBytes: -1, LedgerAfter: time.Hour}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	commit := func(e ...event.Event) {
		t.Helper()
		r := &request{events: e, done: make(chan error, 1)}
		if err := o.writer.commit([]*request{r}, false); err != nil {
			t.Fatal(err)
		}
		if err := <-r.done; err != nil {
			t.Fatal(err)
		}
	}
	age := func() {
		for l := range o.queue.ix.lanes {
			for r := o.queue.ix.lanes[l].first; r != nil; r = r.next {
				r.put -= 2 * freshFor.Milliseconds()
			}
		}
	}
	commit(state("a", "1"), state("b", "1"), happened("a", "1"), sample("a", "1"))
	commit(state("a", "2"))
	if s := o.Stats(); s.Depth != 5 || len(s.GivenUp) != 0 {
		t.Fatalf("live states were superseded: %+v", s)
	}
	age()
	commit(state("a", "3"), happened("a", "3"), sample("a", "3"))
	if s := o.Stats(); s.Depth != 8 || s.GivenUp[ReasonSuperseded] != 2 {
		t.Fatalf("%+v, want 2 superseded that have their place until they are deleted", s)
	}
	commit()
	if s := o.Stats(); s.Depth != 6 {
		t.Fatalf("%+v, want 6 waiting: the last state of a and of b, both events, both metrics", s)
	}
	// One that is on its way may be stored already: it stays.
	age()
	events, err := o.Next(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	commit(state("b", "2"))
	if s := o.Stats(); s.GivenUp[ReasonSuperseded] != 2 {
		t.Fatalf("%+v: a state on its way was given up", s)
	}
	// And one that had no answer stays too, though it is to be tried again.
	for i := range events {
		if events[i].Entity == "b" && events[i].Kind == event.KindState {
			o.Unanswered(&events[i])
			o.Return(events[i])
		}
	}
	age()
	commit(state("b", "3"))
	if s := o.Stats(); s.GivenUp[ReasonSuperseded] != 3 { // "2", not "1"
		t.Fatalf("%+v: want one more superseded", s)
	}
	for l, r := lane(1), o.queue.ix.entities["b"].head[1]; r != nil; r = r.enext {
		if r.seq == 2 && r.dropped || l != r.lane {
			t.Error("a state that may arrive yet was given up")
		}
	}
	for i := range events {
		o.Ack(&events[i])
	}
}

// TestACrashBringsNoOlderStateBehindANewerOne: what is superseded is not sent any
// more once the newer one may be, whenever the process ends.
func TestACrashBringsNoOlderStateBehindANewerOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	reopen := func() *Outbox {
		t.Helper()
		o, err := Open(t.Context(), Config{Path: path, Producer: producer, BallastBytes: -1, LedgerAfter: time.Hour}, telemetry.Nop())
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	put := func(o *Outbox, e ...event.Event) {
		t.Helper()
		r := &request{events: e, done: make(chan error, 1)}
		if err := o.writer.commit([]*request{r}, false); err != nil {
			t.Fatal(err)
		}
		if err := <-r.done; err != nil {
			t.Fatal(err)
		}
	}
	// next is what may be sent now, as its payload.
	next := func(o *Outbox) (out []string) {
		events, missing, _ := o.queue.take(time.Now(), 10)
		if err := o.db.payloads(t.Context(), events, missing); err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			out = append(out, string(e.Data))
		}
		return out
	}
	for _, crash := range []bool{false, true} {
		o := reopen()
		put(o, state("a", `"old"`))
		o.queue.ix.lanes[1].last.put -= 2 * freshFor.Milliseconds()
		put(o, state("a", `"new"`))
		sent := next(o)
		if !crash {
			if len(sent) > 0 {
				t.Fatalf("%v may be sent before the deletion of the older one is in the database", sent)
			}
			put(o)
			if sent = next(o); len(sent) != 1 || sent[0] != `"new"` {
				t.Fatalf("afterwards %v may be sent", sent)
			}
			o.Ack(&event.Event{Kind: event.KindState, Epoch: o.id.epoch, Sequence: 2})
			put(o)
		}
		if err := o.Close(); err != nil { // without a last commit
			t.Fatal(err)
		}
		if crash {
			o = reopen()
			if first := next(o); len(first) != 1 || first[0] != `"old"` {
				t.Fatalf("after a crash %v is first: nothing newer was sent, so the older one is right", first)
			}
			_ = o.Close()
		}
	}
}
