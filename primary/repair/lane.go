package repair

import (
	"time"

	"midplane/primary/fold"
)

// lane is what is remembered of one producer's states of a device.
type lane struct {
	beat  fold.Heartbeat // the newest that is known
	equal bool           // the store had what beat says, and no state was folded since
	// silent: a state was newer than the heartbeat when they were compared. States
	// alone are no reason to compare again.
	silent bool

	due   time.Time // when to compare; zero: not
	first time.Time // when what makes it due began to change

	different bool
	asked     int       // requests since it became different
	next      time.Time // no other request before
	beaten    bool      // a heartbeat came since the last request: there is a poller that can answer
}

// patience is how many times Stand a lane that changes all the time is waited for.
const patience = 6

// longest is the longest distance between two requests for a lane.
const longest = time.Hour

// touch takes what a batch changed. A heartbeat that says what was found equal costs
// nothing more.
func (l *lane) touch(t fold.Touched, now time.Time, stand time.Duration) {
	changed := t.States
	if t.States {
		l.equal = false
	}
	if t.Beat != nil {
		changed = changed || *t.Beat != l.beat
		l.beat, l.beaten, l.silent = *t.Beat, true, false
		if changed {
			l.equal = false
		}
	}
	if l.equal || l.silent {
		return
	}
	switch {
	case l.due.IsZero():
		l.first, l.due = now, now.Add(stand)
	case changed:
		if l.first.IsZero() {
			l.first = now
		}
		l.due = earlier(now.Add(stand), l.first.Add(patience*stand))
	}
}

// taken notes that the lane is being compared: what touches it from now on makes it
// due again.
func (l *lane) taken() { l.due, l.first = time.Time{}, time.Time{} }

// settle takes the outcome of a comparison with h, and says whether to ask the
// poller now.
func (l *lane) settle(o outcome, h fold.Heartbeat, now time.Time) (ask bool) {
	touched := !l.due.IsZero() // since it was read: it is compared again
	switch o {
	case equal:
		l.different, l.asked, l.next = false, 0, time.Time{}
		if !touched {
			l.beat, l.equal = h, true
		}
	case unsettled:
		l.silent = !touched
	case different:
		l.different = true
		switch {
		case touched || !l.beaten:
		case now.Before(l.next):
			l.due = l.next
		default:
			return true
		}
	}
	return false
}

// requested notes that the poller was asked. The distance to the next request
// doubles with each.
func (l *lane) requested(now time.Time, stand time.Duration) {
	distance := stand
	for range l.asked {
		if distance *= 2; distance >= longest {
			distance = longest
			break
		}
	}
	l.asked++
	l.next, l.beaten = now.Add(distance), false
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
