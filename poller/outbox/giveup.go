package outbox

import (
	"time"

	"midplane/event"
	"midplane/internal/wait"
)

// giveUp gives up about want bytes: the oldest metrics, then states that a
// newer one waits for, then the oldest events. What is on its way stays, and
// so do ledger messages. The next transaction writes it down.
func (q *queue) giveUp(want int) map[event.Kind]int {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	given := map[event.Kind]int{}
	for _, step := range []struct {
		lane   lane
		reason string
		may    func(*row) bool
	}{
		{2, ReasonFull, func(*row) bool { return true }},
		{1, ReasonSuperseded, superseded},
		{0, ReasonFull, func(*row) bool { return true }},
	} {
		for r := q.ix.lanes[step.lane].first; r != nil && want > 0; {
			next := r.next
			if r.ent.busy != r && !r.dropped && !q.id.isLedger(r.lane, r.ent.id, r.typ) && step.may(r) {
				want -= int(r.size)
				q.overflow.begin(q.id.epoch, now)
				given[kinds[r.lane]]++
				q.drop(r, step.reason)
			}
			r = next
		}
	}
	return given
}

// A stream of metrics that is full takes nothing for as long as its readers or its
// duplicate window need. Until then the metrics that wait may take one part in
// thinPart of the outbox: they are thinned, so that states and events keep their room.
const (
	thinPart  = 8
	thinAgain = 10 * time.Second // when there was little to thin
	// thinnedFor is how long thinning counts as going on after it was last done.
	thinnedFor = 10 * time.Minute
)

// thinned is how many metrics were given up since thinning began to go on.
type thinned struct {
	samples     uint64
	since, last time.Time
	next        time.Time // not before
}

// thin gives up every second of the metrics that wait of each entity and type, the
// newest never, when they take too much. What is older has been thinned more often,
// and so is kept at a half, a fourth, an eighth. The mutex is held.
func (q *queue) thin(now time.Time) {
	ls := &q.ix.lanes[metrics]
	if ls.refused < breakAfter || ls.bytes <= q.thinAbove || now.Before(q.thinned.next) {
		return
	}
	type series struct {
		ent *entity
		typ event.Type
	}
	keep := map[series]bool{}
	samples, bytes := 0, 0
	for r := ls.first; r != nil; r = r.next {
		if r.ent.busy == r || r.dropped || q.id.isLedger(r.lane, r.ent.id, r.typ) || !newerWaits(r) {
			continue
		}
		s := series{r.ent, r.typ}
		if !keep[s] {
			samples, bytes = samples+1, bytes+int(r.size)
			q.drop(r, ReasonThinned)
		}
		keep[s] = !keep[s]
	}
	t := &q.thinned
	if t.next = now.Add(time.Second); bytes < q.thinAbove/thinPart {
		t.next = now.Add(thinAgain)
	}
	if samples == 0 {
		return
	}
	if now.Sub(t.last) > thinnedFor {
		t.samples, t.since = 0, now
	}
	t.samples, t.last = t.samples+uint64(samples), now
	wait.Nudge(q.unwritten)
}

// supersedeAfter is how long a state must have waited before a newer one takes
// its place: one that is sent at once is never superseded.
const supersedeAfter = 2 * time.Second

// supersede gives up the states that wait and that r is newer than: STATE keeps
// the last one, and after an outage each would be sent once for every poll that
// was missed. The mutex is held.
func (q *queue) supersede(r *row) {
	if kinds[r.lane] != event.KindState || q.id.isLedger(r.lane, r.ent.id, r.typ) {
		return
	}
	for old := r.eprev; old != nil; old = old.eprev {
		if old.typ == r.typ && old.ent.busy != old && !old.dropped && !old.unsure && r.put-old.put > supersedeAfter.Milliseconds() {
			q.drop(old, ReasonSuperseded)
			wait.Nudge(q.unwritten)
		}
	}
}

// superseded reports whether a newer state of the same entity and type waits. One
// that may arrive yet is not: it would come behind the newer one.
func superseded(r *row) bool {
	return !r.unsure && newerWaits(r)
}

// newerWaits reports whether a newer message of the same entity and type waits.
func newerWaits(r *row) bool {
	for n := r.enext; n != nil; n = n.enext {
		if n.typ == r.typ {
			return true
		}
	}
	return false
}

// drop gives up one message that is not on its way. It stays in its place, and
// what comes behind it waits, until its deletion is in the database: else a crash
// would bring it back behind a newer one that was sent in between. The mutex is
// held.
func (q *queue) drop(r *row, reason string) {
	q.ix.withdraw(r)
	r.dropped = true
	if q.dropped[r.lane] == nil {
		q.dropped[r.lane] = map[uint64]*row{}
	}
	q.dropped[r.lane][r.seq] = r
	q.ledgers[r.lane].tombs.add(r.seq, reason)
	q.delete(r)
	if kinds[r.lane] == event.KindState && reason != ReasonSuperseded {
		q.repeats.lost(stateKey{r.ent.id, r.typ}, r.seq)
	}
	q.overflow.add(r, reason)
	q.givenUp[reason]++
	q.count(reason)
}

// forget removes what is deleted in the database. The mutex is held.
func (q *queue) forget(l lane, deleted []uint64) {
	for _, seq := range deleted {
		if r := q.dropped[l][seq]; r != nil {
			delete(q.dropped[l], seq)
			q.ix.remove(r)
			wait.Nudge(q.sendable)
		}
	}
}
