package streams

import (
	"fmt"

	"midplane/event"
)

// When a stream is trimmed, and how far. Above TrimAbove percent of its share it
// is trimmed to trimTo percent, so that purges are few and large; above
// urgentAbove percent also purges of few messages are done.
const (
	TrimAbove   = 80
	trimTo      = 60
	urgentAbove = 95
)

// A purge is done only for at least this many messages, or this many percent of
// the stream: many small purges are expensive.
const (
	minPurge        = 1000
	minPurgePercent = 1
)

// Cursor is how far a registered reader has processed a stream: a primary's
// committed cursor, or the ack floor of a declared subscription.
type Cursor struct {
	Owner string
	Seq   uint64 // everything up to this sequence is processed; 0: nothing, or not known
	Hold  bool   // messages that this reader has not processed must not be dropped
}

// Trim is what the trimmer knows about one stream.
type Trim struct {
	Kind        event.Kind
	First, Last uint64
	Bytes       uint64
	Share       int64 // of the tenant's storage; 0 or less: no limit
	Cursors     []Cursor

	AgeFloor uint64 // first sequence younger than the retention; 0: not known, or no retention limit
	DupFloor uint64 // first sequence younger than the duplicate window; 0: not known, so nothing is purged
	// DoneFloor is the first sequence of which a copy may come yet: below it what is
	// inside the window may go as well. 0: not known.
	DoneFloor uint64
}

// Decision is what to do. PurgeTo is absolute: every sequence below it is purged;
// 0 means none. HeldBy names what prevents a purge that is due: a cursor's owner,
// or HeldByWindow.
type Decision struct {
	PurgeTo   uint64
	Reason    string
	HeldBy    string
	Overtakes []Cursor // readers that do not hold, and lose messages by this purge
}

// HeldByWindow is Decision.HeldBy when only the duplicate window prevents a purge:
// a stream forgets the id of a purged message, and would store its retry again.
const HeldByWindow = "the duplicate window"

// Floor returns the highest sequence up to which every holding cursor has
// processed the stream, and the owner of the cursor that is there; ok is false
// when no cursor holds.
func Floor(cursors []Cursor) (seq uint64, owner string, ok bool) {
	for _, c := range cursors {
		if c.Hold && (!ok || c.Seq < seq) {
			seq, owner, ok = c.Seq, c.Owner, true
		}
	}
	return seq, owner, ok
}

// Plan decides what to purge. It never purges a message that a holding cursor has
// not passed, or that is inside the duplicate window and of which a copy may come yet. It never returns a sequence
// of 0, which would empty the stream, nor one beyond Last+1, which would move the
// next sequence. Without a registered reader nothing is purged, except dead
// letters, which have no obligatory reader. STATE is never trimmed from the
// front; see TrimState.
func (t Trim) Plan() Decision {
	if t.Kind == event.KindState {
		return Decision{Reason: "state is kept"}
	}
	if t.Last == 0 || t.First > t.Last {
		return Decision{Reason: "empty"}
	}
	want, why := t.want()
	if want <= max(t.First, 1) {
		return Decision{Reason: "nothing to do"}
	}
	d := Decision{PurgeTo: want, Reason: why}
	seq, owner, registered := Floor(t.Cursors)
	if !registered && t.Kind != event.KindDead {
		return Decision{Reason: why + ", but no reader is registered"}
	}
	if registered && seq < d.PurgeTo-1 { // not seq+1: it may be the largest number there is
		d.PurgeTo, d.HeldBy = seq+1, owner
	}
	if floor := t.windowFloor(); floor < d.PurgeTo {
		d.PurgeTo, d.HeldBy = floor, HeldByWindow
	}
	if d.PurgeTo <= max(t.First, 1) {
		return Decision{Reason: fmt.Sprintf("%s, but held by %s", why, d.HeldBy), HeldBy: d.HeldBy}
	}
	if !t.worthwhile(d.PurgeTo - t.First) {
		return Decision{Reason: why + ", but too little for a purge", HeldBy: d.HeldBy}
	}
	for _, c := range t.Cursors {
		if !c.Hold && c.Seq < d.PurgeTo-1 {
			d.Overtakes = append(d.Overtakes, c)
		}
	}
	return d
}

// windowFloor is how far the duplicate window lets a purge go.
func (t Trim) windowFloor() uint64 {
	if t.DupFloor == 0 {
		return 0
	}
	return max(t.DupFloor, min(t.DoneFloor, t.Last+1))
}

// want returns how far age and space demand a purge, within First…Last+1, and why.
func (t Trim) want() (uint64, string) {
	age := min(t.AgeFloor, t.Last+1)
	space := t.spaceFloor()
	switch {
	case age > t.First && age >= space:
		return age, "past the retention"
	case space > t.First:
		return space, fmt.Sprintf("above %d %% of its space", TrimAbove)
	}
	return 0, ""
}

// spaceFloor estimates, by the average size, the first sequence to keep so
// that trimTo percent of the space is used.
func (t Trim) spaceFloor() uint64 {
	if !t.above(TrimAbove) {
		return 0
	}
	n := t.Last - t.First + 1
	excess := float64(t.Bytes) - float64(t.Share)*trimTo/100
	count := uint64(float64(n)*excess/float64(t.Bytes)) + 1
	return t.First + min(count, n)
}

func (t Trim) above(percent int) bool {
	return t.Share > 0 && float64(t.Bytes)*100 > float64(t.Share)*float64(percent)
}

func (t Trim) worthwhile(count uint64) bool {
	n := t.Last - t.First + 1
	return count >= minPurge || count >= (n+99)/100*minPurgePercent || t.above(urgentAbove)
}
