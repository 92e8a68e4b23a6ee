package export

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"midplane/fault"
	"midplane/telemetry"
)

// scope is the name of the one meter of a process. Since all components share one
// meter, an instrument that two of them name is one metric, not two that collide
// when Prometheus scrapes.
const scope = "midplane"

// Export is a process's running telemetry.
type Export struct {
	cfg      Config
	log      *slog.Logger
	registry *prometheus.Registry
	traces   *sdktrace.TracerProvider
	metrics  *sdkmetric.MeterProvider

	mu     sync.Mutex
	checks []readyCheck
}

// Start reads cfg and begins to gather. It is no error when the receiver of traces
// cannot be reached: that is logged, and the next batch tries again.
func Start(ctx context.Context, cfg Config) (*Export, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Version == "" {
		cfg.Version = "devel"
	}
	if cfg.LogOutput == nil {
		cfg.LogOutput = os.Stderr
	}
	to, err := cfg.where()
	if err != nil {
		return nil, err
	}
	log, err := newLogger(cfg)
	if err != nil {
		return nil, err
	}
	res, err := describe(ctx, cfg)
	if err != nil {
		return nil, err
	}
	e := &Export{cfg: cfg, log: log}
	if e.registry, e.metrics, err = newMetrics(cfg, res); err != nil {
		return nil, err
	}
	if e.traces, err = newTraces(ctx, cfg, to, res, log); err != nil {
		return nil, errors.Join(err, e.metrics.Shutdown(ctx))
	}
	return e, nil
}

// Telemetry returns the telemetry for a component, whose name is in every line
// that it logs and on every span that it makes.
func (e *Export) Telemetry(component string) telemetry.Telemetry {
	return telemetry.Telemetry{
		Log:    e.log.With("component", component),
		Meter:  e.metrics.Meter(scope),
		Tracer: e.traces.Tracer(component),
	}
}

// Stop sends spans that are not sent yet and ends the telemetry. ctx bounds it.
func (e *Export) Stop(ctx context.Context) error {
	return fault.Wrap(fault.Other, errors.Join(e.traces.Shutdown(ctx), e.metrics.Shutdown(ctx)), "stop telemetry")
}

// describe names the process to the receiver of its telemetry. The command line is
// left out on purpose: it may hold a secret.
func describe(ctx context.Context, cfg Config) (*resource.Resource, error) {
	attrs := []resource.Option{
		resource.WithFromEnv(),
		resource.WithTelemetrySDK(),
		resource.WithHost(),
		resource.WithAttributes(semconv.ServiceName(cfg.Service), semconv.ServiceVersion(cfg.Version)),
	}
	if cfg.Instance != "" {
		attrs = append(attrs, resource.WithAttributes(semconv.ServiceInstanceID(cfg.Instance)))
	}
	res, err := resource.New(ctx, attrs...)
	if errors.Is(err, resource.ErrPartialResource) { // for instance a host without a name
		return res, nil
	}
	return res, fault.WithHint(fault.Wrap(fault.Invalid, err, "describe this process"), "check OTEL_RESOURCE_ATTRIBUTES")
}
