package streams

import (
	"slices"

	"midplane/event"
	"midplane/subject"
)

// Removed is a device that the tenant's file no longer declares. Seq is the
// sequence of the message in STATE that declares the removal.
type Removed struct {
	Site   event.Site
	Device event.Entity
	Seq    uint64
}

// SubjectPurge purges the messages of one stored subject below sequence Before.
type SubjectPurge struct {
	Subject string
	Before  uint64
}

// TrimState plans what to purge from STATE: everything about removed devices (and
// their interfaces and checks), once every registered cursor has passed the
// message that declares the removal, and that message is older than the
// duplicate window. subjects are the stored subjects of the stream. A device
// that is declared again must not be among removed. Without a registered reader
// nothing is purged.
func TrimState(removed []Removed, subjects []string, cursors []Cursor, dupFloor uint64) []SubjectPurge {
	floor, _, registered := Floor(cursors)
	if !registered || dupFloor == 0 {
		return nil
	}
	type key struct {
		site   event.Site
		device event.Entity
	}
	before := min(floor, dupFloor-1) + 1
	gone := map[key]bool{}
	for _, r := range removed {
		if r.Seq > 0 && r.Seq < before {
			gone[key{r.Site, r.Device}] = true
		}
	}
	var out []SubjectPurge
	for _, s := range slices.Sorted(slices.Values(subjects)) {
		st, err := subject.ParseStored(s)
		if err != nil || st.Kind != event.KindState || !gone[key{st.Site, st.Entity.Device()}] {
			continue
		}
		out = append(out, SubjectPurge{Subject: s, Before: before})
	}
	return out
}
