package fold

import (
	"time"

	"midplane/event"
)

// Message is one stored message as a reader found it. Stream, StreamSeq and
// Received of the event are always set.
type Message struct {
	event.Event
	Incarnation uint64 // of the stream, as the control plane counts them
	Identity    uint64 // tells it from any other message at its sequence; 0: not known

	DeadStream string // KindDead: the original's stream
	DeadReason string // KindDead: why it was given up

	// Unreadable says why the message could not be parsed; then nothing but
	// its place is known. It is passed over with an alarm.
	Unreadable string
}

// Cursor is how far a stream has been folded.
type Cursor struct {
	Incarnation uint64
	Seq         uint64    // the last folded sequence
	Start       uint64    // the first sequence this reader could have read
	Began       time.Time // when this reader began to read the incarnation

	// Histories is how often the stream was found to have another history than the
	// one that was read, under the same incarnation.
	Histories uint64
	Identity  uint64 // of the message at Seq; 0: not known
	Marks     Marks  // of messages that were read, the one at Seq among them or not
}

// Marked returns the cursor with a mark of its message.
func (c Cursor) Marked() Cursor {
	c.Marks = c.Marks.Add(Mark{c.Seq, c.Identity})
	return c
}

// Whole reports whether the reader has seen everything the stream ever kept,
// so that what is missing was lost, and not merely stored before it began.
func (c Cursor) Whole() bool { return c.Start <= 1 && c.Incarnation <= 1 }

// Known is what the store knows of what a batch touches. Fold keeps it up to
// date, so that a message sees what those before it did.
type Known struct {
	Cursors map[string]Cursor // by stream
	Ledgers map[LedgerKey]*Ledger
	States  map[StateKey]*Lanes
}

// Changes is what a batch does to the store, in one transaction.
type Changes struct {
	Events   []*Message              // into the event log, in order
	States   map[LaneKey]*Version    // newest of each lane
	Winners  map[StateKey]Lane       // which lane of an entity counts now
	Devices  map[DeviceKey]*Facets   // what is known of devices now
	Samples  []Sample                // of metrics
	Dead     map[DeadKey]*DeadLetter // what was refused or given up
	Ledgers  map[LedgerKey]*Ledger
	Cursors  map[string]Cursor
	Findings []Finding
	Touched  map[DeviceLane]Touched // states that became the newest of an outbox's lane
	Parts    map[DeviceKey]bool     // devices that have more interfaces or checks now

	Folded  map[event.Kind]int // messages that were folded
	Skipped int                // already folded: redelivered, or stored twice
}

// Result is what one transaction did.
type Result struct {
	Folded   map[event.Kind]int
	Skipped  int               // already folded: redelivered, or stored twice
	Cursors  map[string]Cursor // of the streams that were read on
	Findings []Finding
	Touched  map[DeviceLane]Touched // states that became the newest of an outbox's lane
	Position uint64                 // end of the event log, 0 when it did not grow
}

// NewChanges returns an empty set.
func NewChanges() *Changes {
	return &Changes{
		States: map[LaneKey]*Version{}, Winners: map[StateKey]Lane{}, Devices: map[DeviceKey]*Facets{},
		Dead: map[DeadKey]*DeadLetter{}, Ledgers: map[LedgerKey]*Ledger{}, Cursors: map[string]Cursor{},
		Folded: map[event.Kind]int{}, Touched: map[DeviceLane]Touched{}, Parts: map[DeviceKey]bool{},
	}
}

// Needs is what must be in Known before a batch is folded.
type Needs struct {
	Ledgers map[LedgerKey]struct{}
	States  map[StateKey]struct{}
}

// Need says what the messages touch.
func Need(msgs []Message) Needs {
	n := Needs{Ledgers: map[LedgerKey]struct{}{}, States: map[StateKey]struct{}{}}
	for i := range msgs {
		m := &msgs[i]
		if m.Unreadable != "" {
			continue
		}
		if hasLedger(m) {
			n.Ledgers[ledgerKey(m)] = struct{}{}
			for _, t := range tombstones(m) {
				n.Ledgers[LedgerKey{m.Producer, t.Epoch, m.Stream}] = struct{}{}
			}
		}
		if m.Kind == event.KindState {
			n.States[stateKey(m)] = struct{}{}
		}
	}
	return n
}

// Fold folds one message. Messages of one stream come in stream order; between
// streams any order gives the same result, and so does any repetition.
func Fold(k *Known, ch *Changes, m *Message) {
	if !k.advance(ch, m) {
		ch.Skipped++
		return
	}
	if m.Unreadable != "" {
		ch.find(unreadable(m))
		return
	}
	if hasLedger(m) && !k.account(ch, m) {
		ch.Skipped++
		return
	}
	ch.Folded[m.Kind]++
	switch m.Kind {
	case event.KindEvent:
		foldEvent(ch, m)
	case event.KindState:
		k.foldState(ch, m)
	case event.KindMetric:
		foldMetric(ch, m)
	case event.KindDead:
		foldDead(ch, m)
	}
}

// advance moves the stream's cursor to m, and reports whether m is new. What
// was jumped over is a finding, except in STATE, where superseding makes holes.
func (k *Known) advance(ch *Changes, m *Message) bool {
	c, ok := k.Cursors[m.Stream]
	switch {
	case !ok:
		c = Cursor{Incarnation: m.Incarnation, Seq: m.StreamSeq - 1, Start: m.StreamSeq, Began: m.Received}
	case m.Incarnation < c.Incarnation:
		return false // read before the stream was made again
	case m.Incarnation > c.Incarnation:
		var f Finding
		c, f = Renew(c, m.Stream, m.Incarnation, m.StreamSeq, m.Received)
		ch.find(f)
	case m.StreamSeq <= c.Seq:
		return false
	}
	if m.StreamSeq > c.Seq+1 && m.Stream != event.StreamState {
		ch.find(hole(m.Stream, c, m.StreamSeq-1))
	}
	c.Seq = m.StreamSeq
	c.Identity = m.Identity
	k.Cursors[m.Stream], ch.Cursors[m.Stream] = c, c
	return true
}

// Renew returns the cursor for a stream that was made again or restored: it is
// read from first, and the finding says so.
func Renew(c Cursor, stream string, incarnation, first uint64, now time.Time) (Cursor, Finding) {
	f := renewed(stream, c, incarnation)
	return Cursor{Incarnation: incarnation, Seq: first - 1, Start: first, Began: now, Histories: c.Histories}, f
}

// Made is the best that is known of when the message was made: what its
// producer says, but never after it was received.
func (m *Message) Made() time.Time { return bounded(m.Time, m.Received) }
