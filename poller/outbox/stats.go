package outbox

import (
	"context"
	"maps"
	"time"

	"go.opentelemetry.io/otel/metric"

	"midplane/telemetry"
)

// Stats is how an outbox is.
type Stats struct {
	Epoch    int64
	Depth    int64             // messages waiting or on their way
	InFlight int               // of them, on their way
	Oldest   time.Duration     // age of the oldest of them, 0 when there is none
	GivenUp  map[string]uint64 // messages since the start, by reason
	Problem  string            // why nothing, or soon nothing, can be kept; "" normally
}

// Stats returns how the outbox is now.
func (o *Outbox) Stats() Stats {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := Stats{Epoch: o.epoch, Depth: int64(o.ix.depth), InFlight: len(o.ix.flying), GivenUp: maps.Clone(o.givenUp), Problem: o.trouble.String()}
	var oldest int64
	for l := range o.ix.lanes {
		if r := o.ix.lanes[l].first; r != nil && (oldest == 0 || r.put < oldest) {
			oldest = r.put
		}
	}
	if oldest > 0 {
		s.Oldest = max(0, time.Since(time.UnixMilli(oldest)))
	}
	return s
}

// observe shows depth and age as gauges until the returned function is called.
func (o *Outbox) observe() (unregister func()) {
	m := o.tel.Meter
	depth, _ := m.Int64ObservableGauge(telemetry.MetricOutboxDepth, metric.WithDescription("Messages waiting in the outbox."))
	age, _ := m.Float64ObservableGauge(telemetry.MetricOutboxAge, metric.WithUnit("s"),
		metric.WithDescription("Age of the oldest message in the outbox."))
	poller := metric.WithAttributes(telemetry.AttrPoller.String(string(o.cfg.Producer)))
	reg, err := m.RegisterCallback(func(_ context.Context, obs metric.Observer) error {
		s := o.Stats()
		obs.ObserveInt64(depth, s.Depth, poller)
		obs.ObserveFloat64(age, s.Oldest.Seconds(), poller)
		return nil
	}, depth, age)
	if err != nil {
		return func() {}
	}
	return func() { _ = reg.Unregister() } // it is registered
}
