package outbox

import (
	"encoding/json"
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

// ledger is the account of one lane's sequences that its readers are given: the
// tombstones, and when the next ledger message is due. Pure: the clock is handed
// in.
type ledger struct {
	after   time.Duration // Config.LedgerAfter
	tombs   tombs
	seq     uint64    // of the last ledger message
	waiting bool      // it is not acknowledged yet
	moved   time.Time // when the lane last got a message
	next    time.Time // not before
	refused int       // in a row
	most    int       // tombstones in one message
}

func newLedger(after time.Duration) ledger { return ledger{after: after, most: maxTombstones} }

// due reports whether the lane needs a ledger message: a tombstone is
// unpublished, or the lane moved since the last one, all of it is acknowledged
// and no later message will show that.
func (g *ledger) due(ls *laneState, now time.Time) bool {
	switch {
	case g.waiting || now.Before(g.next):
		return false
	case g.tombs.unpublished():
		return true
	}
	// The last ledger message has a sequence too: it alone is no reason.
	return ls.lowest() == 0 && ls.top > g.seq && now.Sub(g.moved) >= g.after
}

// low is the highest X for which all of the lane's 1…X are acknowledged, or in a
// tombstone whose ledger message is. One that is not published yet would look
// like a loss to a reader. first is the lowest that is not acknowledged, or not
// deleted yet, 0 when all are; last the highest ever given.
func (g *ledger) low(first, last uint64) uint64 {
	return g.tombs.lowest(first, last, func(tomb) bool { return false })
}

// write returns what ledger message seq says: the tombstones it publishes, and
// the low that counts what they cover. What is acknowledged by now counts: it is
// deleted in the transaction that keeps the ledger message.
func (g *ledger) write(seq uint64, ls *laneState) (low uint64, published []tomb) {
	published = g.tombs.publish(seq, g.most)
	return g.tombs.lowest(ls.lowest(), ls.top, func(d tomb) bool { return d.in == seq }), published
}

// committed notes that ledger message seq is in the database.
func (g *ledger) committed(seq uint64, now time.Time) {
	g.seq, g.waiting = seq, true
	if !g.tombs.unpublished() { // the rest at once
		g.next = now.Add(ledgerSpacing * g.after)
	}
}

// acked notes that readers have ledger message seq.
func (g *ledger) acked(seq uint64) {
	g.tombs.settle(seq)
	g.waiting, g.refused, g.most = false, 0, maxTombstones
}

// refuse notes that ledger message seq will never be taken: the next are smaller
// and ever further apart, or refusing would go on for ever.
func (g *ledger) refuse(seq uint64, now time.Time) {
	g.tombs.unpublish(seq)
	g.waiting = false
	g.refused = min(g.refused+1, 16)
	g.most = max(g.most/2, 1)
	g.next = now.Add(min(ledgerSpacing*g.after<<g.refused, ledgerMost))
}

// thinnedSince is the version of ledger messages of metrics that knows
// ReasonThinned. An older one names the next best.
const thinnedSince = 2

// ledgerEvent builds a ledger message of kind k, in the version that the doors take.
// low counts what the tombstones of this message cover.
func ledgerEvent(id *identity, k event.Kind, version int, low uint64, published []tomb) event.Event {
	l := event.Ledger{Stream: k.Stream(), Epoch: id.epoch, Low: low, Tombstones: []event.Tombstone{}}
	for _, d := range published {
		if d.reason == ReasonThinned && version < thinnedSince {
			d.reason = ReasonFull
		}
		l.Tombstones = append(l.Tombstones, event.Tombstone{Epoch: id.epoch, From: d.low, To: d.high, Reason: d.reason})
	}
	data, _ := json.Marshal(l) // numbers and strings only
	e := event.Event{Kind: k, Type: event.LedgerType(k), Entity: id.ledger, Data: data}
	if k == event.KindEvent {
		e.Severity = event.Debug
	}
	return e
}
