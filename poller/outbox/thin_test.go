package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"midplane/event"
	"midplane/internal/testwait"
)

// full answers "full" to metrics, ten on their way at once, until they are thinned or
// so many were answered. What else comes is acknowledged.
func full(t *testing.T, o *Outbox, answers int) {
	t.Helper()
	for n := 0; n < answers && o.Stats().Thinned == 0; {
		events, _, _ := o.queue.take(time.Now().Add(time.Hour), 10) // after every pause
		if len(events) == 0 {
			t.Fatal("nothing may be sent")
		}
		for i := range events {
			if events[i].Kind != event.KindMetric {
				o.Ack(&events[i])
				continue
			}
			o.Full(&events[i])
			n++
		}
	}
}

// TestThinned: while METRICS is full, one sample in two of the same is given up, as
// often as it takes, the newest never; states and events are not. What was given up
// is published.
func TestThinned(t *testing.T) {
	const series, samples = 12, 16
	for _, version := range []int{1, 2} {
		o, _ := opened(t, Config{Path: filepath.Join(t.TempDir(), "o.db"), MaxBytes: 512 << 10, LedgerAfter: time.Millisecond, Version: func(event.Type) int { return version }})
		for n := range samples {
			for s := range series {
				put(t, o, sample(fmt.Sprint("m", s), fmt.Sprintf(`{"n":%d,"x":%s}`, n, kilo)))
			}
		}
		full(t, o, 4*breakAfter)
		s := o.Stats()
		if half := uint64(series * samples / 2); s.Thinned > half || s.Thinned < half-10 || s.GivenUp[ReasonThinned] != s.Thinned || s.ThinnedSince.IsZero() || time.Since(s.ThinnedSince) > testwait.Patience {
			t.Fatalf("%+v", s)
		}
		// The next time the older are thinned once more; states and events go on.
		for n := samples; n < samples+samples/2; n++ {
			for s := range series {
				put(t, o, sample(fmt.Sprint("m", s), fmt.Sprintf(`{"n":%d,"x":%s}`, n, kilo)))
			}
		}
		put(t, o, state("s", "1"), happened("e", "1"))
		testwait.True(t, "thinned once more", func() bool {
			events, _, _ := o.queue.take(time.Now().Add(time.Hour), 10)
			for i := range events {
				if events[i].Kind == event.KindMetric {
					o.Full(&events[i])
				} else {
					o.Ack(&events[i])
				}
			}
			return o.Stats().Thinned > s.Thinned
		})
		checkThinned(t, o, series, samples+samples/2, map[int]string{1: ReasonFull, 2: ReasonThinned}[version])
	}
}

// checkThinned drains the metrics: of each series come the newest, and of the others
// the more the newer they are; every number is there or in a tombstone.
func checkThinned(t *testing.T, o *Outbox, series, samples int, reason string) {
	t.Helper()
	got, given, last := map[event.Entity][]int{}, map[uint64]bool{}, uint64(series*samples)
	ctx, cancel := context.WithTimeout(t.Context(), testwait.Patience)
	defer cancel()
	have := map[uint64]bool{}
	for o.Low(event.KindMetric) < last {
		soon, stop := context.WithTimeout(ctx, 100*time.Millisecond) // all may be sent, and the last not be deleted yet
		events, err := o.Next(soon, 10)
		stop()
		if ctx.Err() != nil || err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		for i := range events {
			e := &events[i]
			switch {
			case e.Type == event.TypeLedgerMetric:
				have[e.Sequence] = true
				var l event.Ledger
				if err := json.Unmarshal(e.Data, &l); err != nil {
					t.Fatal(err)
				}
				for _, d := range l.Tombstones {
					if d.Reason != reason {
						t.Fatalf("a tombstone says %q, want %q", d.Reason, reason)
					}
					for seq := d.From; seq <= d.To; seq++ {
						given[seq] = true
					}
				}
			case e.Kind == event.KindMetric:
				var x struct{ N int }
				if err := json.Unmarshal(e.Data, &x); err != nil {
					t.Fatal(err)
				}
				got[e.Entity], have[e.Sequence] = append(got[e.Entity], x.N), true
			case e.Kind != event.KindState && e.Kind != event.KindEvent:
				t.Fatalf("%+v", e)
			}
			o.Ack(e)
		}
	}
	for seq := uint64(1); seq <= last; seq++ {
		if have[seq] == given[seq] {
			t.Errorf("metric %d: sent %v, given up %v", seq, have[seq], given[seq])
		}
	}
	for ent, numbers := range got {
		slices.Sort(numbers)
		half := 0
		for _, n := range numbers {
			if n < samples/2 {
				half++
			}
		}
		if numbers[len(numbers)-1] != samples-1 || half >= len(numbers)-half || half == 0 {
			t.Errorf("%s: %v of %d are left", ent, numbers, samples)
		}
	}
	if len(got) != series {
		t.Errorf("%d series are left", len(got))
	}
}

// TestNotThinned: what is offline, denied, or little is not thinned.
func TestNotThinned(t *testing.T) {
	o, _ := opened(t, Config{Path: filepath.Join(t.TempDir(), "o.db"), MaxBytes: 512 << 10})
	for n := range 4 {
		for s := range 3 * breakAfter {
			put(t, o, sample(fmt.Sprint("m", s), fmt.Sprint(n)))
		}
	}
	full(t, o, 3*breakAfter)
	if s := o.Stats(); s.Thinned != 0 || s.Depth != 4*3*breakAfter {
		t.Errorf("little: %+v", s)
	}
	for n := range 2 {
		for s := range 3 * breakAfter {
			put(t, o, sample(fmt.Sprint("m", s), fmt.Sprintf(`{"n":%d,"x":%s}`, n, kilo)))
		}
	}
	for range 2 * breakAfter {
		events, _, _ := o.queue.take(time.Now().Add(time.Hour), 1)
		o.Postpone(&events[0])
	}
	if s := o.Stats(); s.Thinned != 0 || s.Depth != 6*3*breakAfter {
		t.Errorf("postponed: %+v", s)
	}
}

// TestThinningIsQuick: the worst case, in which no two neighbours go, of as many
// metrics as an outbox of the usual size has when they are thinned.
func TestThinningIsQuick(t *testing.T) {
	const bytes, size = DefaultMaxBytes / thinPart, 600
	id := newIdentity(producer, 1)
	q := newQueue(id, Config{Window: DefaultWindow, MaxBytes: DefaultMaxBytes}, &kept{}, func(string) {})
	ls := &q.ix.lanes[metrics]
	for seq := uint64(1); ls.bytes <= bytes; seq++ {
		// Of each series two in a row: one goes, one stays.
		q.ix.add(metrics, seq, event.Entity(fmt.Sprint("r", seq%3000/2)), "net.test.metric.v1", 1, size, nil)
	}
	ls.refused = breakAfter
	began := time.Now()
	q.thin(began)
	took := time.Since(began)
	t.Logf("%d of %d in %s, %d tombstones", q.thinned.samples, q.ix.depth, took, len(q.ledgers[metrics].tombs.list))
	if q.thinned.samples < uint64(q.ix.depth)/3 || took > 10*time.Second { // some 50 ms; the rest is for slow machines
		t.Errorf("%d of %d in %s", q.thinned.samples, q.ix.depth, took)
	}
}
