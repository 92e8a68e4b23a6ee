package poller

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"midplane/event"
	"midplane/poller/outbox"
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
	s := broker(t, t.TempDir(), -1)
	nc := connect(t, s.ClientURL(), "syd-01")
	js := streams(t, nc)
	o := openBox(t, tempPath(t), 20*time.Millisecond)
	var wg sync.WaitGroup
	for g := range 10 {
		wg.Go(func() {
			for n := range 60 {
				if err := o.Put(t.Context(), message(sent[n%3], fmt.Sprint("r", g%5), n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	background(t, newForwarder(nc, "syd-01", o, telemetry.Nop()).Run)
	wg.Wait()
	// A stream that is quiet for a moment in between gets a ledger message too:
	// how many there are is the machine's business, where they are is not.
	for _, k := range sent {
		eventually(t, "the tail is covered by a ledger message", func() bool {
			got := stored(t, js, k)
			return len(got) > 200 && got[len(got)-1].Type == event.LedgerType(k) && o.Low(k) == uint64(len(got))
		})
	}
	drained(t, o)
	for _, k := range sent {
		got := stored(t, js, k)
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
	s := broker(t, t.TempDir(), -1)
	door := connect(t, s.ClientURL(), "door")
	var mu sync.Mutex
	tries, done, newest := map[string]int{}, map[string]bool{}, map[event.Entity]uint64{}
	ingress(t, door, func(id string, e event.Event) string {
		mu.Lock()
		defer mu.Unlock()
		if done[id] {
			return strings.Replace(ack(e), "}", `,"duplicate":true}`, 1)
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
			return refusal(503, 10077, "full")
		case try <= 2 && e.Sequence%5 == 3:
			return refusal(429, 1, "too fast")
		case try == 1 && e.Sequence%5 == 4:
			return refusal(409, 10158, "same id in flight")
		}
		done[id], newest[e.Entity] = true, e.Sequence
		return ack(e)
	})
	o := openBox(t, tempPath(t), time.Hour)
	for n := range 40 {
		put(t, o, message(event.KindState, fmt.Sprint("r", n%8), n))
	}
	f := newForwarder(connect(t, s.ClientURL(), "syd-01"), "syd-01", o, telemetry.Nop())
	f.timeout = 200 * time.Millisecond
	background(t, f.Run)
	drained(t, o)
	if f.problem() == "" {
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

// TestForwardRefused: what is refused for good is given up, told, and logged
// once a type.
func TestForwardRefused(t *testing.T) {
	s := broker(t, t.TempDir(), -1)
	door := connect(t, s.ClientURL(), "door")
	told := make(chan event.Ledger, 100)
	ingress(t, door, func(_ string, e event.Event) string {
		if e.Type == event.TypeLedgerMetric {
			var l event.Ledger
			if err := json.Unmarshal(e.Data, &l); err != nil {
				t.Error(err)
			}
			told <- l
		}
		if string(e.Data) == "13" {
			return refusal(400, 12001, "value: must not be 13")
		}
		return ack(e)
	})
	var log syncBuffer
	tel := telemetry.Nop()
	tel.Log = slog.New(slog.NewTextHandler(&log, nil))
	o := openBox(t, tempPath(t), 10*time.Millisecond)
	f := newForwarder(connect(t, s.ClientURL(), "syd-01"), "syd-01", o, tel)
	background(t, f.Run)
	for _, n := range []int{1, 13, 13, 2, 13} {
		put(t, o, message(event.KindMetric, "r1", n))
	}
	gone := map[uint64]bool{}
	for len(gone) < 3 {
		select {
		case l := <-told:
			for _, tomb := range l.Tombstones {
				if tomb.Reason != outbox.ReasonRefused {
					t.Fatalf("%+v", tomb)
				}
				for n := tomb.From; n <= tomb.To; n++ {
					gone[n] = true
				}
			}
		case <-time.After(patience):
			t.Fatalf("told only of %v", gone)
		}
	}
	if !gone[2] || !gone[3] {
		t.Fatalf("%v", gone)
	}
	drained(t, o)
	if n := o.Stats().GivenUp[outbox.ReasonRefused]; n != 3 {
		t.Errorf("%d counted", n)
	}
	if n := strings.Count(log.String(), "must not be 13"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
}

// TestForwardDenied: a poller that is not welcome keeps what it has; a message
// that alone is not welcome is given up.
func TestForwardDenied(t *testing.T) {
	s := broker(t, t.TempDir(), -1)
	door := connect(t, s.ClientURL(), "door")
	var mu sync.Mutex
	welcome, denials := false, 0
	ingress(t, door, func(_ string, e event.Event) string {
		mu.Lock()
		defer mu.Unlock()
		if !welcome || string(e.Data) == "13" {
			denials++
			return refusal(403, 12002, "denied")
		}
		return ack(e)
	})
	o := openBox(t, tempPath(t), time.Hour)
	f := newForwarder(connect(t, s.ClientURL(), "syd-01"), "syd-01", o, telemetry.Nop())
	background(t, f.Run)
	put(t, o, message(event.KindEvent, "r1", 1), message(event.KindEvent, "r2", 13))
	eventually(t, "several denials", func() bool { mu.Lock(); defer mu.Unlock(); return denials > 6 })
	if s := o.Stats(); s.Depth != 2 || len(s.GivenUp) != 0 {
		t.Fatalf("a poller that is not welcome threw away what it had: %+v", s)
	}
	mu.Lock()
	welcome = true
	mu.Unlock()
	drained(t, o)
	if n := o.Stats().GivenUp[outbox.ReasonRefused]; n != 1 {
		t.Fatalf("%d given up, want the one that is denied alone", n)
	}
}

// TestForwardReconnect: nothing in flight is forgotten when the server goes
// away and comes back, and nothing is stored twice.
func TestForwardReconnect(t *testing.T) {
	dir := t.TempDir()
	s := broker(t, dir, -1)
	nc := connect(t, s.ClientURL(), "syd-01")
	js := streams(t, nc)
	o := openBox(t, tempPath(t), time.Hour)
	background(t, newForwarder(nc, "syd-01", o, telemetry.Nop()).Run)
	const rounds, each = 3, 200
	for range rounds {
		for n := range each {
			put(t, o, message(event.KindEvent, fmt.Sprint("r", n%40), n))
			if n == each/2 {
				port := s.Addr().String()
				s.Shutdown()
				s.WaitForShutdown()
				var p int
				if _, err := fmt.Sscanf(port[strings.LastIndex(port, ":")+1:], "%d", &p); err != nil {
					t.Fatal(err)
				}
				s = broker(t, dir, p)
			}
		}
	}
	drained(t, o)
	checkStream(t, stored(t, js, event.KindEvent), rounds*each)
}
