package fold

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"midplane/event"
)

var t0 = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// stream is a simulated EVENTS with one poller that writes to it: many
// messages under way at once, acknowledgements lost, retries stored twice or
// dropped by the duplicate window, some given up with a tombstone.
type stream struct {
	stored []Message
	lost   Ranges // left out on purpose: acknowledged, never stored
	made   []time.Time
}

func simulate(t *rapid.T, n int, lose bool) stream {
	var s stream
	type sent struct {
		seq  uint64
		low  uint64
		dead []event.Tombstone // a ledger message that carries these
	}
	acked, stored := map[uint64]bool{}, map[uint64]bool{}
	var tomb []event.Tombstone
	at := t0
	low := func() uint64 {
		l := uint64(0)
		for acked[l+1] {
			l++
		}
		return l
	}
	var flying []sent
	next := uint64(1)
	send := func(seq uint64, dead []event.Tombstone) {
		flying = append(flying, sent{seq: seq, low: min(low(), seq-1), dead: dead})
	}
	arrive := func(i int) {
		f := flying[i]
		flying = append(flying[:i], flying[i+1:]...)
		at = at.Add(time.Second)
		switch {
		case stored[f.seq] && rapid.IntRange(0, 2).Draw(t, "deduplicated") > 0:
		case lose && f.dead == nil && rapid.IntRange(0, 9).Draw(t, "lose") == 0 && !stored[f.seq]:
			s.lost.Add(f.seq, f.seq)
		default:
			m := Message{Incarnation: 1, Event: event.Event{
				Kind: event.KindEvent, Severity: event.Info, Entity: "r1", Site: "syd", Type: "x.v1", Producer: "p", Epoch: 7, Sequence: f.seq, Low: f.low,
				Time: s.made[f.seq-1], Received: at, Stream: event.StreamEvents, StreamSeq: uint64(len(s.stored) + 1),
			}}
			if f.dead != nil {
				m.Type = event.TypeLedgerEvent
				m.Data, _ = json.Marshal(event.Ledger{Stream: m.Stream, Epoch: 7, Low: f.low, Tombstones: f.dead})
			}
			s.stored = append(s.stored, m)
			stored[f.seq] = true
			s.lost = Missing(nil, 1, next, negative(s.lost, f.seq, next)) // stored after all
		}
		if rapid.IntRange(0, 4).Draw(t, "ackLost") == 0 {
			flying = append(flying, sent{f.seq, min(low(), f.seq-1), f.dead}) // sent again
			return
		}
		acked[f.seq] = true
		for _, d := range f.dead { // only now may low pass what was given up
			for q := d.From; q <= d.To; q++ {
				acked[q] = true
			}
		}
	}
	for range n {
		at = at.Add(time.Minute)
		s.made = append(s.made, at)
		seq := next
		next++
		switch {
		case rapid.IntRange(0, 19).Draw(t, "giveUp") == 0:
			tomb = append(tomb, event.Tombstone{Epoch: 7, From: seq, To: seq, Reason: "full"})
		case len(tomb) > 0 && rapid.Bool().Draw(t, "tell"):
			send(seq, tomb)
			tomb = nil
		default:
			send(seq, nil)
		}
		for len(flying) > 0 && rapid.IntRange(0, 2).Draw(t, "arrive") > 0 {
			arrive(rapid.IntRange(0, len(flying)-1).Draw(t, "which"))
		}
	}
	// Idle: everything is settled, and one ledger message covers the tail.
	for len(flying) > 0 {
		arrive(0)
	}
	s.made = append(s.made, at)
	if tomb == nil {
		tomb = []event.Tombstone{}
	}
	send(next, tomb)
	next++
	for len(flying) > 0 {
		arrive(0)
	}
	s.made = append(s.made, at)
	send(next, []event.Tombstone{})
	for len(flying) > 0 {
		arrive(0)
	}
	return s
}

// negative returns what of 1…upTo is not in r, and seq.
func negative(r Ranges, seq, upTo uint64) Ranges {
	n := Missing(nil, 1, upTo, r)
	n.Add(seq, seq)
	return n
}

func foldAll(k *Known, msgs []Message) *Changes {
	ch := NewChanges()
	for i := range msgs {
		Fold(k, ch, &msgs[i])
	}
	return ch
}

func newKnown() *Known {
	return &Known{Cursors: map[string]Cursor{}, Ledgers: map[LedgerKey]*Ledger{}, States: map[StateKey]*Lanes{}}
}

// However a poller's messages are reordered, repeated and given up: nothing is
// ever claimed lost, from wherever the reader begins, and each is folded once.
func TestLedgerNoFalseAlarm(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := simulate(t, rapid.IntRange(1, 80).Draw(t, "n"), false)
		from := rapid.IntRange(0, len(s.stored)-1).Draw(t, "from")
		began := t0
		if from > 0 {
			began = s.stored[from].Received
		}
		k := newKnown()
		k.Cursors[event.StreamEvents] = Cursor{Incarnation: 1, Seq: uint64(from), Start: uint64(from) + 1, Began: began}
		ch := foldAll(k, s.stored[from:])
		for _, f := range ch.Findings {
			t.Fatalf("false alarm from %d: %+v", from, f)
		}
		once := map[uint64]bool{}
		for _, m := range ch.Events {
			if once[m.Sequence] {
				t.Fatalf("sequence %d folded twice", m.Sequence)
			}
			once[m.Sequence] = true
		}
	})
}

// What is acknowledged but not stored is named exactly.
func TestLedgerNamesLoss(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := simulate(t, rapid.IntRange(1, 80).Draw(t, "n"), true)
		ch := foldAll(newKnown(), s.stored)
		var named Ranges
		for _, f := range ch.Findings {
			if f.Alarm.Alarm != AlarmGap {
				t.Fatalf("unexpected finding %+v", f)
			}
			named.Add(f.Alarm.From, f.Alarm.To)
		}
		if !cmp.Equal(named, s.lost) && len(named)+len(s.lost) > 0 {
			t.Fatalf("named %v, lost %v", named, s.lost)
		}
	})
}

// A reader that began in the middle claims what was made after it began.
func TestLedgerClaimsAfterBeginning(t *testing.T) {
	msg := func(streamSeq, seq, low uint64, after time.Duration) Message {
		at := t0.Add(after)
		return Message{Incarnation: 1, Event: event.Event{Kind: event.KindEvent, Entity: "r1", Type: "x.v1", Producer: "p", Epoch: 1,
			Sequence: seq, Low: low, Time: at, Received: at, Stream: event.StreamEvents, StreamSeq: streamSeq}}
	}
	k := newKnown()
	k.Cursors[event.StreamEvents] = Cursor{Incarnation: 1, Seq: 99, Start: 100, Began: t0}
	ch := foldAll(k, []Message{
		msg(100, 50, 49, 0),             // 1…49 were before our time
		msg(101, 53, 52, time.Second),   // 51 and 52 may have been too
		msg(102, 60, 57, 6*time.Minute), // made after we began: claims begin at 60, or lower
		msg(103, 59, 57, 6*time.Minute), // arrives late
		msg(104, 63, 62, 7*time.Minute), // 61 and 62 are acknowledged, and were not seen
	})
	if len(ch.Findings) != 1 || ch.Findings[0].Alarm.From != 61 || ch.Findings[0].Alarm.To != 62 {
		t.Fatalf("findings %+v", ch.Findings)
	}
	if l := k.Ledgers[LedgerKey{"p", 1, event.StreamEvents}]; l.Base != 59 {
		t.Fatalf("base %d, want 59", l.Base)
	}
}

// A producer that scatters its sequences is bounded, loses nothing, and raises an alarm.
func TestLedgerBounded(t *testing.T) {
	k := newKnown()
	ch := NewChanges()
	for i := uint64(1); i <= 3*MaxRanges; i++ {
		m := Message{Incarnation: 1, Event: event.Event{Kind: event.KindEvent, Entity: "r1", Type: "x.v1", Producer: "p", Epoch: 1,
			Sequence: 2 * i, Time: t0, Received: t0, Stream: event.StreamEvents, StreamSeq: i}}
		Fold(k, ch, &m)
	}
	if got := ch.Folded[event.KindEvent]; got != 3*MaxRanges {
		t.Fatalf("folded %d of %d", got, 3*MaxRanges)
	}
	l := k.Ledgers[LedgerKey{"p", 1, event.StreamEvents}]
	if len(l.Received) > MaxRanges || len(ch.Findings) == 0 || ch.Findings[0].Alarm.Alarm != AlarmOverflow {
		t.Fatalf("%d ranges, findings %+v", len(l.Received), ch.Findings)
	}
}
