package repair

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"midplane/event"
	"midplane/telemetry"
)

// metrics are the instruments of repairing.
type metrics struct {
	compared     metric.Int64Counter
	registration metric.Registration
}

// newMetrics makes them; each calls observe with how many devices differ.
func newMetrics(meter metric.Meter, each func(observe func(event.Tenant, int))) (*metrics, error) {
	m := &metrics{}
	var err error
	if m.compared, err = meter.Int64Counter(telemetry.MetricPrimaryCompared,
		metric.WithDescription("Devices whose states were compared with their heartbeat.")); err != nil {
		return nil, err
	}
	differ, err := meter.Int64ObservableGauge(telemetry.MetricPrimaryDifferent,
		metric.WithDescription("Devices whose states are not what their heartbeat says."))
	if err != nil {
		return nil, err
	}
	m.registration, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		each(func(t event.Tenant, n int) {
			o.ObserveInt64(differ, int64(n), metric.WithAttributes(telemetry.AttrTenant.String(string(t))))
		})
		return nil
	}, differ)
	return m, err
}

func (m *metrics) stop() { _ = m.registration.Unregister() } // it only says that it is gone already

func (m *metrics) compare(ctx context.Context, t event.Tenant, o outcome) {
	m.compared.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(
		telemetry.AttrTenant.String(string(t)), attribute.String("midplane.outcome", string(o)))))
}
