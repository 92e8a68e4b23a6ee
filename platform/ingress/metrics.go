package ingress

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"midplane/api"
	"midplane/event"
	"midplane/platform/ingress/admit"
	"midplane/telemetry"
)

// counts are one door's numbers. Plain atomics, read when they are asked for: a
// counter of the metrics library per message would be a tenth of its cost.
type counts struct {
	in      [4]atomic.Uint64 // accepted, by kind
	bytes   [4]atomic.Uint64 // of them
	largest atomic.Int64     // payload of one of them
	warned  atomic.Uint64
	n       atomic.Uint64
	latency metric.Float64Histogram
	attrs   metric.MeasurementOption

	tooLarge, nodeFull atomic.Uint64    // refusals
	full               [4]atomic.Uint64 // by kind

	mu       sync.Mutex
	refusals map[string]uint64
	drops    map[string]uint64
}

// latencyEvery is one in how many accepted messages is timed.
const latencyEvery = 16

// accepted counts a message of size bytes. One goroutine calls it, the door's own.
func (c *counts) accepted(a *admit.Admitted, size int, began time.Time) {
	k := kindIndex(a.In.Kind)
	c.in[k].Add(1)
	c.bytes[k].Add(uint64(size))
	if n := int64(len(a.Msg.Data)); n > c.largest.Load() {
		c.largest.Store(n)
	}
	if a.Violation != "" {
		c.warned.Add(1)
	}
	if c.n.Add(1)%latencyEvery == 1 {
		c.latency.Record(context.Background(), time.Since(began).Seconds(), c.attrs)
	}
}

func (c *counts) refused(r *admit.Refusal) {
	switch r.Code {
	case admit.CodeSize:
		c.tooLarge.Add(1)
	case admit.CodeNodeFull:
		c.nodeFull.Add(1)
	}
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

func (c *counts) dropped(d admit.Drop) {
	c.mu.Lock()
	c.drops[string(d)]++
	c.mu.Unlock()
}

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
	bytes, err := tel.Meter.Int64ObservableCounter(telemetry.MetricIngressBytes, metric.WithUnit(telemetry.UnitBytes), metric.WithDescription("bytes of the messages forwarded to a stream"))
	if err != nil {
		return nil, err
	}
	limited, err := tel.Meter.Int64ObservableCounter(telemetry.MetricIngressLimited, metric.WithDescription("messages refused because of a rate, by the limit and the producer; beyond 32 producers of a tenant the others are _others"))
	if err != nil {
		return nil, err
	}
	_, err = tel.Meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		doors(func(d *door) {
			tenant := telemetry.AttrTenant.String(string(d.tenant))
			for i, k := range event.Kinds {
				of := metric.WithAttributes(tenant, telemetry.AttrKind.String(string(k)))
				o.ObserveInt64(accepted, int64(d.counts.in[i].Load()), of)
				o.ObserveInt64(bytes, int64(d.counts.bytes[i].Load()), of)
			}
			for producer, by := range d.limit.refusedByProducer() {
				for i, n := range by {
					if n > 0 {
						o.ObserveInt64(limited, int64(n), metric.WithAttributes(tenant, telemetry.AttrProducer.String(producer), telemetry.AttrLimit.String(api.Limits[i])))
					}
				}
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
	}, accepted, bytes, refused, dropped, limited)
	return &instruments{latency: latency}, err
}

func attributes(t event.Tenant) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(telemetry.AttrTenant.String(string(t))))
}
