package control

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/metric"

	"midplane/platform/control/registry"
	"midplane/telemetry"
)

// observe registers what the control plane can be asked by Prometheus: the
// registry's revision as this node has it, and every tenant's use. A stream is
// reported by the node that leads it, so that sums over nodes are right.
func (c *Control) observe() (metric.Registration, error) {
	used, err := c.tel.Meter.Int64ObservableGauge(telemetry.MetricTenantBytes, metric.WithUnit(telemetry.UnitBytes),
		metric.WithDescription("bytes a stream uses, one copy; reported by its leader"))
	if err != nil {
		return nil, err
	}
	messages, err := c.tel.Meter.Int64ObservableGauge(telemetry.MetricTenantMessages, metric.WithUnit(telemetry.UnitMessages),
		metric.WithDescription("messages a stream holds; reported by its leader"))
	if err != nil {
		return nil, err
	}
	revision, err := c.tel.Meter.Int64ObservableGauge(telemetry.MetricRegistryRev,
		metric.WithDescription("revision of the registry that this node's doors run with"))
	if err != nil {
		return nil, err
	}
	proven, err := c.tel.Meter.Float64ObservableGauge(telemetry.MetricCanaryAge, metric.WithUnit(telemetry.UnitSeconds),
		metric.WithDescription("how long ago isolation of all tenants was last proven"))
	if err != nil {
		return nil, err
	}
	c.sightings, err = c.tel.Meter.Int64Counter(telemetry.MetricCanaryLeaks, metric.WithDescription("markers of the isolation canary that were seen in this tenant and published in another; reported by the leading node"))
	if err != nil {
		return nil, err
	}
	return c.tel.Meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		rev, _, _ := c.cfg.Doors.Loaded()
		o.ObserveInt64(revision, int64(rev), metric.WithAttributes(telemetry.AttrNode.String(c.cfg.Node)))
		if _, seen, ok := registry.Get[canaryRound](c.reg, keyCanary); ok {
			o.ObserveFloat64(proven, time.Since(seen).Seconds(), metric.WithAttributes(telemetry.AttrNode.String(c.cfg.Node)))
		}
		for _, t := range c.reg.View().Tenants {
			if t.Spec == nil {
				continue
			}
			for _, s := range c.cfg.Server.Streams(t.Account.Key) {
				if s.Leader != c.cfg.Node {
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
