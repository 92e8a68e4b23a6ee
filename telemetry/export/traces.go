package export

import (
	"context"
	"log/slog"
	"sync/atomic"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"midplane/fault"
)

// newTraces returns a provider that always gives spans valid ids, so that an event
// shows its trace id even when nothing is exported.
func newTraces(ctx context.Context, cfg Config, to otlp, res *resource.Resource, log *slog.Logger) (*sdktrace.TracerProvider, error) {
	opts := []sdktrace.TracerProviderOption{sdktrace.WithResource(res)}
	if !to.enabled {
		// No receiver would get recorded spans. Ids, and sampling decisions of other
		// processes, are still passed on.
		opts = append(opts, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample())))
		return sdktrace.NewTracerProvider(opts...), nil
	}
	exporter, err := to.exporter(ctx)
	if err != nil {
		return nil, fault.WithHint(fault.Wrap(fault.Invalid, err, "prepare the export of traces"),
			"check the OTLP endpoint and the OTEL_EXPORTER_OTLP_* variables")
	}
	if cfg.SampleRatio > 0 {
		opts = append(opts, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(cfg.SampleRatio))))
	} // otherwise the SDK's own default: all traces, or what OTEL_TRACES_SAMPLER says
	opts = append(opts, sdktrace.WithBatcher(&loud{SpanExporter: exporter, log: log}))
	return sdktrace.NewTracerProvider(opts...), nil
}

func (o otlp) exporter(ctx context.Context) (sdktrace.SpanExporter, error) {
	if o.protocol == ProtocolGRPC {
		var opts []otlptracegrpc.Option
		if !o.fromEnv {
			opts = append(opts, otlptracegrpc.WithEndpoint(o.host))
		}
		if o.insecure {
			opts = append(opts, otlptracegrpc.WithInsecure())
		}
		return otlptracegrpc.New(ctx, opts...)
	}
	var opts []otlptracehttp.Option
	if !o.fromEnv {
		opts = append(opts, otlptracehttp.WithEndpoint(o.host), otlptracehttp.WithURLPath(o.path+"/v1/traces"))
	}
	if o.insecure {
		opts = append(opts, otlptracehttp.WithInsecure())
	}
	return otlptracehttp.New(ctx, opts...)
}

// loud logs when export begins to fail and when it works again. The SDK would hand
// the error to a global handler, which does not use our logger.
type loud struct {
	sdktrace.SpanExporter
	log     *slog.Logger
	failing atomic.Bool
}

func (l *loud) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := l.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err != nil && !l.failing.Swap(true):
		l.log.WarnContext(ctx, "traces cannot be exported, they are dropped until the receiver takes them again",
			"component", "telemetry", "error", err.Error(), "spans", len(spans),
			"hint", "is the OTLP receiver running, and are endpoint and protocol right?")
	case err == nil && l.failing.Swap(false):
		l.log.InfoContext(ctx, "traces are exported again", "component", "telemetry")
	}
	return nil
}
