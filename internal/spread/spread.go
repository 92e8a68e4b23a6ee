// Package spread places what is done at an interval, so that not all of it is
// done at once: each thing has a phase of its own within its interval, the same
// after a restart. It is pure and imports the standard library only.
package spread

import (
	"hash/fnv"
	"time"
)

// Phase returns the place of name within interval, from its name alone.
func Phase(name string, interval time.Duration) time.Duration {
	if interval <= 0 {
		return 0
	}
	return time.Duration(hash(name, 0) % uint64(interval))
}

// Next returns the first time after now that lies phase behind a multiple of
// interval.
func Next(now time.Time, phase, interval time.Duration) time.Time {
	if interval <= 0 {
		return now
	}
	since := (time.Duration(now.UnixNano()) - phase) % interval
	if since < 0 {
		since += interval
	}
	return now.Add(interval - since)
}

// slot is about how finely an interval is shared out, maxSlots how often at most.
const (
	slot     = 250 * time.Millisecond
	maxSlots = 1024
)

// Slots shares out intervals evenly: of the two places that a name has in its
// interval, the emptier one is taken. By one place alone chance would pile up
// half as many again as there should be. The zero value is empty.
type Slots struct {
	used map[time.Duration][]int // by interval
}

// Place returns the phase of name within interval and counts it there.
func (s *Slots) Place(name string, interval time.Duration) time.Duration {
	if interval <= 0 {
		return 0
	}
	if s.used == nil {
		s.used = map[time.Duration][]int{}
	}
	used := s.used[interval]
	if used == nil {
		used = make([]int, max(1, min(maxSlots, int(interval/slot))))
		s.used[interval] = used
	}
	first, second := hash(name, 1), hash(name, 2)
	at := first % uint64(len(used))
	if other := second % uint64(len(used)); used[other] < used[at] {
		at = other
	}
	used[at]++
	width := uint64(interval) / uint64(len(used))
	return time.Duration(at*width + hash(name, 3)%width)
}

// Remove takes away what Place counted.
func (s *Slots) Remove(phase, interval time.Duration) {
	used := s.used[interval]
	if len(used) == 0 {
		return
	}
	width := interval / time.Duration(len(used))
	if at := min(int(phase/width), len(used)-1); used[at] > 0 {
		used[at]--
	}
}

// hash is FNV-1a, mixed.
func hash(name string, salt byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte{salt}) // a hash takes everything
	_, _ = h.Write([]byte(name))
	return Mix(h.Sum64())
}

// Mix spreads a hash over all of its bits with the finalizer of splitmix64: FNV
// alone leaves its high bits nearly alone for a change in the last bytes.
func Mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
