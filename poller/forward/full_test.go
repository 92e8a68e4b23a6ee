package forward

import (
	"encoding/json"
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

// TestFullMetricsAreThinned: METRICS is full and nothing may go. The poller's metrics
// stay below their part of the outbox, states and events are stored meanwhile, and
// when there is room again all that was not given up arrives.
func TestFullMetricsAreThinned(t *testing.T) {
	s := pollertest.Broker(t, t.TempDir(), -1)
	nc := pollertest.Connect(t, s.ClientURL(), "syd-01")
	js := pollertest.Streams(t, nc)
	stream, err := js.Stream(t.Context(), event.StreamMetrics)
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	cfg.MaxBytes, cfg.Discard = 64<<10, jetstream.DiscardNew
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	const size, series = 1 << 20, 40
	o, err := outbox.Open(t.Context(), outbox.Config{Path: pollertest.TempPath(t), Producer: "syd-01", BallastBytes: -1, MaxBytes: size,
		LedgerAfter: 10 * time.Millisecond, Version: func(event.Type) int { return 2 }}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	pollertest.Background(t, o.Run)
	f := New(nc, "syd-01", o, fast(), telemetry.Nop())
	pollertest.Background(t, f.Run)
	text := strings.Repeat("x", 1000)
	rounds := 0
	testwait.True(t, "metrics are thinned", func() bool {
		if o.Stats().Depth > size/2/1000 { // faster than they are thinned: a poller is not
			return o.Stats().Thinned > 3*series
		}
		for n := range series {
			m := pollertest.Message(event.KindMetric, fmt.Sprint("r", n), 0)
			m.Data = fmt.Appendf(nil, `{"n":%d,"x":%q}`, rounds, text)
			pollertest.Put(t, o, m)
		}
		pollertest.Put(t, o, pollertest.Message(event.KindState, "r1", rounds), pollertest.Message(event.KindEvent, "r1", rounds))
		rounds++
		return o.Stats().Thinned > 3*series
	})
	if g := o.Stats().GivenUp; g[outbox.ReasonFull] > 0 || g[outbox.ReasonRefused] > 0 {
		t.Errorf("given up otherwise: %v", g)
	}
	for _, k := range []event.Kind{event.KindState, event.KindEvent} {
		testwait.True(t, "all is stored in "+k.Stream(), func() bool {
			n := 0
			for _, e := range pollertest.Stored(t, js, k) {
				if !strings.HasPrefix(string(e.Type), "midplane.ledger.") {
					n++
				}
			}
			return n == rounds
		})
	}
	// The trimmer makes room, as often as it takes.
	sent, given := map[uint64]bool{}, map[uint64]bool{}
	testwait.True(t, "the outbox is empty, and the ledger says so", func() bool {
		info, err := stream.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range pollertest.Stored(t, js, event.KindMetric) {
			sent[e.Sequence] = true
			var l event.Ledger
			if e.Type == event.TypeLedgerMetric && json.Unmarshal(e.Data, &l) == nil {
				for _, d := range l.Tombstones {
					for seq := d.From; seq <= d.To; seq++ {
						if given[seq] = true; d.Reason != outbox.ReasonThinned {
							t.Fatalf("%+v", d)
						}
					}
				}
			}
		}
		if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(info.State.LastSeq+1)); err != nil {
			t.Fatal(err)
		}
		return o.Stats().Depth == 0 && int(o.Low(event.KindMetric)) >= rounds*series && len(sent)+len(given) >= int(o.Low(event.KindMetric))
	})
	for seq := range given {
		if sent[seq] {
			t.Errorf("metric %d was given up and sent", seq)
		}
	}
	t.Logf("%d samples, %d thinned, %d sent", rounds*series, len(given), len(sent))
}
