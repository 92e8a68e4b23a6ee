package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/bus"
	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/streams"
	"midplane/telemetry"
)

// streamReader reads everything that the streams take, as it comes.
type streamReader struct {
	nc   *nats.Conn
	info jetstream.JetStream // through the control plane's way, which alone has stream infos

	reading sync.WaitGroup
	stop    func() // ends reading

	mu      sync.Mutex
	ledgers map[ledgerKey]*ledger
	delays  []delay
	checks  map[string]bool // entities of the checks that were seen
	alarms  []string
	read    map[string]uint64 // by stream, the last sequence
	stored  map[event.Type]storedSize
	problem error
}

// ledgerKey names one producer's sequences.
type ledgerKey struct {
	producer event.Producer
	stream   string
	epoch    int64
}

// ledger is what came of one producer's sequences in one stream.
type ledger struct {
	times []uint8 // by sequence, how often it came
	tombs []event.Tombstone
	low   uint64 // everything to here was acknowledged, by the producer's account
}

// delay is how long a message took from when it was seen to the door.
type delay struct {
	seen time.Time
	took time.Duration
}

func streamNames() []string {
	return []string{event.StreamEvents, event.StreamState, event.KindMetric.Stream()}
}

// readStreams begins to read a tenant's streams at their beginning.
func readStreams(ctx context.Context, c *testcluster.Cluster, tenant string) (*streamReader, error) {
	r, err := connectReader(ctx, c, tenant)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(r.nc)
	if err != nil {
		return nil, err
	}
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = func() { stop(); r.reading.Wait() }
	for _, name := range streamNames() {
		r.reading.Go(func() {
			err := streams.Follow(reading, js, streams.ReadConfig{Stream: name}, func(m jetstream.Msg, at *jetstream.MsgMetadata) error {
				r.take(m, at)
				return nil
			})
			if reading.Err() == nil {
				r.fail(fmt.Errorf("read %s: %w", name, err))
			}
		})
	}
	return r, nil
}

// connectReader connects to a tenant's streams and reads nothing yet.
func connectReader(ctx context.Context, c *testcluster.Cluster, tenant string) (*streamReader, error) {
	raw, err := c.Raw(ctx, tenant)
	if err != nil {
		return nil, err
	}
	r := &streamReader{stop: func() {}, ledgers: map[ledgerKey]*ledger{}, checks: map[string]bool{}, read: map[string]uint64{}, stored: map[event.Type]storedSize{}}
	if r.nc, err = bus.Connect(bus.Config{Servers: c.Servers(), User: raw.User, Name: "bench reader", CredsFile: raw.Creds, MaxWait: 10 * time.Second}, telemetry.Nop()); err != nil {
		return nil, err
	}
	if r.info, err = jetstream.NewWithAPIPrefix(r.nc, raw.Capability.API()); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *streamReader) close() {
	r.stop()
	r.nc.Close()
}

func (r *streamReader) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problem = err
}

// take enters one message.
func (r *streamReader) take(m jetstream.Msg, meta *jetstream.MsgMetadata) {
	e, err := bus.Parse(m.Subject(), m.Headers(), m.Data())
	if err != nil {
		r.fail(fmt.Errorf("message %s: %w", m.Subject(), err))
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read[meta.Stream] = meta.Sequence.Stream
	if e.Type == event.TypeAlarm {
		r.alarms = append(r.alarms, string(e.Data))
	}
	if e.Sequence == 0 {
		return // of the control plane, which keeps no ledger
	}
	key := ledgerKey{e.Producer, meta.Stream, e.Epoch}
	a := r.ledgers[key]
	if a == nil {
		a = &ledger{}
		r.ledgers[key] = a
	}
	a.enter(e)
	r.stored[e.Type] = r.stored[e.Type].add(m)
	switch e.Type {
	case event.TypeLedgerEvent, event.TypeLedgerState, event.TypeLedgerMetric:
		var l event.Ledger
		if err := json.Unmarshal(e.Data, &l); err != nil {
			r.problem = err
		}
		for _, t := range l.Tombstones {
			if t.Epoch == e.Epoch || t.Epoch == 0 {
				a.tombs = append(a.tombs, t)
			}
		}
		return // it speaks of messages and is seen at no device
	case event.TypeCheck:
		r.checks[string(e.Entity)] = true
	}
	received := e.Received
	if received.IsZero() {
		received = meta.Timestamp // of a compact message
	}
	r.delays = append(r.delays, delay{e.Time, received.Sub(e.Time)})
}

func (a *ledger) enter(e event.Event) {
	for uint64(len(a.times)) <= e.Sequence {
		a.times = append(a.times, 0)
	}
	a.times[e.Sequence] = min(a.times[e.Sequence], 254) + 1
	a.low = max(a.low, e.Low)
}

// seen is how many checks were seen.
func (r *streamReader) seen() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.checks)
}

// took returns the delays in seconds of what was seen between two moments.
func (r *streamReader) took(from, to time.Time) (out []float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.delays {
		if !d.seen.Before(from) && d.seen.Before(to) {
			out = append(out, d.took.Seconds())
		}
	}
	return out
}

// received is how many messages the doors took in each second between two moments.
func (r *streamReader) received(from, to time.Time) []float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]float64, max(int(to.Sub(from)/time.Second), 1))
	for _, d := range r.delays {
		if s := d.seen.Add(d.took).Sub(from); s >= 0 && int(s/time.Second) < len(out) {
			out[int(s/time.Second)]++
		}
	}
	return out
}

// reckoning is what came of every sequence that was acknowledged.
type reckoning struct {
	messages, doubled, lost int
	givenUp                 map[string]int // by reason
	first                   []string       // of those that are lost
	alarms                  []string
}

// reckon compares what was read with what the producers report as acknowledged.
// STATE keeps the last message of a subject only, so that what is missing there
// may have been overwritten before it was read: the primary's ledger judges it.
func (r *streamReader) reckon() (out reckoning, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out.givenUp = map[string]int{}
	for key, a := range r.ledgers {
		gone := make([]bool, len(a.times))
		for _, t := range a.tombs {
			for s := t.From; s <= t.To && s < uint64(len(gone)); s++ {
				if !gone[s] {
					out.givenUp[t.Reason]++
				}
				gone[s] = true
			}
		}
		for s := uint64(1); s < uint64(len(a.times)); s++ {
			switch n := a.times[s]; {
			case n > 0:
				out.messages++
				out.doubled += int(n) - 1
			case gone[s] || s > a.low || key.stream == event.StreamState:
			default:
				out.lost++
				if len(out.first) < 10 {
					out.first = append(out.first, fmt.Sprintf("%s of %s: %d", key.stream, key.producer, s))
				}
			}
		}
	}
	out.alarms = slices.Clone(r.alarms)
	return out, r.problem
}

// behind is how many messages of the streams were not read yet.
func (r *streamReader) behind(ctx context.Context) (n uint64, err error) {
	for _, name := range streamNames() {
		s, err := r.info.Stream(ctx, name)
		if err != nil {
			return 0, fmt.Errorf("look at %s: %w", name, err)
		}
		last := s.CachedInfo().State.LastSeq
		r.mu.Lock()
		n += last - min(r.read[name], last)
		r.mu.Unlock()
	}
	return n, nil
}
