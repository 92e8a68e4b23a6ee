package outbox

import (
	"time"

	"midplane/event"
)

const (
	// ledgerSpacing is how many times LedgerAfter two ledger messages of a
	// stream are apart.
	ledgerSpacing = 5
	// ledgerMost is the longest they are apart when they are refused.
	ledgerMost = 5 * time.Minute
)

// due reports whether lane l needs a ledger message: a tombstone is untold, or
// the lane moved since the last one, all of it is acknowledged and no later
// message will say so. The mutex is held.
func (o *Outbox) due(l lane, now time.Time) bool {
	ls, lane := &o.ledgers[l], &o.ix.lanes[l]
	switch {
	case ls.waiting || now.Before(ls.next):
		return false
	case o.tombs[l].untold():
		return true
	}
	// The last ledger message has a sequence too: it alone is no reason.
	return lane.first == nil && lane.top > ls.seq && now.Sub(ls.moved) >= o.cfg.LedgerAfter
}

// planLedgers plans the ledger messages that are due.
func (o *Outbox) planLedgers(p *plan) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now().UTC()
	for i := range kinds {
		l := lane(i)
		if !o.due(l, now) {
			continue
		}
		p.last[l]++
		seq := p.last[l]
		told := o.tombs[l].tell(seq, o.ledgers[l].most)
		first := uint64(0)
		if r := o.ix.lanes[l].first; r != nil {
			first = r.seq
		}
		low := o.tombs[l].lowest(first, o.ix.lanes[l].top, func(d tomb) bool { return d.told == seq })
		e := ledgerEvent(o.cfg.Producer, kinds[l], o.epoch, low, told)
		e.Time = now
		o.identify(&e, seq)
		p.ledgers[l] = seq
		p.entries = append(p.entries, e)
	}
}

// low is the highest X for which all of lane l's 1…X are acknowledged, or in a
// tombstone whose ledger message is. One that is not told yet would look like
// a loss to a reader. The mutex is held.
func (o *Outbox) low(l lane) uint64 {
	first := uint64(0)
	if r := o.ix.lanes[l].first; r != nil {
		first = r.seq
	}
	return o.tombs[l].lowest(first, o.ix.lanes[l].top, func(tomb) bool { return false })
}

// Low is the ce-low of a message of kind k that is sent now.
func (o *Outbox) Low(k event.Kind) uint64 {
	l, ok := laneOf(k)
	if !ok {
		return 0
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.low(l)
}

// ledgerAcked notes that readers have ledger message r.
func (o *Outbox) ledgerAcked(r *row) {
	ls := &o.ledgers[r.lane]
	o.tombs[r.lane].settle(r.seq)
	ls.waiting, ls.refused, ls.most = false, 0, maxTombstones
}

// ledgerRefused notes that ledger message r will never be taken: smaller ones,
// and ever more rarely, or refusing would go on for ever.
func (o *Outbox) ledgerRefused(r *row) {
	ls := &o.ledgers[r.lane]
	o.tombs[r.lane].untell(r.seq)
	ls.waiting = false
	ls.refused = min(ls.refused+1, 16)
	ls.most = max(ls.most/2, 1)
	ls.next = time.Now().Add(min(ledgerSpacing*o.cfg.LedgerAfter<<ls.refused, ledgerMost))
}
