package outbox

import (
	"container/heap"
	"time"

	"midplane/event"
)

// freshFor is how long a message is live data: it goes before what waits for
// longer, the backlog, and nothing takes its place.
const freshFor = 3 * time.Second

// backlogEvery is one in how many messages is of the backlog, when there is a
// backlog and live data alone would take all there is room for.
const backlogEvery = 4

// isFresh reports whether r is live data.
func (ix *index) isFresh(r *row) bool { return ix.now-r.put <= freshFor.Milliseconds() }

// offer puts r among what may be sent if it is the next of its entity's lane,
// or live and need not be.
func (ix *index) offer(r *row) {
	if r == nil || r.queued || r.late || r.dropped || r.ent.busy != nil {
		return
	}
	fresh := ix.isFresh(r)
	if r.ent.head[r.lane] != r && !(fresh && r.mayOvertake()) {
		return
	}
	r.queued, r.fresh = true, fresh
	heap.Push(ix.lanes[r.lane].heap(r), r)
}

// mayOvertake reports whether r need not wait for the older messages of its
// entity and lane. A sample has its time, and behind an hour of samples it would
// arrive an hour late; states are in order within their type, and what happened
// to an entity always stays in order.
func (r *row) mayOvertake() bool {
	switch kinds[r.lane] {
	case event.KindMetric:
		return true
	case event.KindState:
		for old := r.eprev; old != nil; old = old.eprev {
			if old.typ == r.typ {
				return false
			}
		}
		return true
	}
	return false
}

// offerAll offers what may be sent of an entity that has nothing on its way:
// the first of each lane, and what is live. An entity with more live messages
// than are looked at has no backlog worth overtaking.
func (ix *index) offerAll(e *entity) {
	const look = 32
	for l, first := range e.head {
		ix.offer(first)
		r := e.tail[l]
		for n := 0; n < look && r != nil && r != first && ix.isFresh(r); n++ {
			ix.offer(r)
			r = r.eprev
		}
	}
}

// take returns up to most messages that may be sent now and marks them as on
// their way, and how long to wait for the next one when time alone decides
// (0: it does not).
func (ix *index) take(now time.Time, most int) (out []*row, wait time.Duration) {
	ix.age(now)
	for len(out) < most {
		r := ix.next(now)
		if r == nil {
			break
		}
		r.ent.busy = r
		ix.flying[rowKey{r.lane, r.seq}] = r
		ix.lanes[r.lane].flying++
		out = append(out, r)
	}
	for l := range ix.lanes {
		ls := &ix.lanes[l]
		if ls.fresh.Len()+ls.ready.Len() > 0 && ls.pausedUntil.After(now) {
			wait = sooner(wait, ls.pausedUntil.Sub(now))
		}
	}
	if len(ix.delayed.rows) > 0 {
		wait = sooner(wait, ix.delayed.rows[0].retry.at.Sub(now))
	}
	return out, wait
}

// age moves what time alone moves: delays that are over, and live data that
// has waited for so long that it is backlog.
func (ix *index) age(now time.Time) {
	ix.now = now.UnixMilli()
	for len(ix.delayed.rows) > 0 && !ix.delayed.rows[0].retry.at.After(now) {
		r := heap.Pop(&ix.delayed).(*row)
		r.late = false
		ix.offer(r)
	}
	for l := range ix.lanes {
		fresh := &ix.lanes[l].fresh
		for len(fresh.rows) > 0 && !ix.isFresh(fresh.rows[0]) {
			r := heap.Pop(fresh).(*row)
			r.queued = false
			ix.offer(r)
		}
	}
}

// next takes the message that is to be sent first out of its heap, nil when
// none may be sent: live data before the backlog, which has every fourth place
// at least; and in both events before states before metrics.
func (ix *index) next(now time.Time) *row {
	fresh := func(ls *laneState) *rowHeap { return &ls.fresh }
	ready := func(ls *laneState) *rowHeap { return &ls.ready }
	if ix.owed < backlogEvery-1 {
		if r := ix.pop(now, fresh); r != nil {
			ix.owed++
			return r
		}
	}
	if r := ix.pop(now, ready); r != nil {
		ix.owed = 0
		return r
	}
	return ix.pop(now, fresh)
}

// pop takes the first message out of the first lane that may send.
func (ix *index) pop(now time.Time, of func(*laneState) *rowHeap) *row {
	for l := range ix.lanes {
		ls := &ix.lanes[l]
		h := of(ls)
		if min(ls.budget(now), ix.window[l]-ls.flying, ix.window[0]-len(ix.flying)) <= 0 {
			continue
		}
		for h.Len() > 0 {
			r := heap.Pop(h).(*row)
			r.queued = false
			if r.ent.busy == nil {
				return r
			} // else it is offered again when its entity is free
		}
	}
	return nil
}

func sooner(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
}
