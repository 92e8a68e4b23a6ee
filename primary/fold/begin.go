package fold

import (
	"time"

	"midplane/event"
)

// Extent is what the leader of a stream says it keeps. Of an empty stream
// First is Last+1.
type Extent struct {
	Incarnation uint64
	First, Last uint64

	// Identity is of the message at the cursor, 0 when it is not there.
	Identity uint64
	// Parted is the last message that was read and is still there, when another one
	// has the place of a message that was read since, or none; its Seq is 0 when no
	// such message is known.
	Parted *Mark
}

// Begin decides where to read a stream on from. c is the cursor, nil when the
// stream was never read; now is when reading begins. ok is false when it must
// not be read: it ends before the cursor although it is the same incarnation.
// Nothing is decided silently: each oddity is a finding.
func Begin(c *Cursor, stream string, e Extent, now time.Time) (next Cursor, found []Finding, ok bool) {
	switch {
	case c == nil:
		return Cursor{Incarnation: e.Incarnation, Seq: e.First - 1, Start: e.First, Began: now}, nil, true
	case e.Incarnation > c.Incarnation:
		renew, f := Renew(*c, stream, e.Incarnation, e.First, now)
		return renew, []Finding{f}, true
	case e.Parted != nil:
		next = *c
		next.Histories++
		next.Seq, next.Identity = max(e.Parted.Seq, e.First-1), 0
		if next.Seq == e.Parted.Seq {
			next.Identity = e.Parted.Identity
		}
		next.Marks = c.Marks.upTo(e.Parted.Seq)
		return next, []Finding{History(stream, *c, e.Parted.Seq)}, true
	case e.Last < c.Seq:
		return *c, []Finding{Ahead(stream, *c, e.Last)}, false
	case e.First > c.Seq+1 && stream != event.StreamState:
		next = *c
		next.Seq, next.Identity = e.First-1, 0
		return next, []Finding{Purged(stream, *c, e.First)}, true
	}
	next = *c
	if next.Identity == 0 {
		next.Identity = e.Identity // read by a version that kept none: it is believed, once
	}
	return next, nil, true
}
