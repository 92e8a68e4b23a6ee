package status

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/metric"

	"midplane/platform/control/canary"
	"midplane/platform/registry"
	"midplane/telemetry"
)

// Metrics is what a node reports to Prometheus beside what its parts count.
type Metrics struct {
	Node     string
	Registry *registry.Registry
	Server   Server
	Doors    Doors
}

// Observe registers what the control plane can be asked by Prometheus: the
// registry's revision as this node has it, and every tenant's use. A stream is
// reported by the node that leads it, so that sums over nodes are right.
func (m *Metrics) Observe(meter metric.Meter) (metric.Registration, error) {
	used, err := meter.Int64ObservableGauge(telemetry.MetricTenantBytes, metric.WithUnit(telemetry.UnitBytes),
		metric.WithDescription("bytes a stream uses, one copy; reported by its leader"))
	if err != nil {
		return nil, err
	}
	messages, err := meter.Int64ObservableGauge(telemetry.MetricTenantMessages, metric.WithUnit(telemetry.UnitMessages),
		metric.WithDescription("messages a stream holds; reported by its leader"))
	if err != nil {
		return nil, err
	}
	revision, err := meter.Int64ObservableGauge(telemetry.MetricRegistryRev,
		metric.WithDescription("revision of the registry that this node's doors run with"))
	if err != nil {
		return nil, err
	}
	proven, err := meter.Float64ObservableGauge(telemetry.MetricCanaryAge, metric.WithUnit(telemetry.UnitSeconds),
		metric.WithDescription("how long ago isolation of all tenants was last proven"))
	if err != nil {
		return nil, err
	}
	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		rev, _, _ := m.Doors.Loaded()
		o.ObserveInt64(revision, int64(rev), metric.WithAttributes(telemetry.AttrNode.String(m.Node)))
		if seen, ok := canary.LastProven(m.Registry); ok {
			o.ObserveFloat64(proven, time.Since(seen).Seconds(), metric.WithAttributes(telemetry.AttrNode.String(m.Node)))
		}
		for _, t := range m.Registry.View().Tenants {
			if t.Spec == nil || t.ID.OfSystem() {
				continue
			}
			for _, s := range m.Server.Streams(t.Account.Key) {
				if s.Leader != m.Node {
					continue
				}
				at := metric.WithAttributes(telemetry.AttrTenant.String(string(t.ID)), telemetry.AttrStream.String(s.Name))
				o.ObserveInt64(used, int64(s.Bytes), at)
				o.ObserveInt64(messages, int64(s.Messages), at)
			}
		}
		return nil
	}, used, messages, revision, proven)
}
