package forward

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"midplane/bus"
	"midplane/event"
	"midplane/internal/testport"
	"midplane/internal/testwait"
	"midplane/poller/outbox"
	"midplane/poller/pollertest"
	"midplane/telemetry"
)

var sent = []event.Kind{event.KindEvent, event.KindState, event.KindMetric}

// checkStream: every id once, in order per entity, all sequences there, and no
// message claims more than what stood before it.
func checkStream(t *testing.T, got []event.Event, last uint64) {
	t.Helper()
	have := map[uint64]bool{}
	newest := map[event.Entity]uint64{}
	for _, e := range got {
		if have[e.Sequence] {
			t.Fatalf("%s is there twice", e.ID)
		}
		have[e.Sequence] = true
		if e.Sequence < newest[e.Entity] {
			t.Fatalf("%s of %s comes behind %d", e.ID, e.Entity, newest[e.Entity])
		}
		newest[e.Entity] = e.Sequence
		for s := uint64(1); s <= e.Low; s++ {
			if !have[s] {
				t.Fatalf("%s says low %d, but %d is not there", e.ID, e.Low, s)
			}
		}
	}
	for s := uint64(1); s <= last; s++ {
		if !have[s] {
			t.Fatalf("%d of %d is not there", s, last)
		}
	}
}

func TestForward(t *testing.T) {
	s := pollertest.Broker(t, t.TempDir(), -1)
	nc := pollertest.Connect(t, s.ClientURL(), "syd-01")
	js := pollertest.Streams(t, nc)
	o := pollertest.Open(t, pollertest.TempPath(t), 20*time.Millisecond)
	var wg sync.WaitGroup
	for g := range 10 {
		wg.Go(func() {
			for n := range 60 {
				if err := o.Put(t.Context(), pollertest.Message(sent[n%3], fmt.Sprint("r", g%5), n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	pollertest.Background(t, New(nc, "syd-01", o, fast(), telemetry.Nop()).Run)
	wg.Wait()
	// A stream that is quiet for a moment in between gets a ledger message too:
	// how many there are is the machine's business, where they are is not.
	for _, k := range sent {
		testwait.True(t, "the tail is covered by a ledger message", func() bool {
			got := pollertest.Stored(t, js, k)
			return len(got) > 200 && got[len(got)-1].Type == event.LedgerType(k) && o.Low(k) == uint64(len(got))
		})
	}
	pollertest.Drained(t, o)
	for _, k := range sent {
		got := pollertest.Stored(t, js, k)
		checkStream(t, got, uint64(len(got)))
		data := 0
		for i, e := range got {
			switch {
			case e.Type != event.LedgerType(k):
				data++
			case i > 0 && got[i-1].Type == e.Type:
				t.Errorf("%s: ledger message %d was caused by the one before it", k, e.Sequence)
			}
		}
		if tail := got[len(got)-1]; data != 200 || tail.Low != tail.Sequence-1 {
			t.Errorf("%s: %d messages besides the ledger's, the last has low %d of %d", k, data, tail.Low, tail.Sequence)
		}
	}
}

// TestForwardUnknown: silence, garbage, no leader and a full stream are tried
// again with the same id until it works, one message of an entity at a time.
func TestForwardUnknown(t *testing.T) {
	s := pollertest.Broker(t, t.TempDir(), -1)
	door := pollertest.Connect(t, s.ClientURL(), "door")
	var mu sync.Mutex
	tries, done, newest := map[string]int{}, map[string]bool{}, map[event.Entity]uint64{}
	pollertest.Ingress(t, door, func(id string, e event.Event) string {
		mu.Lock()
		defer mu.Unlock()
		if done[id] {
			return strings.Replace(pollertest.Ack(e), "}", `,"duplicate":true}`, 1)
		}
		if e.Sequence < newest[e.Entity] {
			t.Errorf("%s after %d of %s", id, newest[e.Entity], e.Entity)
		}
		tries[id]++
		switch try := tries[id]; {
		case try == 1 && e.Sequence%5 == 0:
			return "" // no answer
		case try == 1 && e.Sequence%5 == 1:
			return "nonsense"
		case try <= 2 && e.Sequence%5 == 2:
			return pollertest.Refusal(503, 10077, "full")
		case try <= 2 && e.Sequence%5 == 3:
			return pollertest.Refusal(429, 1, "too fast")
		case try == 1 && e.Sequence%5 == 4:
			return pollertest.Refusal(409, 10158, "same id in flight")
		}
		done[id], newest[e.Entity] = true, e.Sequence
		return pollertest.Ack(e)
	})
	o := pollertest.Open(t, pollertest.TempPath(t), time.Hour)
	for n := range 40 {
		pollertest.Put(t, o, pollertest.Message(event.KindState, fmt.Sprint("r", n%8), n))
	}
	f := New(pollertest.Connect(t, s.ClientURL(), "syd-01"), "syd-01", o, fast(), telemetry.Nop())
	f.timeout = 200 * time.Millisecond
	pollertest.Background(t, f.Run)
	pollertest.Drained(t, o)
	if f.Problem() == "" {
		t.Error("a full stream is no problem to report")
	}
	mu.Lock()
	defer mu.Unlock()
	for n := uint64(1); n <= 40; n++ {
		id := fmt.Sprintf("syd-01/%d/STATE/%d", o.Epoch(), n)
		if want := 2 + map[uint64]int{2: 1, 3: 1}[n%5]; tries[id] < want {
			t.Errorf("%s: %d tries, want %d", id, tries[id], want)
		}
	}
}

// TestForwardRefused: what is refused for good is given up, with a tombstone, and logged
// once a type.
func TestForwardRefused(t *testing.T) {
	s := pollertest.Broker(t, t.TempDir(), -1)
	door := pollertest.Connect(t, s.ClientURL(), "door")
	ledgers := make(chan event.Ledger, 100)
	pollertest.Ingress(t, door, func(_ string, e event.Event) string {
		if e.Type == event.TypeLedgerMetric {
			var l event.Ledger
			if err := json.Unmarshal(e.Data, &l); err != nil {
				t.Error(err)
			}
			ledgers <- l
		}
		if string(e.Data) == "13" {
			return pollertest.Refusal(400, 12001, "value: must not be 13")
		}
		return pollertest.Ack(e)
	})
	var log pollertest.Log
	tel := telemetry.Nop()
	tel.Log = slog.New(slog.NewTextHandler(&log, nil))
	o := pollertest.Open(t, pollertest.TempPath(t), 10*time.Millisecond)
	f := New(pollertest.Connect(t, s.ClientURL(), "syd-01"), "syd-01", o, fast(), tel)
	pollertest.Background(t, f.Run)
	for _, n := range []int{1, 13, 13, 2, 13} {
		pollertest.Put(t, o, pollertest.Message(event.KindMetric, "r1", n))
	}
	gone := map[uint64]bool{}
	for len(gone) < 3 {
		select {
		case l := <-ledgers:
			for _, tomb := range l.Tombstones {
				if tomb.Reason != outbox.ReasonRefused {
					t.Fatalf("%+v", tomb)
				}
				for n := tomb.From; n <= tomb.To; n++ {
					gone[n] = true
				}
			}
		case <-time.After(pollertest.Patience):
			t.Fatalf("only %v have tombstones", gone)
		}
	}
	if !gone[2] || !gone[3] {
		t.Fatalf("%v", gone)
	}
	pollertest.Drained(t, o)
	if n := o.Stats().GivenUp[outbox.ReasonRefused]; n != 3 {
		t.Errorf("%d counted", n)
	}
	if n := strings.Count(log.String(), "must not be 13"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
}

// TestForwardWaitsForNewerDoors: a type of ours that a door does not know waits until
// its node is a newer one; a type that is unknown to both is given up.
func TestForwardWaitsForNewerDoors(t *testing.T) {
	s := pollertest.Broker(t, t.TempDir(), -1)
	door := pollertest.Connect(t, s.ClientURL(), "door")
	var mu sync.Mutex
	newer, refusals := false, 0
	pollertest.Ingress(t, door, func(_ string, e event.Event) string {
		mu.Lock()
		defer mu.Unlock()
		if e.Type == event.TypePing && !newer || e.Type == "acme.thing.v1" {
			refusals++
			return pollertest.Refusal(400, bus.CodeUnknownType, "no schema is known for the type")
		}
		return pollertest.Ack(e)
	})
	o := pollertest.Open(t, pollertest.TempPath(t), time.Hour)
	f := New(pollertest.Connect(t, s.ClientURL(), "syd-01"), "syd-01", o, fast(), telemetry.Nop())
	pollertest.Background(t, f.Run)
	ours, strange := pollertest.Message(event.KindMetric, "r1", 1), pollertest.Message(event.KindMetric, "r2", 1)
	ours.Type, strange.Type = event.TypePing, "acme.thing.v1"
	pollertest.Put(t, o, ours, strange)
	testwait.True(t, "several refusals", func() bool { mu.Lock(); defer mu.Unlock(); return refusals > 4 })
	if s := o.Stats(); s.Depth != 1 || s.GivenUp[outbox.ReasonRefused] != 1 || !strings.Contains(f.Problem(), string(event.TypePing)) {
		t.Fatalf("%+v; problem %q", s, f.Problem())
	}
	mu.Lock()
	newer = true
	mu.Unlock()
	pollertest.Drained(t, o)
	if n := o.Stats().GivenUp[outbox.ReasonRefused]; n != 1 {
		t.Errorf("%d given up", n)
	}
}

// TestForwardDenied: a poller that is not welcome keeps what it has; a message
// that alone is not welcome is given up.
func TestForwardDenied(t *testing.T) {
	s := pollertest.Broker(t, t.TempDir(), -1)
	door := pollertest.Connect(t, s.ClientURL(), "door")
	var mu sync.Mutex
	welcome, denials := false, 0
	pollertest.Ingress(t, door, func(_ string, e event.Event) string {
		mu.Lock()
		defer mu.Unlock()
		if !welcome || string(e.Data) == "13" {
			denials++
			return pollertest.Refusal(403, 12002, "denied")
		}
		return pollertest.Ack(e)
	})
	o := pollertest.Open(t, pollertest.TempPath(t), time.Hour)
	f := New(pollertest.Connect(t, s.ClientURL(), "syd-01"), "syd-01", o, fast(), telemetry.Nop())
	pollertest.Background(t, f.Run)
	pollertest.Put(t, o, pollertest.Message(event.KindEvent, "r1", 1), pollertest.Message(event.KindEvent, "r2", 13))
	testwait.True(t, "several denials", func() bool { mu.Lock(); defer mu.Unlock(); return denials > 6 })
	if s := o.Stats(); s.Depth != 2 || len(s.GivenUp) != 0 {
		t.Fatalf("a poller that is not welcome threw away what it had: %+v", s)
	}
	mu.Lock()
	welcome = true
	mu.Unlock()
	pollertest.Drained(t, o)
	if n := o.Stats().GivenUp[outbox.ReasonRefused]; n != 1 {
		t.Fatalf("%d given up, want the one that is denied alone", n)
	}
}

// TestForwardReconnect: nothing in flight is forgotten when the server goes
// away and comes back, and nothing is stored twice.
func TestForwardReconnect(t *testing.T) {
	dir, port := t.TempDir(), testport.Reserve(t)
	s := pollertest.Broker(t, dir, port)
	nc := pollertest.Connect(t, s.ClientURL(), "syd-01")
	js := pollertest.Streams(t, nc)
	o := pollertest.Open(t, pollertest.TempPath(t), time.Hour)
	pollertest.Background(t, New(nc, "syd-01", o, fast(), telemetry.Nop()).Run)
	const rounds, each = 3, 200
	for range rounds {
		for n := range each {
			pollertest.Put(t, o, pollertest.Message(event.KindEvent, fmt.Sprint("r", n%40), n))
			if n == each/2 {
				s.Shutdown()
				s.WaitForShutdown()
				s = pollertest.Broker(t, dir, port)
			}
		}
	}
	pollertest.Drained(t, o)
	checkStream(t, pollertest.Stored(t, js, event.KindEvent), rounds*each)
}

// TestForwardGoesOver: connection after connection takes over while messages
// flow, and every message is there once and in order.
func TestForwardGoesOver(t *testing.T) {
	s := pollertest.Broker(t, t.TempDir(), -1)
	nc := pollertest.Connect(t, s.ClientURL(), "syd-01")
	js := pollertest.Streams(t, pollertest.Connect(t, s.ClientURL(), "reader"))
	o := pollertest.Open(t, pollertest.TempPath(t), time.Hour)
	f := New(nc, "syd-01", o, fast(), telemetry.Nop())
	pollertest.Background(t, f.Run)
	const rounds, each = 8, 100
	for round := range rounds {
		for n := range each {
			pollertest.Put(t, o, pollertest.Message(event.KindEvent, fmt.Sprint("r", n%40), n))
			if n != each/2 {
				continue
			}
			next := pollertest.Connect(t, s.ClientURL(), "syd-01")
			if err := f.Attach(next); err != nil {
				t.Fatal(err)
			}
			if round%2 == 0 {
				_ = nc.Drain()
			} else {
				nc.Close() // at once: answers get lost, and are asked for again
			}
			nc = next
		}
	}
	pollertest.Drained(t, o)
	checkStream(t, pollertest.Stored(t, js, event.KindEvent), rounds*each)
}
