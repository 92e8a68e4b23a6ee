package outbox

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"midplane/event"
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

	Lanes []LaneStats // of each stream

	// Metrics that are given up since METRICS is full; 0 when none were lately.
	Thinned      uint64
	ThinnedSince time.Time

	// Messages that were given up since the outbox is at its limit; 0 when it is not.
	Overflow      uint64
	OverflowSince time.Time
}

// LaneStats is how one stream of an outbox is.
type LaneStats struct {
	Stream  string
	Low     uint64 // ce-low of a message that is sent now
	Waiting int64  // messages waiting or on their way
	Oldest  time.Duration
}

// Stats returns how the outbox is now.
func (o *Outbox) Stats() Stats {
	s := Stats{Epoch: o.id.epoch, Problem: o.trouble.String()}
	o.queue.stats(&s)
	return s
}

// observe shows depth and age as gauges until the returned function is called.
func (o *Outbox) observe() (unregister func()) {
	m := o.tel.Meter
	depth, _ := m.Int64ObservableGauge(telemetry.MetricOutboxDepth, metric.WithDescription("Messages waiting in the outbox."))
	age, _ := m.Float64ObservableGauge(telemetry.MetricOutboxAge, metric.WithUnit("s"),
		metric.WithDescription("Age of the oldest message in the outbox."))
	poller := metric.WithAttributes(telemetry.AttrPoller.String(string(o.id.producer)))
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

// giveUpCounter returns what counts messages of producer that are given up.
func giveUpCounter(tel telemetry.Telemetry, producer event.Producer) func(reason string) {
	// An instrument that cannot be made comes as one that does nothing.
	c, _ := tel.Meter.Int64Counter(telemetry.MetricOutboxGivenUp,
		metric.WithDescription("Messages given up on purpose, each with a tombstone."))
	return func(reason string) {
		c.Add(context.Background(), 1, metric.WithAttributes(
			telemetry.AttrPoller.String(string(producer)), attribute.KeyValue(telemetry.AttrReason.String(reason))))
	}
}

// putCounter returns what counts the messages of producer that are committed.
func putCounter(tel telemetry.Telemetry, producer event.Producer) func(entries []event.Event) {
	messages, _ := tel.Meter.Int64Counter(telemetry.MetricOutboxPut, metric.WithDescription("Messages put into the outbox."))
	bytes, _ := tel.Meter.Int64Counter(telemetry.MetricOutboxPutBytes, metric.WithUnit(telemetry.UnitBytes),
		metric.WithDescription("Bytes of the payloads of the messages put into the outbox."))
	var of [lanes]metric.MeasurementOption
	for l, kind := range kinds {
		of[l] = metric.WithAttributes(telemetry.AttrPoller.String(string(producer)), telemetry.AttrKind.String(string(kind)))
	}
	return func(entries []event.Event) {
		var n, size [lanes]int64
		for i := range entries {
			l, _ := laneOf(entries[i].Kind) // checked when it was put
			n[l]++
			size[l] += int64(len(entries[i].Data))
		}
		for l := range n {
			if n[l] > 0 {
				messages.Add(context.Background(), n[l], of[l])
				bytes.Add(context.Background(), size[l], of[l])
			}
		}
	}
}
