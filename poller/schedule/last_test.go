package schedule

import (
	"context"
	"slices"
	"testing"

	"midplane/event"
	"midplane/fault"
	"midplane/poller/collect"
	"midplane/telemetry"
)

// A metric that cannot be kept costs no heartbeat, and is named.
func TestRefusedMetricCostsNoHeartbeat(t *testing.T) {
	refused := fault.New(fault.Invalid, "a metric is refused")
	var kept []event.Type
	s := New(Config{Emit: func(_ context.Context, es ...event.Event) error {
		for _, e := range es {
			if e.Kind == event.KindMetric {
				return refused // all or nothing, as the outbox does
			}
		}
		for _, e := range es {
			kept = append(kept, e.Type)
		}
		return nil
	}}, telemetry.Nop())
	last := []event.Event{collect.Metric("r1", event.TypePing, event.Ping{}), collect.State("r1", event.TypeSeen, event.Seen{Device: "r1"})}
	if err := s.emitLast(t.Context(), last); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
	if !slices.Equal(kept, []event.Type{event.TypeSeen}) {
		t.Errorf("kept %v", kept)
	}
}
