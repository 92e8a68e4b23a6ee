package outbox

import (
	"maps"
	"slices"
	"sync"
	"time"

	"midplane/event"
	"midplane/internal/wait"
)

// queue is what waits, as memory knows it: the messages in their order, without
// payloads, what was given up of them, and the ledger of each lane. It is ahead of
// the database in what is acknowledged and given up; pending is the difference. It
// does no I/O.
type queue struct {
	id        identity
	window    int                  // the widest that setWindow may open
	thinAbove int                  // bytes of metrics that may wait while METRICS is full
	maxBytes  int64                // of the outbox
	version   func(event.Type) int // of Midplane's own types that the doors take
	count     func(reason string)  // a message was given up
	repeats   *repeats             // has a lock of its own, which is taken last
	kept      *kept                // as well

	sendable  chan struct{} // something may be ready to be sent
	unwritten chan struct{} // pending has grown

	mu      sync.Mutex
	ix      *index
	ledgers [lanes]ledger
	deletes [lanes][]uint64        // acknowledged or given up, still in the database
	lowest  [lanes]uint64          // of these, the lowest; 0 when there are none
	dropped [lanes]map[uint64]*row // of these, those that were given up and still have their place
	givenUp map[string]uint64
	thinned thinned

	overflow  overflow
	overflows bool // the doors take events about them
}

func newQueue(id identity, cfg Config, kept *kept, count func(reason string)) *queue {
	q := &queue{
		id: id, kept: kept, window: cfg.Window, thinAbove: int(cfg.MaxBytes / thinPart), maxBytes: cfg.MaxBytes, version: cfg.Version, count: count, repeats: newRepeats(cfg), ix: newIndex(cfg.Window), givenUp: map[string]uint64{},
		sendable: make(chan struct{}, 1), unwritten: make(chan struct{}, 1),
	}
	for l := range q.ledgers {
		q.ledgers[l] = newLedger(cfg.LedgerAfter)
	}
	return q
}

// rowOverhead is about what a message takes in the database besides its payload.
func rowOverhead(ent event.Entity, typ event.Type) int { return len(ent) + len(typ) + 48 }

// nudge says that something may be sent, and that something is to be written.
func (q *queue) nudge() {
	wait.Nudge(q.sendable)
	wait.Nudge(q.unwritten)
}

// take returns up to most messages that may be sent, marked as on their way and
// with ce-low; missing are those whose payload is to be read from the database.
// When there is none, pause is how long until time alone brings one (0: never).
func (q *queue) take(now time.Time, most int) (out []event.Event, missing []int, pause time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	rows, pause := q.ix.take(now, most)
	var lows [lanes]uint64
	for l := range lows {
		lows[l] = q.lowOf(lane(l))
	}
	for i, r := range rows {
		var e event.Event
		if r.ev != nil {
			e = *r.ev
		} else {
			e.Kind = kinds[r.lane]
			q.id.mark(&e, r.seq)
			missing = append(missing, i)
		}
		e.Low = lows[r.lane]
		out = append(out, e)
	}
	return out, missing, pause
}

// land returns the row of a message that is on its way, which it is no longer;
// nil for any other. The mutex is held.
func (q *queue) land(e *event.Event) *row {
	l, ok := laneOf(e.Kind)
	if !ok || e.Epoch != q.id.epoch {
		return nil
	}
	return q.ix.land(l, e.Sequence)
}

// giveBack undoes take: the messages wait where they were.
func (q *queue) giveBack(events []event.Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range events {
		if r := q.land(&events[i]); r != nil {
			q.ix.offerAll(r.ent)
		}
	}
	wait.Nudge(q.sendable)
}

// ack forgets a message that the streams have; the next commit deletes it.
func (q *queue) ack(e *event.Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	r := q.land(e)
	if r == nil {
		return
	}
	q.ix.lanes[r.lane].accepted()
	q.kept.add(r.lane, e)
	if q.id.isLedger(r.lane, r.ent.id, r.typ) {
		q.ledgers[r.lane].acked(r.seq)
	}
	q.delete(r)
	q.ix.remove(r)
	q.nudge()
}

// postpone has a message that was not taken now tried again later. full: since its
// stream is.
func (q *queue) postpone(e *event.Event, full bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	r := q.land(e)
	if r == nil {
		return
	}
	now := time.Now()
	q.ix.postpone(r, now)
	if full && r.lane == metrics {
		q.thin(now)
	}
	q.nudge()
}

// unanswered notes of a message on its way that a try had no answer.
func (q *queue) unanswered(e *event.Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l, ok := laneOf(e.Kind); ok && e.Epoch == q.id.epoch {
		if r := q.ix.flying[rowKey{l, e.Sequence}]; r != nil {
			r.unsure = true
		}
	}
}

// refuse gives up a message that will never be taken.
func (q *queue) refuse(e *event.Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	r := q.land(e)
	if r == nil {
		return
	}
	if q.id.isLedger(r.lane, r.ent.id, r.typ) {
		q.ledgers[r.lane].refuse(r.seq, time.Now())
	}
	q.drop(r, ReasonRefused)
	q.ix.offerAll(r.ent)
	q.nudge()
}

// low is the ce-low of a message of lane l that is sent now.
func (q *queue) low(l lane) uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lowOf(l)
}

// lowOf is the ce-low of lane l. What is acknowledged counts once its deletion is in
// the database: before that a crash would bring it back, and it would be sent
// again after a message that says it is done with. The mutex is held.
func (q *queue) lowOf(l lane) uint64 {
	first := q.ix.lanes[l].lowest()
	if d := q.lowest[l]; d > 0 && (first == 0 || d < first) {
		first = d
	}
	return q.ledgers[l].low(first, q.ix.lanes[l].top)
}

// delete has the next transaction delete a message. The mutex is held.
func (q *queue) delete(r *row) {
	q.deletes[r.lane] = append(q.deletes[r.lane], r.seq)
	if q.lowest[r.lane] == 0 || r.seq < q.lowest[r.lane] {
		q.lowest[r.lane] = r.seq
	}
}

// deleted notes that the first n deletions of a lane are in the database. The mutex
// is held.
func (q *queue) deleted(l lane, n int) {
	q.lowest[l] = 0
	if q.deletes[l] = q.deletes[l][n:]; len(q.deletes[l]) == 0 {
		q.deletes[l] = nil
		return
	}
	q.lowest[l] = slices.Min(q.deletes[l])
}

// setWindow changes how many messages may be on their way at once.
func (q *queue) setWindow(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ix.window = windows(min(n, q.window))
}

// stats fills in what the queue knows.
func (q *queue) stats(s *Stats) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s.Depth, s.InFlight, s.GivenUp = int64(q.ix.depth), len(q.ix.flying), maps.Clone(q.givenUp)
	if t := q.thinned; t.samples > 0 && time.Since(t.last) < thinnedFor {
		s.Thinned, s.ThinnedSince = t.samples, t.since
	}
	if q.overflow.open {
		s.Overflow, s.OverflowSince = q.overflow.messages(), q.overflow.account.From
	}
	for l := range q.ix.lanes {
		ls := LaneStats{Stream: kinds[l].Stream(), Low: q.lowOf(lane(l)), Waiting: q.ix.lanes[l].depth}
		if r := q.ix.lanes[l].first; r != nil {
			ls.Oldest = max(0, time.Since(time.UnixMilli(r.put)))
		}
		s.Lanes, s.Oldest = append(s.Lanes, ls), max(s.Oldest, ls.Oldest)
	}
}
