package main

import (
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/event"
)

// storedSize is how much messages of a type take in one copy of their stream.
type storedSize struct{ count, bytes int }

// recordBytes is what a stream's file has of a message beside subject, headers and
// payload.
const recordBytes = 22 + 8

func (s storedSize) add(m jetstream.Msg) storedSize {
	return storedSize{s.count + 1, s.bytes + storedBytes(m.Subject(), m.Headers(), len(m.Data()))}
}

// storedBytes is what a message takes in one copy of its stream.
func storedBytes(subject string, header nats.Header, payload int) int {
	size := recordBytes + len(subject) + payload + len("NATS/1.0\r\n\r\n")
	for name, values := range header {
		for _, v := range values {
			size += len(name) + len(": ") + len(v) + len("\r\n")
		}
	}
	return size
}

func (s storedSize) mean() int {
	if s.count == 0 {
		return 0
	}
	return s.bytes / s.count
}

// unchanged is how many bytes in one copy messages take that are sent after every
// run: heartbeats, of all devices, lists of counters, and timings of TCP checks.
func (r *streamReader) unchanged() (seen, counters, timing int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stored[event.TypeSeen].mean(), r.stored[event.TypeCountersList].mean(), r.stored[event.TypeTiming].mean()
}
