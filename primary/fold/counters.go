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
	if m.Type == event.TypeSeen { // every check is an object
		return 1 + min(maxChecks, bytes.Count(m.Data, []byte{'{'}))
	}
	return 1
}

// foldCounters keeps the counters of a device's interfaces, and the timing that
// came with them, as one sample: a row of its own for each would be a page of the
// disk written for each. It is of the first interface, since the lists of one run
// have the same time.
func foldCounters(ch *Changes, m *Message) {
	var l event.CountersList
	if json.Unmarshal(m.Data, &l) != nil || len(l.Index) == 0 {
		return // its schema was not enforced
	}
	l.Index = l.Index[:min(maxListed, len(l.Index))]
	entity := m.Entity.Interface(l.Index[0])
	if event.CheckEntity(entity) != nil {
		return // no message could be about it
	}
	if values, err := json.Marshal(l); err == nil { // strings and numbers cannot fail
		ch.Samples = append(ch.Samples, Sample{SeriesKey{m.Site, entity, event.TypeCountersList}, m.Made(), values})
	}
}

// Unpack returns what a sample of a list stands for, one sample an interface and
// one of the timing, as one message each would have become: the series of each goes
// on, whichever way its samples came. Any other sample stands for itself.
func (s Sample) Unpack() []Sample {
	if s.Type != event.TypeCountersList {
		return []Sample{s}
	}
	var l event.CountersList
	if json.Unmarshal(s.Values, &l) != nil {
		return nil
	}
	device := s.Entity.Device()
	var out []Sample
	add := func(entity event.Entity, typ event.Type, v any) {
		if event.CheckEntity(entity) != nil {
			return // no message could be about it
		}
		if values, err := json.Marshal(v); err == nil { // numbers cannot fail
			out = append(out, Sample{SeriesKey{s.Site, entity, typ}, s.Time, values})
		}
	}
	if t := l.Timing; t != nil {
		add(device.Check(t.Check), event.TypeTiming, t.Timing)
	}
	for i, index := range l.Index {
		add(device.Interface(index), event.TypeCounters, l.At(i))
	}
	return out
}
