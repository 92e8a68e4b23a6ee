package forward

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/metric"

	"midplane/telemetry"
)

// Rates returns how many messages a second are sent now at most, and the share
// that the pacer begins with.
func (p *Pacer) Rates() (now, share float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rate, float64(p.pace.Share.Messages)
}

// Observe shows the pace of user's poller in metrics until the returned function
// is called. waiting returns how many messages wait, and the age of the oldest.
func Observe(tel telemetry.Telemetry, user string, p *Pacer, waiting func() (int64, time.Duration)) (unregister func()) {
	// An instrument that cannot be made comes as one that does nothing.
	m := tel.Meter
	pace, _ := m.Float64ObservableGauge(telemetry.MetricForwardPace, metric.WithDescription("Messages a second that the poller sends at most at present."))
	share, _ := m.Float64ObservableGauge(telemetry.MetricForwardShare, metric.WithDescription("Messages a second that are the poller's share of its tenant's rate, with which it begins."))
	held, _ := m.Int64ObservableGauge(telemetry.MetricForwardHeld, metric.WithDescription("1 while a limit holds messages back for more than 30 seconds, else 0."))
	of := metric.WithAttributes(telemetry.AttrPoller.String(user))
	reg, err := m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		now, begin := p.Rates()
		o.ObserveFloat64(pace, now, of)
		o.ObserveFloat64(share, begin, of)
		n, age := waiting()
		back := int64(0)
		if p.Held(time.Now(), n, age) != nil {
			back = 1
		}
		o.ObserveInt64(held, back, of)
		return nil
	}, pace, share, held)
	if err != nil {
		return func() {}
	}
	return func() { _ = reg.Unregister() } // it is registered
}
