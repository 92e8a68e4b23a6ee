package outbox

import (
	"encoding/json"
	"slices"
	"sort"

	"midplane/event"
)

// Reasons of tombstones.
const (
	ReasonFull       = "full"       // made room for something newer
	ReasonSuperseded = "superseded" // a newer state of the same entity and type waits
	ReasonRefused    = "refused"    // the ingress will never take it
)

// maxTombstones is how many ranges one ledger message carries at most, some
// 17 KB: below the smallest message size a tenant would be given.
const maxTombstones = 256

// tomb is a range of sequences that was given up.
type tomb struct {
	low, high uint64
	reason    string
	told      uint64 // the ledger message it is in, 0 when in none yet
}

// tombs are the tombstones of one lane in order, none overlapping, and which
// of them the database does not have yet. Pure.
type tombs struct {
	list  []tomb
	dirty map[uint64]bool // by low: to be written or deleted
}

func (t *tombs) mark(low uint64) {
	if t.dirty == nil {
		t.dirty = map[uint64]bool{}
	}
	t.dirty[low] = true
}

// find returns the position of the first tombstone at or above seq.
func (t *tombs) find(seq uint64) int {
	return sort.Search(len(t.list), func(i int) bool { return t.list[i].low >= seq })
}

// add gives up one sequence, in the range of its neighbours where it can be.
func (t *tombs) add(seq uint64, reason string) {
	i := t.find(seq)
	joins := func(j int) bool { return t.list[j].told == 0 && t.list[j].reason == reason }
	below := i > 0 && t.list[i-1].high+1 == seq && joins(i-1)
	above := i < len(t.list) && t.list[i].low == seq+1 && joins(i)
	switch {
	case below && above:
		t.mark(t.list[i].low)
		t.list[i-1].high = t.list[i].high
		t.list = slices.Delete(t.list, i, i+1)
		t.mark(t.list[i-1].low)
	case below:
		t.list[i-1].high = seq
		t.mark(t.list[i-1].low)
	case above:
		t.mark(t.list[i].low)
		t.list[i].low = seq
		t.mark(seq)
	default:
		t.list = slices.Insert(t.list, i, tomb{low: seq, high: seq, reason: reason})
		t.mark(seq)
	}
}

// untold reports whether a tombstone is in no ledger message yet.
func (t *tombs) untold() bool {
	return slices.ContainsFunc(t.list, func(d tomb) bool { return d.told == 0 })
}

// tell puts up to most untold tombstones, the lowest first, into ledger
// message seq and returns them.
func (t *tombs) tell(seq uint64, most int) []tomb {
	var out []tomb
	for i := range t.list {
		if d := &t.list[i]; d.told == 0 && len(out) < most {
			d.told = seq
			t.mark(d.low)
			out = append(out, *d)
		}
	}
	return out
}

// untell takes them out of ledger message seq again: it was not written, or refused.
func (t *tombs) untell(seq uint64) {
	for i := range t.list {
		if t.list[i].told == seq {
			t.list[i].told = 0
			t.mark(t.list[i].low)
		}
	}
}

// settle forgets what ledger message seq told: a reader has it.
func (t *tombs) settle(seq uint64) {
	t.list = slices.DeleteFunc(t.list, func(d tomb) bool {
		if d.told == seq {
			t.mark(d.low)
		}
		return d.told == seq
	})
}

// get returns the tombstone that begins at low.
func (t *tombs) get(low uint64) (tomb, bool) {
	if i := t.find(low); i < len(t.list) && t.list[i].low == low {
		return t.list[i], true
	}
	return tomb{}, false
}

// low returns the highest X for which all of 1…X are acknowledged, or in a
// tombstone for which told is true. first is the lowest that waits, 0 when
// none does; last the highest ever given.
func (t *tombs) lowest(first, last uint64, told func(tomb) bool) uint64 {
	x := last
	if first > 0 {
		x = first - 1
	}
	for _, d := range t.list {
		if d.low > x {
			break
		}
		if !told(d) {
			return d.low - 1
		}
	}
	return x
}

// ledgerEvent builds the ledger message of a lane. low counts what tombstones
// of this message cover.
func ledgerEvent(producer event.Producer, k event.Kind, epoch int64, low uint64, told []tomb) event.Event {
	l := event.Ledger{Stream: k.Stream(), Epoch: epoch, Low: low, Tombstones: []event.Tombstone{}}
	for _, d := range told {
		l.Tombstones = append(l.Tombstones, event.Tombstone{Epoch: epoch, From: d.low, To: d.high, Reason: d.reason})
	}
	data, _ := json.Marshal(l) // numbers and strings only
	e := event.Event{Kind: k, Type: event.LedgerType(k), Entity: LedgerEntity(producer), Data: data}
	if k == event.KindEvent {
		e.Severity = event.Debug
	}
	return e
}

// LedgerEntity is what a poller's ledger messages are about: the poller.
func LedgerEntity(p event.Producer) event.Entity { return event.Entity("poller/" + string(p)) }
