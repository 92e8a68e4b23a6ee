package ingress

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"midplane/event"
	"midplane/telemetry"
)

// counts are one door's numbers. Plain atomics, read when somebody asks: a
// counter of the metrics library per message would be a tenth of its cost.
type counts struct {
	in      [4]atomic.Uint64 // accepted, by kind
	warned  atomic.Uint64
	n       atomic.Uint64
	latency metric.Float64Histogram
	attrs   metric.MeasurementOption

	mu       sync.Mutex
	refusals map[string]uint64
	drops    map[string]uint64
}

// latencyEvery is one in how many accepted messages is timed.
const latencyEvery = 16

func (c *counts) accepted(a *Admitted, began time.Time) {
	c.in[kindIndex(a.In.Kind)].Add(1)
	if a.Violation != "" {
		c.warned.Add(1)
	}
	if c.n.Add(1)%latencyEvery == 1 {
		c.latency.Record(context.Background(), time.Since(began).Seconds(), c.attrs)
	}
}

func (c *counts) refused(r *Refusal) {
	reason := r.Reason
	if reason == "" {
		reason = "unavailable"
	}
	if r.Detail != "" { // "rate producer bytes" says more than "rate"
		reason = strings.ReplaceAll(r.Detail, " ", "-")
	}
	c.mu.Lock()
	c.refusals[reason]++
	c.mu.Unlock()
}

func (c *counts) dropped(d Drop) {
	c.mu.Lock()
	c.drops[string(d)]++
	c.mu.Unlock()
}

var kinds = [4]event.Kind{event.KindEvent, event.KindState, event.KindMetric, event.KindDead}

// instruments are the ingress' metrics; they ask the doors.
type instruments struct {
	latency metric.Float64Histogram
}

func newInstruments(tel telemetry.Telemetry, doors func(func(*door))) (*instruments, error) {
	latency, err := tel.Meter.Float64Histogram(telemetry.MetricIngressLatency, metric.WithUnit("s"),
		metric.WithDescription("time from arrival at the door to forwarding, one message in 16"),
		metric.WithExplicitBucketBoundaries(0.000005, 0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.01, 0.1))
	if err != nil {
		return nil, err
	}
	accepted, err := tel.Meter.Int64ObservableCounter(telemetry.MetricIngressAccepted, metric.WithDescription("messages forwarded to a stream"))
	if err != nil {
		return nil, err
	}
	refused, err := tel.Meter.Int64ObservableCounter(telemetry.MetricIngressRefused, metric.WithDescription("messages refused with an answer"))
	if err != nil {
		return nil, err
	}
	dropped, err := tel.Meter.Int64ObservableCounter(telemetry.MetricIngressDropped, metric.WithDescription("messages dropped without an answer"))
	if err != nil {
		return nil, err
	}
	_, err = tel.Meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		doors(func(d *door) {
			tenant := telemetry.AttrTenant.String(string(d.tenant))
			for i, k := range kinds {
				o.ObserveInt64(accepted, int64(d.counts.in[i].Load()), metric.WithAttributes(tenant, telemetry.AttrKind.String(string(k))))
			}
			d.counts.mu.Lock()
			defer d.counts.mu.Unlock()
			observe := func(c metric.Int64Observable, m map[string]uint64) {
				for reason, n := range m {
					o.ObserveInt64(c, int64(n), metric.WithAttributes(tenant, telemetry.AttrReason.String(reason)))
				}
			}
			observe(refused, d.counts.refusals)
			observe(dropped, d.counts.drops)
			o.ObserveInt64(refused, int64(d.counts.warned.Load()), metric.WithAttributes(tenant, telemetry.AttrReason.String("warned")))
		})
		return nil
	}, accepted, refused, dropped)
	return &instruments{latency: latency}, err
}

func attributes(t event.Tenant) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(telemetry.AttrTenant.String(string(t))))
}
