// Package telemetry carries traces through messages and names every attribute
// and metric once. It uses the OpenTelemetry API only, so that every layer may
// import it; package telemetry/export, of the top layer, decides where the data
// goes.
package telemetry

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// Telemetry is the logger, meter and tracer that every long-lived component below
// the top layer gets as an argument.
type Telemetry struct {
	Log    *slog.Logger
	Meter  metric.Meter
	Tracer trace.Tracer
}

// Nop returns a Telemetry that keeps nothing.
func Nop() Telemetry {
	return Telemetry{
		Log:    slog.New(slog.DiscardHandler),
		Meter:  metricnoop.NewMeterProvider().Meter(""),
		Tracer: tracenoop.NewTracerProvider().Tracer(""),
	}
}

// With returns t with attributes on every line it logs.
func (t Telemetry) With(args ...any) Telemetry {
	t.Log = t.Log.With(args...)
	return t
}

// carrier is a W3C carrier of two lower-case names. OpenTelemetry's own header
// carrier would write "Traceparent"; NATS compares header names with case.
type carrier struct{ parent, state string }

func (c *carrier) Get(key string) string {
	switch key {
	case "traceparent":
		return c.parent
	case "tracestate":
		return c.state
	}
	return ""
}

func (c *carrier) Set(key, value string) {
	switch key {
	case "traceparent":
		c.parent = value
	case "tracestate":
		c.state = value
	}
}

func (c *carrier) Keys() []string { return []string{"traceparent", "tracestate"} }

// Inject returns the W3C headers of the span in ctx, "" when there is none.
func Inject(ctx context.Context) (traceparent, tracestate string) {
	var c carrier
	propagation.TraceContext{}.Inject(ctx, &c)
	return c.parent, c.state
}

// Extract returns ctx with the remote span that the W3C headers name. Malformed
// headers are ignored.
func Extract(ctx context.Context, traceparent, tracestate string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, &carrier{traceparent, tracestate})
}
