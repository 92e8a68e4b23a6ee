package outbox

import (
	"container/heap"
	"math"
	"time"

	"midplane/event"
)

// lane is a stream of the outbox, in order of priority.
type lane uint8

const lanes = 3

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

// A lane of which breakAfter answers in a row said "full" is paused, and then
// tried with that many messages only: without it every waiting entity would
// knock every five seconds at a door that is shut for all.
const (
	breakAfter = 32
	pauseMost  = 2 * time.Second
)

// row is one waiting message. Rows of a lane form a list in order of sequence,
// and within it those of one entity another. It holds no payload: an outbox
// that is full of small messages has some 400,000 of these in memory.
type row struct {
	lane   lane
	queued bool  // in its lane's ready heap
	late   bool  // in the index' delayed heap; never both
	size   int32 // bytes it takes in the database, about
	seq    uint64
	put    int64 // unix milliseconds
	typ    event.Type
	ent    *entity

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
	ready       rowHeap
	top         uint64 // highest sequence ever given (committed)

	turn        uint64 // place of the last that was postponed
	refused     int    // answers "full" in a row
	pause       time.Duration
	pausedUntil time.Time
}

// index holds what waits, without the payloads, and decides what may be sent.
// It is pure: no clock, no I/O.
type index struct {
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
	ix := &index{window: [lanes]int{window, max(window*3/5, 1), max(window*3/10, 1)}, entities: map[event.Entity]*entity{}, flying: map[rowKey]*row{}, types: map[event.Type]event.Type{}}
	ix.delayed.byTime = true
	return ix
}

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
	ix.depth++
	ix.offer(r)
	return r
}

// offer puts r among the ready if it is the next of its entity's lane.
func (ix *index) offer(r *row) {
	if r == nil || r.queued || r.late || r.ent.busy != nil || r.ent.head[r.lane] != r {
		return
	}
	r.queued = true
	heap.Push(&ix.lanes[r.lane].ready, r)
}

func (ix *index) offerAll(e *entity) {
	for _, r := range e.head {
		ix.offer(r)
	}
}

// take returns up to most messages that may be sent now and marks them as on
// their way, and how long to wait for the next one when time alone decides
// (0: it does not).
func (ix *index) take(now time.Time, most int) (out []*row, wait time.Duration) {
	for len(ix.delayed.rows) > 0 && !ix.delayed.rows[0].retry.at.After(now) {
		r := heap.Pop(&ix.delayed).(*row)
		r.late = false
		ix.offer(r)
	}
	for l := range ix.lanes {
		ls := &ix.lanes[l]
		budget := min(ls.budget(now), ix.window[l]-ls.flying, ix.window[0]-len(ix.flying))
		for len(ls.ready.rows) > 0 && len(out) < most && budget > 0 {
			r := heap.Pop(&ls.ready).(*row)
			r.queued = false
			if r.ent.busy != nil {
				continue // offered again when its entity is free
			}
			r.ent.busy = r
			ix.flying[rowKey{r.lane, r.seq}] = r
			ls.flying++
			budget--
			out = append(out, r)
		}
		if len(ls.ready.rows) > 0 && ls.pausedUntil.After(now) {
			wait = sooner(wait, ls.pausedUntil.Sub(now))
		}
	}
	if len(ix.delayed.rows) > 0 {
		wait = sooner(wait, ix.delayed.rows[0].retry.at.Sub(now))
	}
	return out, wait
}

func sooner(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
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
		r.retry = &retry{delay: NewBackoff()}
	}
	ls := &ix.lanes[r.lane]
	ls.refused++
	if ls.refused >= breakAfter && !ls.pausedUntil.After(now) {
		ls.pause = min(max(2*ls.pause, retryFirst), pauseMost)
		ls.pausedUntil = now.Add(ls.pause)
	}
	ls.turn = max(ls.turn, ls.top) + 1
	r.order = ls.turn
	r.retry.at = now.Add(r.retry.delay.NextBackOff())
	r.late = true
	heap.Push(&ix.delayed, r)
	ix.offerAll(r.ent)
}

// remove forgets a message that is not on its way.
func (ix *index) remove(r *row) {
	ls, e := &ix.lanes[r.lane], r.ent
	unlink(&ls.first, &ls.last, r.prev, r.next, func(p, n *row) { p.next = n }, func(n, p *row) { n.prev = p })
	unlink(&e.head[r.lane], &e.tail[r.lane], r.eprev, r.enext, func(p, n *row) { p.enext = n }, func(n, p *row) { n.eprev = p })
	switch {
	case r.queued:
		heap.Remove(&ls.ready, r.pos)
	case r.late:
		heap.Remove(&ix.delayed, r.pos)
	}
	r.queued, r.late = false, false
	r.prev, r.next, r.eprev, r.enext = nil, nil, nil, nil
	if r.ev != nil {
		ix.fresh -= int(r.size)
		r.ev = nil
	}
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
