package heartbeat

import (
	"encoding/json"

	"midplane/event"
	"midplane/poller/collect"
)

const (
	// messagePart is which part of the tenant's largest message a list may take.
	messagePart = 4
	// leastMessage is for a tenant whose messages are very small.
	leastMessage = 1 << 10
)

// group returns a run's metrics with the counters of the device's interfaces as
// lists of at most so many bytes each.
func group(device event.Entity, metrics []event.Event, largest int) []event.Event {
	largest = max(largest, leastMessage)
	var out []event.Event
	var list event.CountersList
	var first event.Event
	size := 0
	flush := func() {
		if len(list.Index) == 0 {
			return
		}
		e := collect.Metric(device, event.TypeCountersList, list)
		e.Time, e.TraceParent, e.TraceState = first.Time, first.TraceParent, first.TraceState
		out = append(out, e)
		list, size = event.CountersList{Device: device}, 0
	}
	list.Device = device
	for _, e := range metrics {
		kind, index := e.Entity.Part()
		var c event.Counters
		if e.Type != event.TypeCounters || kind != "if" || e.Entity.Device() != device || json.Unmarshal(e.Data, &c) != nil {
			out = append(out, e)
			continue
		}
		if size+len(e.Data) > largest {
			flush()
		}
		if len(list.Index) == 0 {
			first = e
		}
		list.Add(index, c)
		size += len(e.Data) // a row is shorter in the list: the names are there once
	}
	flush()
	return out
}
