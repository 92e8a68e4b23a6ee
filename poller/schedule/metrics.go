package schedule

import (
	"context"

	"go.opentelemetry.io/otel/metric"

	"midplane/event"
	"midplane/telemetry"
)

// What takes a place for a run: a check whose last run was not slow, or one whose
// last run was.
const (
	placeUsual = "usual"
	placeSlow  = "slow"
)

// used returns how many places are taken. A slow run that still waits for one of
// all places counts as one that has it.
func (s *slots) used() (usual, slow int) {
	slow = len(s.slow)
	return max(0, len(s.all)-slow), slow
}

// observe shows the places for runs in metrics until the returned function is called.
func (s *Scheduler) observe(poller event.Producer) (unregister func()) {
	m := s.tel.Meter
	used, _ := m.Int64ObservableGauge(telemetry.MetricCollectPlaces, metric.WithDescription("Places for runs of checks that are taken; slow are those of checks whose last run waited in vain."))
	bound, _ := m.Int64ObservableGauge(telemetry.MetricCollectBound, metric.WithDescription("Places for runs of checks that there are; those of slow checks are a part of the usual ones."))
	of := func(kind string) metric.MeasurementOption {
		return metric.WithAttributes(telemetry.AttrPoller.String(string(poller)), telemetry.AttrKind.String(kind))
	}
	usual, slow := of(placeUsual), of(placeSlow)
	reg, err := m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		u, sl := s.slots.used()
		o.ObserveInt64(used, int64(u), usual)
		o.ObserveInt64(used, int64(sl), slow)
		o.ObserveInt64(bound, int64(cap(s.slots.all)), usual)
		o.ObserveInt64(bound, int64(cap(s.slots.slow)), slow)
		return nil
	}, used, bound)
	if err != nil {
		return func() {}
	}
	return func() { _ = reg.Unregister() } // it is registered
}
