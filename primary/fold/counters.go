package fold

import (
	"bytes"
	"encoding/json"

	"midplane/event"
)

// What one message may become at most, as its schema says: a schema is not enforced
// everywhere.
const (
	maxListed = 10_000 // interfaces of a list of counters
	maxChecks = 1000   // checks of a heartbeat
)

// Rows returns how many rows a message becomes at most, so that a transaction can
// be kept bounded. It is an upper bound that costs less than reading the payload.
func (m *Message) Rows() int {
	switch m.Type {
	case event.TypeCountersList: // every index is a string
		return 1 + min(maxListed, bytes.Count(m.Data, []byte{'"'})/2)
	case event.TypeSeen: // every check is an object
		return 1 + min(maxChecks, bytes.Count(m.Data, []byte{'{'}))
	}
	return 1
}

// foldCounters makes of the counters of a device's interfaces what one message an
// interface would have become: the series of each goes on, whichever way its
// counters come.
func foldCounters(ch *Changes, m *Message) {
	var l event.CountersList
	if json.Unmarshal(m.Data, &l) != nil {
		return // its schema was not enforced
	}
	at := m.Made()
	for i, index := range l.Index[:min(maxListed, len(l.Index))] {
		entity := m.Entity.Interface(index)
		if event.CheckEntity(entity) != nil {
			continue // no message could be about it
		}
		values, err := json.Marshal(l.At(i))
		if err != nil {
			continue // numbers cannot fail
		}
		ch.Samples = append(ch.Samples, Sample{SeriesKey{m.Site, entity, event.TypeCounters}, at, values})
	}
}
