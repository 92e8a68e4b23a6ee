package schedule

import (
	"context"
	"slices"
	"testing"
	"time"

	"midplane/event"
	"midplane/fault"
	"midplane/poller/collect"
	"midplane/telemetry"
)

// ending has a heartbeat and a metric for each run.
type ending struct{}

func (ending) On() bool { return true }
func (ending) Of(runs ...Run) (out []event.Event) {
	for _, r := range runs {
		out = append(out, r.Metrics...)
		out = append(out, collect.State(r.Target.Device, event.TypeSeen, event.Seen{Device: r.Target.Device}))
	}
	return out
}

func ended(device event.Entity) Run {
	return Run{Target: collect.Target{Device: device, Check: "c"}, Metrics: []event.Event{collect.Metric(device, event.TypePing, event.Ping{})}}
}

// A metric that cannot be kept costs no heartbeat and no other metric.
func TestRefusedMetricCostsNoHeartbeat(t *testing.T) {
	refused := fault.New(fault.Invalid, "a metric is refused")
	var kept []string
	s := New(Config{Summary: ending{}, Emit: func(_ context.Context, es ...event.Event) error {
		for _, e := range es {
			if e.Kind == event.KindMetric && e.Entity == "r1" {
				return refused // all or nothing, as the outbox does
			}
		}
		for _, e := range es {
			kept = append(kept, string(e.Entity)+" "+string(e.Type))
		}
		return nil
	}}, telemetry.Nop())
	s.sendEnds(t.Context(), []Run{ended("r1"), ended("r2")})
	want := []string{"r1 " + string(event.TypeSeen), "r2 " + string(event.TypePing), "r2 " + string(event.TypeSeen)}
	if !slices.Equal(kept, want) || !s.endsFail {
		t.Errorf("kept %v", kept)
	}
}

// The runs that end close to each other go out together, those of checks that are
// gone do not, and those that wait when the scheduler stops do.
func TestEndsGoOutTogether(t *testing.T) {
	puts := make(chan []event.Event, 10)
	s := New(Config{Poller: "p", Summary: ending{}, Emit: func(ctx context.Context, es ...event.Event) error {
		puts <- es
		return ctx.Err()
	}}, telemetry.Nop())
	for _, id := range []event.Entity{"r1", "r2"} {
		r := ended(id)
		s.tasks[r.Target.Entity()] = &task{}
		s.end(r)
	}
	s.end(ended("gone"))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { s.gather(ctx); close(done) }()
	if es := <-puts; len(es) != 4 {
		t.Errorf("%d messages went out together", len(es))
	}
	s.end(ended("r1"))
	stop()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it does not stop")
	}
	if es := <-puts; len(es) != 2 || s.endsFail {
		t.Errorf("%d messages went out at the end, failed: %v", len(es), s.endsFail)
	}
}
