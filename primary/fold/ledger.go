package fold

import (
	"encoding/json"
	"time"

	"midplane/event"
)

// LedgerKey names one account of the loss ledger, within a tenant.
type LedgerKey struct {
	Producer event.Producer
	Epoch    int64
	Stream   string
}

// Ledger is what a reader knows of one producer's sequences in one epoch and
// stream. In STATE only High and Low are kept: superseded sequences are legal
// holes there.
type Ledger struct {
	High uint64 // highest sequence met
	Low  uint64 // highest ce-low met
	Base uint64 // nothing below is claimed; 0 = no claim can be made yet

	Settled    uint64 // everything from Base to here was compared with Low
	Received   Ranges
	Tombstones Ranges // given up on purpose by the producer
	Lost       Ranges // found missing and named, and not come since

	Site    event.Site // of the newest message
	Doubled uint64     // messages that came again
}

const (
	// MaxRanges bounds each set of an account. A poller has at most a few
	// thousand messages under way. Of a producer that scatters more, the oldest
	// sequences are neither deduplicated nor claimed, and an alarm says so.
	MaxRanges = 8192
	// beganSlack is how long after a reader began a message must have been
	// made to be evidence of what the reader must hold: it covers producers'
	// clocks that are ahead.
	beganSlack = 5 * time.Minute
	// maxNamed is how many gaps of one message are named each; more are one finding.
	maxNamed = 20
)

// hasLedger reports whether m is keyed by its producer's sequence. A dead
// letter is not: it may carry the sequence of the message that was given up.
func hasLedger(m *Message) bool { return m.Sequence > 0 && m.Kind != event.KindDead }

func ledgerKey(m *Message) LedgerKey { return LedgerKey{m.Producer, m.Epoch, m.Stream} }

// isLedger reports whether m is bookkeeping of the ledger itself.
func isLedger(t event.Type) bool {
	return t == event.TypeLedgerEvent || t == event.TypeLedgerState || t == event.TypeLedgerMetric
}

// tombstones returns what m says its producer gave up in m's stream.
func tombstones(m *Message) []event.Tombstone {
	if !isLedger(m.Type) {
		return nil
	}
	var l event.Ledger
	if json.Unmarshal(m.Data, &l) != nil {
		return nil // its schema was not enforced: it gives up nothing
	}
	return l.Tombstones
}

// account enters m into its ledger and reports whether it is new. In STATE
// every message is new: whether it counts is decided by its lane.
func (k *Known) account(ch *Changes, m *Message) bool {
	key := ledgerKey(m)
	l := k.ledger(ch, key)
	if m.Sequence > l.High {
		l.High, l.Site = m.Sequence, m.Site
	}
	l.Low = max(l.Low, m.Low)
	if m.Stream == event.StreamState {
		return true
	}
	l.base(m, k.Cursors[m.Stream])
	fresh := !l.Received.Has(m.Sequence)
	if fresh {
		l.Received.Add(m.Sequence, m.Sequence)
		if l.Lost.Has(m.Sequence) {
			l.Lost.Remove(m.Sequence, m.Sequence)
			if len(l.Lost) == 0 {
				ch.find(filled(key, m))
			}
		}
	} else {
		l.Doubled++
	}
	for _, t := range tombstones(m) {
		if t.From > 0 {
			k.ledger(ch, LedgerKey{key.Producer, t.Epoch, key.Stream}).Tombstones.Add(t.From, t.To)
		}
	}
	for _, f := range gaps(key, l.settle(m.Low), m) {
		ch.find(f)
	}
	if l.forget() {
		ch.find(overflow(key, l.Base))
	}
	return fresh
}

func (k *Known) ledger(ch *Changes, key LedgerKey) *Ledger {
	l := k.Ledgers[key]
	if l == nil {
		l = &Ledger{}
		k.Ledgers[key] = l
	}
	ch.Ledgers[key] = l
	return l
}

// base decides from where on a missing sequence was lost. A reader that has
// seen the whole stream claims from 1. One that began later claims nothing
// made before it began: sequences are given in the order things are made, so
// a message that follows one made after the beginning was stored after it too.
// The least such sequence counts, since arrival order means nothing.
func (l *Ledger) base(m *Message, c Cursor) {
	switch {
	case l.Base == 1:
	case c.Whole() && l.Base == 0 && len(l.Received) == 0:
		l.Base = 1
	case m.Made().Before(c.Began.Add(beganSlack)):
	case l.Base == 0:
		l.Base = m.Sequence
	case m.Sequence < l.Base && l.Settled < l.Base:
		l.Base = m.Sequence
	}
}

// settle compares what is held with what must be held now that everything up
// to low is acknowledged, and returns what is newly found missing.
func (l *Ledger) settle(low uint64) Ranges {
	if l.Base == 0 || low < l.Base || low <= l.Settled {
		return nil
	}
	from := max(l.Base, l.Settled+1)
	lost := Missing(nil, from, low, l.Received, l.Tombstones, l.Lost)
	for _, r := range lost {
		l.Lost.Add(r.From, r.To)
	}
	l.Settled = low
	return lost
}

// forget keeps the account bounded. It reports whether it had to give up.
func (l *Ledger) forget() bool {
	over := max(len(l.Received), len(l.Tombstones), len(l.Lost))
	if over <= MaxRanges {
		return false
	}
	base := l.Base
	for _, set := range []Ranges{l.Received, l.Tombstones, l.Lost} {
		if n := len(set); n > MaxRanges {
			base = max(base, set[n/2].From)
		}
	}
	l.Base = base
	for _, set := range []*Ranges{&l.Received, &l.Tombstones, &l.Lost} {
		set.cut(base)
	}
	l.Settled = max(l.Settled, base-1)
	return true
}
