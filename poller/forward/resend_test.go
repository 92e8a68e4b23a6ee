package forward

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/event"
	"midplane/internal/testwait"
	"midplane/poller/outbox"
	"midplane/poller/pollertest"
	"midplane/telemetry"
)

// TestSentOnceMore: messages that were acknowledged and that the streams lost are sent
// once more, under the same ids and sequences. While the stream remembers an id it
// takes none with it, so that is tried again until it has forgotten.
func TestSentOnceMore(t *testing.T) {
	s := pollertest.Broker(t, t.TempDir(), -1)
	nc := pollertest.Connect(t, s.ClientURL(), "syd-01")
	js := pollertest.Streams(t, nc)
	o := pollertest.Open(t, pollertest.TempPath(t), time.Hour)
	f := New(nc, "syd-01", o, fast(), telemetry.Nop())
	f.resends.every = 50 * time.Millisecond
	pollertest.Background(t, f.Run)
	for n := range 20 {
		pollertest.Put(t, o, pollertest.Message(event.KindEvent, fmt.Sprint("r", n%4), n), pollertest.Message(event.KindMetric, fmt.Sprint("r", n%4), n))
	}
	pollertest.Drained(t, o)
	was := map[event.Kind][]event.Event{}
	for _, k := range []event.Kind{event.KindEvent, event.KindMetric} {
		was[k] = pollertest.Stored(t, js, k)
		stream, err := js.Stream(t.Context(), k.Stream())
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	kept := func(k event.Kind) []event.Event {
		t.Helper()
		events, err := o.Kept(k, 5, 14, 100)
		if err != nil || len(events) != 10 {
			t.Fatalf("%d messages are kept: %v", len(events), err)
		}
		return events
	}
	f.SendAgain(kept(event.KindEvent)...)
	f.SendAgain(kept(event.KindMetric)...)
	testwait.True(t, "all was tried", func() bool {
		f.resends.mu.Lock()
		defer f.resends.mu.Unlock()
		for _, m := range f.resends.all {
			if m.due.IsZero() {
				return false
			}
		}
		return len(f.resends.all) == 20
	})
	// Now the streams forget; what else comes has nothing to do with it.
	for k := range was {
		forget(t, js, k)
	}
	pollertest.Put(t, o, pollertest.Message(event.KindEvent, "late", 99))
	for k, before := range was {
		testwait.True(t, "ten are stored again in "+k.Stream(), func() bool {
			n := 0
			for _, e := range pollertest.Stored(t, js, k) {
				if e.Entity != "late" {
					n++
				}
			}
			return n == 10
		})
		sent := map[uint64]event.Event{}
		for _, e := range before {
			sent[e.Sequence] = e
		}
		for _, e := range pollertest.Stored(t, js, k) {
			if e.Entity == "late" {
				continue
			}
			b := sent[e.Sequence]
			if e.ID != b.ID || e.Entity != b.Entity || e.Type != b.Type || string(e.Data) != string(b.Data) || !e.Time.Equal(b.Time) || e.Epoch != b.Epoch || e.Sequence < 5 || e.Sequence > 14 {
				t.Errorf("%+v\nwas\n%+v", e, b)
			}
			if e.Low >= e.Sequence {
				t.Errorf("%s has ce-low %d: no door takes it", e.ID, e.Low)
			}
		}
	}
	testwait.True(t, "nothing is left to be sent once more", func() bool {
		f.resends.mu.Lock()
		defer f.resends.mu.Unlock()
		return len(f.resends.all) == 0
	})
	if s := o.Stats(); s.GivenUp[outbox.ReasonRefused] > 0 {
		t.Errorf("%+v", s)
	}
}

// forget has a stream forget the ids that it has had.
func forget(t *testing.T, js jetstream.JetStream, k event.Kind) {
	t.Helper()
	stream, err := js.Stream(t.Context(), k.Stream())
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	cfg.Duplicates = 100 * time.Millisecond
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
}

// TestSentOnceMoreIsRefused: what a door will never take is not tried again.
func TestSentOnceMoreIsRefused(t *testing.T) {
	s := pollertest.Broker(t, t.TempDir(), -1)
	door := pollertest.Connect(t, s.ClientURL(), "door")
	tries := make(chan string, 100)
	pollertest.Ingress(t, door, func(id string, e event.Event) string {
		if strings.HasSuffix(id, "/3") {
			tries <- id
			return pollertest.Refusal(400, 10900, "no")
		}
		return pollertest.Ack(e)
	})
	nc := pollertest.Connect(t, s.ClientURL(), "syd-01")
	o := pollertest.Open(t, pollertest.TempPath(t), time.Hour)
	f := New(nc, "syd-01", o, fast(), telemetry.Nop())
	f.resends.every = 10 * time.Millisecond
	pollertest.Background(t, f.Run)
	e := pollertest.Message(event.KindEvent, "r1", 1)
	e.ID, e.MsgID, e.Epoch, e.Sequence = "syd-01/1/EVENTS/3", "syd-01/1/EVENTS/3", 1, 3
	f.SendAgain(e)
	<-tries
	testwait.True(t, "it is given up", func() bool {
		f.resends.mu.Lock()
		defer f.resends.mu.Unlock()
		return len(f.resends.all) == 0
	})
}
