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
// lists of at most so many bytes each. The first list also has the check's timing.
func group(device event.Entity, metrics []event.Event, largest int) []event.Event {
	lists, rest := countersOf(device, metrics, max(largest, leastMessage))
	if len(lists) > 0 {
		rest = lists[0].takeTiming(device, rest)
	}
	for _, l := range lists {
		e := collect.Metric(device, event.TypeCountersList, l.CountersList)
		e.Time, e.TraceParent, e.TraceState = l.first.Time, l.first.TraceParent, l.first.TraceState
		rest = append(rest, e)
	}
	return rest
}

// list is one list, and the first message that went into it.
type list struct {
	event.CountersList
	first event.Event
	size  int
}

func countersOf(device event.Entity, metrics []event.Event, largest int) (lists []*list, rest []event.Event) {
	for _, e := range metrics {
		kind, index := e.Entity.Part()
		var c event.Counters
		if e.Type != event.TypeCounters || kind != "if" || e.Entity.Device() != device || json.Unmarshal(e.Data, &c) != nil {
			rest = append(rest, e)
			continue
		}
		if n := len(lists); n == 0 || lists[n-1].size+len(e.Data) > largest {
			lists = append(lists, &list{CountersList: event.CountersList{Device: device}, first: e})
		}
		l := lists[len(lists)-1]
		l.Add(index, c)
		l.size += len(e.Data) // a row is shorter in the list: the names are there once
	}
	return lists, rest
}

// takeTiming moves the timing of a check of the device from the metrics into the list.
func (l *list) takeTiming(device event.Entity, metrics []event.Event) (rest []event.Event) {
	for _, e := range metrics {
		kind, name := e.Entity.Part()
		timing := event.CheckTiming{Check: name}
		if l.Timing != nil || e.Type != event.TypeTiming || kind != "check" || e.Entity.Device() != device || json.Unmarshal(e.Data, &timing.Timing) != nil {
			rest = append(rest, e)
			continue
		}
		l.Timing = &timing
	}
	return rest
}
