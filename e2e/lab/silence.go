package lab

import (
	"slices"
	"time"
)

// mostSilent is how long a reader may get nothing while something is stored for it:
// longer than any fault of the rows that have it, since in some of them every node
// stands.
const mostSilent = 30 * time.Second

// silence is the longest time in which a reader got nothing new while something waited
// for it: from when it got the last, or the next was acknowledged to its producer,
// whichever is later, to when it got the next.
func silence(stored, got map[uint64]time.Time) (longest time.Duration, from time.Time) {
	type arrival struct{ stored, got time.Time }
	var all []arrival
	for seq, at := range got {
		if since, ok := stored[seq]; ok {
			all = append(all, arrival{since, at})
		}
	}
	slices.SortFunc(all, func(a, b arrival) int { return a.got.Compare(b.got) })
	// Of what comes after an arrival, the oldest had waited longest.
	for i := len(all) - 2; i >= 0; i-- {
		if all[i+1].stored.Before(all[i].stored) {
			all[i].stored = all[i+1].stored
		}
	}
	for i, a := range all {
		since := a.stored
		if i > 0 && all[i-1].got.After(since) {
			since = all[i-1].got
		}
		if d := a.got.Sub(since); d > longest {
			longest, from = d, since
		}
	}
	return longest, from
}
