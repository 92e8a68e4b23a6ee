package forward

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"midplane/event"
	"midplane/internal/testwait"
	"midplane/poller/pollertest"
	"midplane/telemetry"
)

// TestForwardTrace: a sampled message travels with the span of its publishing.
func TestForwardTrace(t *testing.T) {
	s := pollertest.Broker(t, t.TempDir(), -1)
	nc := pollertest.Connect(t, s.ClientURL(), "syd-01")
	js := pollertest.Streams(t, nc)
	spans := tracetest.NewSpanRecorder()
	tel := telemetry.Nop()
	tel.Tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("t")
	o := pollertest.Open(t, pollertest.TempPath(t), time.Hour)
	ctx, collect := tel.Tracer.Start(t.Context(), telemetry.SpanCollect)
	if err := o.Put(ctx, pollertest.Message(event.KindEvent, "r1", 1)); err != nil {
		t.Fatal(err)
	}
	collect.End()
	pollertest.Put(t, o, pollertest.Message(event.KindEvent, "r2", 1)) // without a trace
	pollertest.Background(t, New(nc, "syd-01", o, fast(), tel).Run)
	pollertest.Drained(t, o)
	testwait.True(t, "both spans have ended", func() bool { return len(spans.Ended()) == 2 })
	pub := spans.Ended()[1]
	if pub.Name() != telemetry.SpanPublish || pub.Parent().SpanID() != collect.SpanContext().SpanID() {
		t.Fatalf("span %q, parent %s", pub.Name(), pub.Parent().SpanID())
	}
	for _, e := range pollertest.Stored(t, js, event.KindEvent) {
		want := ""
		if e.Entity == "r1" {
			sc := pub.SpanContext()
			want = "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-01"
		}
		if e.TraceParent != want {
			t.Errorf("%s travels with %q, want %q", e.Entity, e.TraceParent, want)
		}
	}
}

// TestAnswerOfAnotherStream: an answer is believed only for its own stream.
func TestAnswerOfAnotherStream(t *testing.T) {
	for _, tc := range []struct {
		msg  nats.Msg
		good bool
	}{
		{nats.Msg{Data: []byte(`{"stream":"STATE","seq":1}`)}, true},
		{nats.Msg{Data: []byte(`{"stream":"EVENTS","seq":1}`)}, false},
		{nats.Msg{Data: []byte(`{}`)}, false},
		{nats.Msg{Header: nats.Header{"Status": {"503"}}}, false},
	} {
		if err := answer(&tc.msg, event.KindState); (err == nil) != tc.good {
			t.Errorf("%s: %v", tc.msg.Data, err)
		}
	}
}
