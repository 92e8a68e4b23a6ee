package export

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"

	"midplane/fault"
	"midplane/telemetry"
)

// maxSeries bounds the label sets of one metric; the SDK adds further ones up as
// otel_metric_overflow. Its default of 2,000 is too few for four streams of each
// of several hundred tenants.
const maxSeries = 20_000

// seconds are the buckets of every histogram in seconds. OpenTelemetry's defaults
// are made for milliseconds; an ingress answers within tens of microseconds.
var seconds = []float64{
	25e-6, 50e-6, 100e-6, 250e-6, 500e-6,
	1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3,
	1, 2.5, 5, 10, 30,
}

func newMetrics(cfg Config, res *resource.Resource) (*prometheus.Registry, *sdkmetric.MeterProvider, error) {
	reg := prometheus.NewRegistry()
	labels := prometheus.Labels{"service": cfg.Service, "version": cfg.Version, "goversion": runtime.Version()}
	if cfg.Instance != "" {
		labels["node"] = cfg.Instance
	}
	info := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "midplane_build_info", Help: "The program that runs; always 1.", ConstLabels: labels,
	}, func() float64 { return 1 })
	for _, c := range []prometheus.Collector{
		info,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := reg.Register(c); err != nil {
			return nil, nil, fault.Wrap(fault.Invalid, err, "register the process's own metrics")
		}
	}
	bridge, err := otelprom.New(otelprom.WithRegisterer(reg), otelprom.WithoutScopeInfo())
	if err != nil {
		return nil, nil, fault.Wrap(fault.Other, err, "prepare /metrics")
	}
	return reg, sdkmetric.NewMeterProvider(
		sdkmetric.WithResource(res),
		sdkmetric.WithReader(bridge),
		sdkmetric.WithCardinalityLimit(maxSeries),
		sdkmetric.WithView(sdkmetric.NewView(
			sdkmetric.Instrument{Kind: sdkmetric.InstrumentKindHistogram, Unit: telemetry.UnitSeconds},
			sdkmetric.Stream{Aggregation: sdkmetric.AggregationExplicitBucketHistogram{Boundaries: seconds}},
		)),
	), nil
}
