package outbox

import (
	"slices"
	"sort"
)

// Reasons of tombstones.
const (
	ReasonFull       = "full"       // made room for something newer
	ReasonSuperseded = "superseded" // a newer state of the same entity and type waits
	ReasonRefused    = "refused"    // the ingress will never take it
	ReasonThinned    = "thinned"    // METRICS is full, and one sample in two of the same was kept
)

// maxTombstones is how many ranges one ledger message carries at most, some
// 17 KB: below the smallest message size a tenant would be given.
const maxTombstones = 256

// tomb is a range of sequences that was given up.
type tomb struct {
	low, high uint64
	reason    string
	in        uint64 // the ledger message that publishes it, 0 when there is none yet
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
	joins := func(j int) bool { return t.list[j].in == 0 && t.list[j].reason == reason }
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

// unpublished reports whether a tombstone is in no ledger message yet.
func (t *tombs) unpublished() bool {
	return slices.ContainsFunc(t.list, func(d tomb) bool { return d.in == 0 })
}

// publish puts up to most unpublished tombstones, the lowest first, into ledger
// message seq and returns them.
func (t *tombs) publish(seq uint64, most int) []tomb {
	var out []tomb
	for i := range t.list {
		if d := &t.list[i]; d.in == 0 && len(out) < most {
			d.in = seq
			t.mark(d.low)
			out = append(out, *d)
		}
	}
	return out
}

// unpublish takes them out of ledger message seq again: it was not written, or refused.
func (t *tombs) unpublish(seq uint64) {
	for i := range t.list {
		if t.list[i].in == seq {
			t.list[i].in = 0
			t.mark(t.list[i].low)
		}
	}
}

// settle forgets what ledger message seq published: a reader has it.
func (t *tombs) settle(seq uint64) {
	t.list = slices.DeleteFunc(t.list, func(d tomb) bool {
		if d.in == seq {
			t.mark(d.low)
		}
		return d.in == seq
	})
}

// get returns the tombstone that begins at low.
func (t *tombs) get(low uint64) (tomb, bool) {
	if i := t.find(low); i < len(t.list) && t.list[i].low == low {
		return t.list[i], true
	}
	return tomb{}, false
}

// lowest returns the highest X for which all of 1…X are acknowledged, or in a
// tombstone for which published is true. first is the lowest that waits, 0 when
// none does; last the highest ever given.
func (t *tombs) lowest(first, last uint64, published func(tomb) bool) uint64 {
	x := last
	if first > 0 {
		x = first - 1
	}
	for _, d := range t.list {
		if d.low > x {
			break
		}
		if !published(d) {
			return d.low - 1
		}
	}
	return x
}
