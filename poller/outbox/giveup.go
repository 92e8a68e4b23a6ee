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
				given[kinds[r.lane]]++
				q.drop(r, step.reason)
			}
			r = next
		}
	}
	return given
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
	if r.unsure {
		return false
	}
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
