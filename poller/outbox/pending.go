package outbox

import (
	"context"
	"database/sql"
	"slices"
)

// pending is what the database does not know yet of what memory knows.
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

// pending takes what is to be written.
func (o *Outbox) pending() *pending {
	o.mu.Lock()
	defer o.mu.Unlock()
	p := &pending{deletes: o.deletes}
	for l := range lanes {
		t := &o.tombs[l]
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
func (o *Outbox) restore(pend *pending, p *plan) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for l := range lanes {
		for low := range pend.dirty[l] {
			o.tombs[l].mark(low)
		}
		if seq := p.ledgers[l]; seq > 0 {
			o.tombs[l].untell(seq)
		}
	}
}

// flush writes p: deletes first, since they make room for the rest.
func (o *Outbox) flush(ctx context.Context, tx *sql.Tx, p *pending) error {
	for l := range lanes {
		remove := tx.StmtContext(ctx, o.db.remove[l])
		for _, r := range ranges(p.deletes[l]) {
			if _, err := remove.ExecContext(ctx, int64(r[0]), int64(r[1])); err != nil {
				return err
			}
		}
		for low := range p.dirty[l] {
			if _, err := tx.StmtContext(ctx, o.db.delTomb).ExecContext(ctx, l, int64(low)); err != nil {
				return err
			}
		}
		for _, d := range p.tombs[l] {
			if _, err := tx.StmtContext(ctx, o.db.putTomb).ExecContext(ctx, l, int64(d.low), int64(d.high), d.reason, int64(d.told)); err != nil {
				return err
			}
		}
	}
	return nil
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
