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
		return 2 + min(maxListed, bytes.Count(m.Data, []byte{'"'})/2)
	case event.TypeSeen: // every check is an object
		return 1 + min(maxChecks, bytes.Count(m.Data, []byte{'{'}))
	}
	return 1
}

// foldCounters makes of the counters of a device's interfaces, and of the timing
// that came with them, what one message each would have become: the series of each
// goes on, whichever way its samples come.
func foldCounters(ch *Changes, m *Message) {
	var l event.CountersList
	if json.Unmarshal(m.Data, &l) != nil {
		return // its schema was not enforced
	}
	at := m.Made()
	if t := l.Timing; t != nil {
		foldTiming(ch, m, t)
	}
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

func foldTiming(ch *Changes, m *Message, t *event.CheckTiming) {
	entity := m.Entity.Check(t.Check)
	if event.CheckEntity(entity) != nil {
		return // no message could be about it
	}
	if values, err := json.Marshal(t.Timing); err == nil { // numbers cannot fail
		ch.Samples = append(ch.Samples, Sample{SeriesKey{m.Site, entity, event.TypeTiming}, m.Made(), values})
	}
}
