package access

import (
	"sync"
	"time"
)

// throttle slows down guessing. A try counts when it begins, so that a
// hundred at once are not a hundred free ones; success takes it back. It knows
// nothing of which names exist.
type throttle struct {
	now func() time.Time

	mu    sync.Mutex
	tries map[string]*tries
}

type tries struct {
	n     int
	last  time.Time
	until time.Time // refused before
}

// limit is one thing that is counted, and how many tries are free.
type limit struct {
	key  string
	free int
}

const (
	firstWait = 2 * time.Second
	longWait  = 15 * time.Minute
	forgotten = time.Hour // after the last try
	maxTries  = 10000
)

// begin counts a try against every limit, or says how long to wait.
func (t *throttle) begin(limits ...limit) (wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	for _, l := range limits {
		if one := t.tries[l.key]; one != nil && now.Before(one.until) {
			wait = max(wait, one.until.Sub(now))
		}
	}
	if wait > 0 {
		return wait
	}
	for _, l := range limits {
		one := t.tries[l.key]
		if one == nil || now.Sub(one.last) > forgotten {
			t.room(now)
			one = &tries{}
			t.tries[l.key] = one
		}
		one.n++
		one.last = now
		if over := one.n - l.free; over >= 0 {
			one.until = now.Add(min(firstWait<<min(over, 20), longWait))
		}
	}
	return 0
}

// good forgets the first limit and takes the try back from the others.
func (t *throttle) good(limits ...limit) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, l := range limits {
		one := t.tries[l.key]
		switch {
		case one == nil:
		case i == 0 || one.n <= 1:
			delete(t.tries, l.key)
		default:
			one.n--
			one.until = time.Time{}
		}
	}
}

// room makes place for one more: memory is bounded, however many addresses try.
func (t *throttle) room(now time.Time) {
	if len(t.tries) < maxTries {
		return
	}
	oldest := ""
	for key, one := range t.tries {
		if now.Sub(one.last) > forgotten {
			delete(t.tries, key)
		} else if oldest == "" || one.last.Before(t.tries[oldest].last) {
			oldest = key
		}
	}
	if len(t.tries) >= maxTries {
		delete(t.tries, oldest)
	}
}
