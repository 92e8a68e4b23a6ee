package outbox

import (
	"container/heap"
	"math"
	"time"

	"midplane/event"
)

// lane is a stream of the outbox, in order of priority.
type lane uint8

const (
	lanes   = 3
	metrics = lane(2)
)

var (
	kinds  = [lanes]event.Kind{event.KindEvent, event.KindState, event.KindMetric}
	tables = [lanes]string{"waiting_event", "waiting_state", "waiting_metric"}
)

// laneOf returns the lane of a kind; ok is false for what a poller does not say.
func laneOf(k event.Kind) (l lane, ok bool) {
	for i, known := range kinds {
		if k == known {
			return lane(i), true
		}
	}
	return 0, false
}

// A lane of which breakAfter answers in a row are "full" is paused, and then
// tried with that many messages only: without it every waiting entity would
// try a stream that is full for all every five seconds.
const (
	breakAfter = 32
	pauseMost  = 2 * time.Second
)

// row is one waiting message. Rows of a lane form a list in order of sequence,
// and within it those of one entity another. It holds no payload: an outbox
// that is full of small messages has some 400,000 of these in memory.
type row struct {
	lane    lane
	queued  bool  // in one of its lane's two heaps
	fresh   bool  // and it is the one of live data
	late    bool  // in the index' delayed heap; never both
	dropped bool  // given up: it goes when that is in the database
	unsure  bool  // an earlier try had no answer, and may arrive yet
	size    int32 // bytes it takes in the database, about
	seq     uint64
	put     int64 // unix milliseconds
	typ     event.Type
	ent     *entity

	prev, next   *row // in the lane
	eprev, enext *row // in the entity's part of the lane

	order uint64       // place among the ready: seq, or later after a refusal
	pos   int          // in the heap it is in
	retry *retry       // after a refusal
	ev    *event.Event // kept while fresh, nil when it must be read
}

// entity is one sender of messages; busy is the one that is unacknowledged.
type entity struct {
	id         event.Entity
	busy       *row
	head, tail [lanes]*row
}

type laneState struct {
	first, last *row // waiting or on their way
	flying      int
	bytes       int     // of all of them
	depth       int64   // how many they are
	fresh       rowHeap // may be sent: live data
	ready       rowHeap // may be sent: the backlog
	top         uint64  // highest sequence ever given (committed)

	turn        uint64 // place of the last that was postponed
	refused     int    // answers "full" in a row
	pause       time.Duration
	pausedUntil time.Time
}

// heap returns the heap that a queued row is in.
func (ls *laneState) heap(r *row) *rowHeap {
	if r.fresh {
		return &ls.fresh
	}
	return &ls.ready
}

// lowest is the lowest sequence that waits to be acknowledged, 0 when none does.
func (ls *laneState) lowest() uint64 {
	for r := ls.first; r != nil; r = r.next {
		if !r.dropped {
			return r.seq
		}
	}
	return 0
}

// index holds what waits, without the payloads, and decides what may be sent.
// It is pure: no clock, no I/O.
type index struct {
	now      int64 // of the last call, unix milliseconds
	owed     int   // messages of live data since the last one of the backlog
	entities map[event.Entity]*entity
	lanes    [lanes]laneState
	delayed  rowHeap
	flying   map[rowKey]*row
	depth    int
	fresh    int // bytes of the payloads kept in memory
	types    map[event.Type]event.Type
	window   [lanes]int // how many of a lane may be on their way; the first's is also the sum's
}

// maxFresh is how many bytes of payloads are kept for sending without reading
// them back. An online poller sends all from here.
const maxFresh = 8 << 20

type rowKey struct {
	lane lane
	seq  uint64
}

func newIndex(window int) *index {
	ix := &index{window: windows(window), entities: map[event.Entity]*entity{}, flying: map[rowKey]*row{}, types: map[event.Type]event.Type{}}
	ix.delayed.byTime = true
	return ix
}

// windows shares out a window: states and metrics leave room for events.
func windows(n int) [lanes]int { return [lanes]int{max(n, 1), max(n*3/5, 1), max(n*3/10, 1)} }

// add appends a message; sequences of a lane must rise.
func (ix *index) add(l lane, seq uint64, ent event.Entity, typ event.Type, put int64, size int, ev *event.Event) *row {
	e := ix.entities[ent]
	if e == nil {
		e = &entity{id: ent}
		ix.entities[ent] = e
	}
	if same, ok := ix.types[typ]; ok {
		typ = same // one string a type, not one a message
	} else {
		ix.types[typ] = typ
	}
	r := &row{lane: l, seq: seq, order: seq, ent: e, typ: typ, put: put, size: int32(size)}
	if ev != nil && ix.fresh+size <= maxFresh {
		r.ev = ev
		ix.fresh += size
	}
	ls := &ix.lanes[l]
	if r.prev = ls.last; r.prev != nil {
		r.prev.next = r
	} else {
		ls.first = r
	}
	ls.last = r
	if r.eprev = e.tail[l]; r.eprev != nil {
		r.eprev.enext = r
	} else {
		e.head[l] = r
	}
	e.tail[l] = r
	ls.top = max(ls.top, seq)
	ls.bytes += size
	ls.depth++
	ix.depth++
	ix.now = max(ix.now, put)
	ix.offer(r)
	return r
}

// budget is how many messages the lane may send now.
func (ls *laneState) budget(now time.Time) int {
	switch {
	case ls.refused < breakAfter:
		return math.MaxInt
	case ls.pausedUntil.After(now):
		return 0
	}
	return breakAfter - ls.flying
}

// land takes a message out of the air; nil when it is not on its way.
func (ix *index) land(l lane, seq uint64) *row {
	r := ix.flying[rowKey{l, seq}]
	if r == nil {
		return nil
	}
	delete(ix.flying, rowKey{l, seq})
	ix.lanes[l].flying--
	r.ent.busy = nil
	return r
}

// accepted notes that the lane's stream takes messages.
func (ls *laneState) accepted() {
	ls.refused, ls.pause, ls.pausedUntil = 0, 0, time.Time{}
}

// postpone puts a message that landed back to be tried later, behind what
// waits now; later messages of its entity in the same lane wait behind it.
func (ix *index) postpone(r *row, now time.Time) {
	if r.retry == nil {
		r.retry = newRetry()
	}
	ls := &ix.lanes[r.lane]
	ls.refused++
	if ls.refused >= breakAfter && !ls.pausedUntil.After(now) {
		ls.pause = min(max(2*ls.pause, retryFirst), pauseMost)
		ls.pausedUntil = now.Add(ls.pause)
	}
	ls.turn = max(ls.turn, ls.top) + 1
	r.order = ls.turn
	r.retry.at = now.Add(r.retry.delay.Next())
	r.late = true
	heap.Push(&ix.delayed, r)
	ix.offerAll(r.ent)
}

// withdraw takes a message out of what may be sent.
func (ix *index) withdraw(r *row) {
	switch {
	case r.queued:
		heap.Remove(ix.lanes[r.lane].heap(r), r.pos)
	case r.late:
		heap.Remove(&ix.delayed, r.pos)
	}
	r.queued, r.late = false, false
}

// remove forgets a message that is not on its way.
func (ix *index) remove(r *row) {
	ix.withdraw(r)
	ls, e := &ix.lanes[r.lane], r.ent
	unlink(&ls.first, &ls.last, r.prev, r.next, func(p, n *row) { p.next = n }, func(n, p *row) { n.prev = p })
	unlink(&e.head[r.lane], &e.tail[r.lane], r.eprev, r.enext, func(p, n *row) { p.enext = n }, func(n, p *row) { n.eprev = p })
	r.prev, r.next, r.eprev, r.enext = nil, nil, nil, nil
	if r.ev != nil {
		ix.fresh -= int(r.size)
		r.ev = nil
	}
	ls.bytes -= int(r.size)
	ls.depth--
	ix.depth--
	if e.busy == nil {
		ix.offerAll(e)
		if e.head == [lanes]*row{} {
			delete(ix.entities, e.id)
		}
	}
}

func unlink(first, last **row, prev, next *row, setNext, setPrev func(a, b *row)) {
	if prev != nil {
		setNext(prev, next)
	} else {
		*first = next
	}
	if next != nil {
		setPrev(next, prev)
	} else {
		*last = prev
	}
}
