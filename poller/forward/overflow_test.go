package forward

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"midplane/event"
	"midplane/internal/testport"
	"midplane/internal/testwait"
	"midplane/poller/outbox"
	"midplane/poller/pollertest"
	"midplane/schemas/catalog"
	"midplane/telemetry"
)

// TestOverflowIsReported: the cluster is away until the outbox is at its limit, and the
// poller is restarted meanwhile. Once what waits has arrived, one event says how many
// messages of which stream were given up, which, of when, and why.
func TestOverflowIsReported(t *testing.T) {
	port := testport.Reserve(t)
	path := pollertest.TempPath(t)
	began := time.Now().Truncate(time.Millisecond)
	open := func() (*outbox.Outbox, func()) {
		o, err := outbox.Open(t.Context(), outbox.Config{Path: path, Producer: "syd-01", BallastBytes: -1, MaxBytes: 256 << 10, LedgerAfter: 10 * time.Millisecond}, telemetry.Nop())
		if err != nil {
			t.Fatal(err)
		}
		o.SetOverflows(true)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- o.Run(ctx) }()
		return o, func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	o, stop := open()
	text := strings.Repeat("x", 1000)
	round := 0
	fill := func(given uint64) {
		t.Helper()
		testwait.True(t, "messages are given up", func() bool {
			m := pollertest.Message(event.KindMetric, fmt.Sprint("r", round%20), round)
			m.Data = fmt.Appendf(nil, `{"n":%d,"x":%q}`, round, text)
			pollertest.Put(t, o, m)
			round++
			return o.Stats().GivenUp[outbox.ReasonFull] >= given
		})
	}
	fill(20)
	s := o.Stats()
	if s.Overflow == 0 || s.Overflow != s.GivenUp[outbox.ReasonFull] || s.OverflowSince.Before(began) {
		t.Fatalf("at its limit it says %+v", s)
	}
	stop()
	before := s.Overflow
	if n := saved(t, path); n != before {
		t.Fatalf("%d were given up, and the file says %d", before, n)
	}

	o, stop = open()
	if s := o.Stats(); s.Overflow != before {
		t.Fatalf("after a restart %d are known of %d", s.Overflow, before)
	}
	fill(20)
	want := before + o.Stats().GivenUp[outbox.ReasonFull]

	s2 := pollertest.Broker(t, t.TempDir(), port)
	nc := pollertest.Connect(t, s2.ClientURL(), "syd-01")
	js := pollertest.Streams(t, nc)
	pollertest.Background(t, New(nc, "syd-01", o, fast(), telemetry.Nop()).Run)
	var events []event.Event
	testwait.True(t, "the event is stored", func() bool {
		events = nil
		for _, e := range pollertest.Stored(t, js, event.KindEvent) {
			if e.Type == event.TypeOverflow {
				events = append(events, e)
			}
		}
		return len(events) > 0
	})
	pollertest.Drained(t, o)
	if len(events) != 1 || o.Stats().Overflow != 0 {
		t.Fatalf("%d events, and it still says %d", len(events), o.Stats().Overflow)
	}
	entry, _ := catalog.Set().Lookup(event.TypeOverflow)
	if bad := entry.Validator.Validate(events[0].Data); bad != nil {
		t.Errorf("no door takes %s: %v", events[0].Data, bad)
	}
	var said event.Overflow
	if err := json.Unmarshal(events[0].Data, &said); err != nil {
		t.Fatal(err)
	}
	if len(said.GivenUp) != 1 {
		t.Fatalf("%+v", said)
	}
	g := said.GivenUp[0]
	if g.Stream != event.StreamMetrics || g.Reason != outbox.ReasonFull || g.Messages != want || g.From != 1 || g.To < want || g.Oldest.Before(began) || g.Newest.Before(g.Oldest) ||
		said.Epoch != o.Epoch() || said.From.Before(began) || said.Until.Before(said.From) {
		t.Errorf("%d were given up, and it says %+v", want, said)
	}
	// What it says is what the ledger says.
	given := 0
	testwait.True(t, "the tombstones are stored", func() bool {
		seen := map[uint64]bool{}
		for _, e := range pollertest.Stored(t, js, event.KindMetric) {
			var l event.Ledger
			if e.Type == event.TypeLedgerMetric && json.Unmarshal(e.Data, &l) == nil {
				for _, d := range l.Tombstones {
					for n := d.From; n <= d.To; n++ {
						seen[n] = true
					}
				}
			}
		}
		given = len(seen)
		return given >= int(want)
	})
	if given != int(want) {
		t.Errorf("%d in tombstones, %d in the event", given, want)
	}
	stop()
	if saved(t, path) != 0 {
		t.Error("it is kept although it was reported")
	}
}

// saved is how many messages the file of an outbox says were given up.
func saved(t *testing.T, path string) (n uint64) {
	t.Helper()
	data, err := os.ReadFile(path + ".overflow")
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	var o event.Overflow
	if err == nil {
		err = json.Unmarshal(data, &o)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range o.GivenUp {
		n += g.Messages
	}
	return n
}
