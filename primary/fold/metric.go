package fold

import (
	"bytes"
	"encoding/json"
	"time"

	"midplane/event"
)

const (
	// Window is how much of a series is kept, measured back from its newest sample.
	Window = time.Hour
	// MaxFields is how many numbers of one metric message are kept.
	MaxFields = 64
	maxDepth  = 3
)

// SeriesKey names all series that come from one type of metric about one
// entity, within a tenant.
type SeriesKey struct {
	Site   event.Site
	Entity event.Entity
	Type   event.Type
}

// Sample is the numbers of one metric message. Values is a JSON object from
// field to number; a field of an object inside is "outer.inner".
type Sample struct {
	SeriesKey
	Time   time.Time
	Values []byte
}

func foldMetric(ch *Changes, m *Message) {
	if isLedger(m.Type) {
		return
	}
	if m.Type == event.TypeCountersList {
		foldCounters(ch, m) // the heartbeat of the same run says that the device was seen
		return
	}
	ch.seen(m)
	if values := numbers(m.Data); values != nil {
		ch.Samples = append(ch.Samples, Sample{SeriesKey{m.Site, m.Entity, m.Type}, m.Made(), values})
	}
}

// numbers returns the numeric fields of a payload, nil when there are none.
func numbers(data []byte) []byte {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // counters have 64 bits
	var doc map[string]any
	if d.Decode(&doc) != nil {
		return nil
	}
	out := make(map[string]json.Number, len(doc))
	collect(out, "", doc, 0)
	if len(out) == 0 {
		return nil
	}
	b, err := json.Marshal(out)
	if err != nil {
		return nil // numbers that were just read cannot fail
	}
	return b
}

func collect(out map[string]json.Number, prefix string, doc map[string]any, depth int) {
	for _, name := range sortedKeys(doc) {
		if len(out) >= MaxFields {
			return
		}
		switch v := doc[name].(type) {
		case json.Number:
			out[prefix+name] = v
		case map[string]any:
			if depth+1 < maxDepth {
				collect(out, prefix+name+".", v, depth+1)
			}
		}
	}
}
