package outbox

import (
	"context"
	"slices"
	"time"

	"midplane/event"
	"midplane/internal/wait"
)

// pending is what the database does not know yet of what the queue knows.
type pending struct {
	deletes [lanes][]uint64
	dirty   [lanes]map[uint64]bool
	tombs   [lanes][]tomb // of dirty, those that are
}

func (p *pending) empty() bool {
	for l := range lanes {
		if len(p.deletes[l]) > 0 || len(p.dirty[l]) > 0 {
			return false
		}
	}
	return true
}

// load reads one lane of a database that was opened, and returns the highest
// sequence it ever gave.
func (q *queue) load(ctx context.Context, db *handles, l lane) (last uint64, err error) {
	g := &q.ledgers[l]
	if last, g.seq, err = db.counters(ctx, l); err != nil {
		return 0, err
	}
	q.ix.lanes[l].top = last
	if g.tombs.list, err = db.tombs(ctx, l); err != nil {
		return 0, err
	}
	err = db.waiting(ctx, l, func(seq uint64, put int64, ent event.Entity, typ event.Type, size int) {
		r := q.ix.add(l, seq, ent, typ, put, size+rowOverhead(ent, typ), nil)
		r.unsure = kinds[l] == event.KindState && r.mayOvertake() // only the first of its type can have been sent
		if q.id.isLedger(l, ent, typ) {
			g.waiting = seq == g.seq
		}
	})
	if !g.waiting { // cannot be, but a tombstone must never wait for nothing
		g.tombs.unpublish(g.seq)
	}
	return last, err
}

// planLedgers plans the ledger messages that are due.
func (q *queue) planLedgers(p *plan) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now().UTC()
	for i := range kinds {
		l := lane(i)
		if !q.ledgers[l].due(&q.ix.lanes[l], now) {
			continue
		}
		p.last[l]++
		seq := p.last[l]
		low, published := q.ledgers[l].write(seq, &q.ix.lanes[l])
		e := ledgerEvent(&q.id, kinds[l], q.version(event.LedgerType(kinds[l])), low, published)
		e.Time = now
		q.id.mark(&e, seq)
		p.ledgers[l] = seq
		p.entries = append(p.entries, e)
	}
}

// pending takes what is to be written.
func (q *queue) pending() *pending {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := &pending{deletes: q.deletes}
	for l := range lanes {
		t := &q.ledgers[l].tombs
		p.dirty[l], t.dirty = t.dirty, nil
		for low := range p.dirty[l] {
			if d, ok := t.get(low); ok {
				p.tombs[l] = append(p.tombs[l], d)
			}
		}
	}
	return p
}

// restore undoes pending and planLedgers after a transaction that was not.
func (q *queue) restore(pend *pending, p *plan) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for l := range lanes {
		t := &q.ledgers[l].tombs
		for low := range pend.dirty[l] {
			t.mark(low)
		}
		if seq := p.ledgers[l]; seq > 0 {
			t.unpublish(seq)
		}
	}
}

// settle makes a committed transaction visible.
func (q *queue) settle(pend *pending, p *plan) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for l, done := range pend.deletes {
		q.forget(lane(l), done)
		q.deleted(lane(l), len(done))
	}
	now := time.Now()
	for i := range p.entries {
		e := &p.entries[i]
		l, _ := laneOf(e.Kind)
		r := q.ix.add(l, e.Sequence, e.Entity, e.Type, p.now, len(e.Data)+len(e.TraceParent)+rowOverhead(e.Entity, e.Type), e)
		q.ledgers[l].moved = now
		q.repeats.put(e)
		q.supersede(r)
	}
	if p.overflow {
		q.overflow = overflow{}
	}
	for l, seq := range p.ledgers {
		if seq > 0 {
			q.ledgers[l].committed(seq, now)
		}
	}
	if len(p.entries) > 0 {
		wait.Nudge(q.sendable)
	}
}

// ranges returns seqs as ranges without a hole.
func ranges(seqs []uint64) (out [][2]uint64) {
	sorted := slices.Sorted(slices.Values(seqs))
	for _, s := range sorted {
		if n := len(out); n > 0 && out[n-1][1]+1 == s {
			out[n-1][1] = s
			continue
		}
		out = append(out, [2]uint64{s, s})
	}
	return out
}
