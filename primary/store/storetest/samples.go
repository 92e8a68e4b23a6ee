package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/event"
	"midplane/primary/store"
)

// history is the points of a device's round-trip time, in milliseconds.
func history(t *testing.T, s Store, device string) (points []float64) {
	t.Helper()
	for _, m := range ok(s.Device(ctx, api.DeviceRef{Tenant: "acme", Site: "syd", Device: device}))(t).Metrics {
		if m.Name == "rttMs" {
			for _, p := range m.Points {
				points = append(points, p.Value)
			}
		}
	}
	return points
}

// A sample that comes late stands in its place, and one that comes again with
// another value takes the place of the first, however far back: once each.
func lateSamples(t *testing.T, e Exam) {
	dir, now := t.TempDir(), t0
	opts := store.Options{Now: func() time.Time { return now }}
	s := e.Open(t, dir, opts)
	f := newFeed(t, s)
	f.state("r1", event.TypeDeclared, 0, event.Declared{Device: "r1"})
	ping := func(minute int, value float64) {
		now = t0.Add(time.Duration(minute) * time.Minute)
		f.put("acme", event.KindMetric, "r1", event.TypePing, now.Sub(t0), event.Ping{RTT: value})
	}
	for _, minute := range []int{0, 10, 30, 40} {
		ping(minute, float64(minute))
	}
	want := []float64{0, 10, 30, 40}
	for _, late := range []struct {
		minute int
		value  float64
		want   []float64
	}{
		{20, 20, []float64{0, 10, 20, 30, 40}},
		{20, 21, []float64{0, 10, 21, 30, 40}},
		{10, 11, []float64{0, 11, 21, 30, 40}},
		{40, 41, []float64{0, 11, 21, 30, 41}},
		{50, 50, []float64{0, 11, 21, 30, 41, 50}},
		{75, 75, []float64{21, 30, 41, 50, 75}},
		{71, 71, []float64{21, 30, 41, 50, 71, 75}},
		{5, 5, []float64{21, 30, 41, 50, 71, 75}}, // older than the window
	} {
		ping(late.minute, late.value)
		want = late.want
		if d := cmp.Diff(want, history(t, s, "r1")); d != "" {
			t.Fatalf("after minute %d: %s", late.minute, d)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = e.Open(t, dir, opts)
	t.Cleanup(func() { _ = s.Close() })
	if d := cmp.Diff(want, history(t, s, "r1")); d != "" {
		t.Errorf("after a restart: %s", d)
	}
}

// A series that ends keeps its last hour while others go on, and goes on where it
// ended.
func endedSeries(t *testing.T, e Exam) {
	now := t0
	s := e.open(t, store.Options{EventDays: 10, Now: func() time.Time { return now }})
	f := newFeed(t, s)
	for _, device := range []event.Entity{"ends", "goes-on"} {
		f.state(device, event.TypeDeclared, 0, event.Declared{Device: device})
	}
	ping := func(device event.Entity, minute int) {
		now = t0.Add(time.Duration(minute) * time.Minute)
		f.put("acme", event.KindMetric, device, event.TypePing, now.Sub(t0), event.Ping{RTT: float64(minute)})
	}
	var ended, on []float64
	for minute := range 300 {
		if minute <= 80 {
			ping("ends", minute)
		}
		ping("goes-on", minute)
		if minute >= 20 && minute <= 80 {
			ended = append(ended, float64(minute))
		}
		if minute >= 299-60 {
			on = append(on, float64(minute))
		}
	}
	for _, what := range []string{"before it is pruned", "after"} {
		if d := cmp.Diff(ended, history(t, s, "ends")); d != "" {
			t.Errorf("%s, the one that ended: %s", what, d)
		}
		if d := cmp.Diff(on, history(t, s, "goes-on")); d != "" {
			t.Errorf("%s, the other: %s", what, d)
		}
		ok(s.Prune(ctx))(t)
	}
	ping("ends", 301)
	if d := cmp.Diff([]float64{301}, history(t, s, "ends")); d != "" {
		t.Error(d)
	}
	// Nothing comes any more: what is too old goes all the same.
	now = now.Add(11 * 24 * time.Hour)
	ok(s.Prune(ctx))(t)
	if left := append(history(t, s, "ends"), history(t, s, "goes-on")...); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}
