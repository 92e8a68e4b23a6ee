package consume

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	oteltrace "go.opentelemetry.io/otel/trace"

	"midplane/event"
	"midplane/primary/fold"
	"midplane/telemetry"
)

// maxLinks bounds the links of one transaction's span.
const maxLinks = 128

func noEnd(error) {}

// trace starts a span for each sampled message, as a child of the span that
// sent it, and one for the transaction, linked to them. Without a sampled
// message it costs one look at a byte of each. The function ends the spans.
func trace(ctx context.Context, tracer oteltrace.Tracer, tenant event.Tenant, stream string, msgs []fold.Message) func(error) {
	var spans []oteltrace.Span
	var links []oteltrace.Link
	for i := range msgs {
		m := &msgs[i]
		if !event.TraceSampled(m.TraceParent) {
			continue
		}
		_, span := tracer.Start(telemetry.Extract(ctx, m.TraceParent, m.TraceState), telemetry.SpanProcess,
			oteltrace.WithSpanKind(oteltrace.SpanKindConsumer), oteltrace.WithAttributes(
				telemetry.System, telemetry.AttrOperation.String("process"), telemetry.AttrDestination.String(string(m.Kind)+".>"),
				telemetry.AttrTenant.String(string(tenant)), telemetry.AttrStream.String(stream), telemetry.AttrSite.String(string(m.Site)),
				telemetry.AttrEntity.String(string(m.Entity)), telemetry.AttrType.String(string(m.Type)),
				telemetry.AttrProducer.String(string(m.Producer))))
		spans = append(spans, span)
		if len(links) < maxLinks {
			links = append(links, oteltrace.Link{SpanContext: span.SpanContext()})
		}
	}
	if len(spans) == 0 {
		return noEnd
	}
	_, transaction := tracer.Start(ctx, telemetry.SpanFold, oteltrace.WithLinks(links...), oteltrace.WithNewRoot(),
		oteltrace.WithAttributes(telemetry.System, telemetry.AttrTenant.String(string(tenant)), telemetry.AttrStream.String(stream),
			telemetry.AttrBatchCount.Int(len(msgs))))
	spans = append(spans, transaction)
	return func(err error) {
		at := time.Now()
		for _, s := range spans {
			if err != nil {
				s.SetStatus(codes.Error, err.Error())
			}
			s.End(oteltrace.WithTimestamp(at))
		}
	}
}

// metrics are the instruments of reading.
type metrics struct {
	folded, alarms metric.Int64Counter
	registration   metric.Registration
}

// lags calls observe with how many messages of each stream are not folded yet.
type lags func(observe func(t event.Tenant, stream string, lag uint64))

func newMetrics(meter metric.Meter, each lags) (*metrics, error) {
	m := &metrics{}
	var err error
	if m.folded, err = meter.Int64Counter(telemetry.MetricPrimaryFolded, metric.WithDescription("Messages folded."), metric.WithUnit("{message}")); err != nil {
		return nil, err
	}
	if m.alarms, err = meter.Int64Counter(telemetry.MetricPrimaryAlarms, metric.WithDescription("Alarms found."), metric.WithUnit("{alarm}")); err != nil {
		return nil, err
	}
	lag, err := meter.Int64ObservableGauge(telemetry.MetricPrimaryLag, metric.WithDescription("Messages of a stream not folded yet."), metric.WithUnit("{message}"))
	if err != nil {
		return nil, err
	}
	m.registration, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		each(func(t event.Tenant, stream string, n uint64) {
			o.ObserveInt64(lag, int64(n), metric.WithAttributes(telemetry.AttrTenant.String(string(t)), telemetry.AttrStream.String(stream)))
		})
		return nil
	}, lag)
	return m, err
}

func (m *metrics) stop() { _ = m.registration.Unregister() } // it only says that it is gone already

func (m *metrics) fold(ctx context.Context, t event.Tenant, folded map[event.Kind]int) {
	for kind, n := range folded {
		m.folded.Add(ctx, int64(n), metric.WithAttributeSet(attribute.NewSet(
			telemetry.AttrTenant.String(string(t)), telemetry.AttrKind.String(string(kind)))))
	}
}

func (m *metrics) alarm(ctx context.Context, t event.Tenant, word string) {
	m.alarms.Add(ctx, 1, metric.WithAttributes(telemetry.AttrTenant.String(string(t)), attribute.String("midplane.alarm", word)))
}

func lagOf(st readerStatus) uint64 {
	if st.last <= st.cursor.Seq {
		return 0
	}
	return st.last - st.cursor.Seq
}
