package telemetry

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

func TestCarrier(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	ctx := Extract(context.Background(), parent, "vendor=1")
	if got := trace.SpanContextFromContext(ctx).TraceID().String(); got != "0af7651916cd43dd8448eb211c80319c" {
		t.Fatalf("trace id %q", got)
	}
	p, s := Inject(ctx)
	if p != parent || s != "vendor=1" {
		t.Fatalf("injected %q %q", p, s)
	}
	if ctx := Extract(context.Background(), "nonsense", ""); trace.SpanContextFromContext(ctx).IsValid() {
		t.Fatal("a malformed traceparent made a span context")
	}
	if p, _ := Inject(context.Background()); p != "" {
		t.Fatalf("no span, but injected %q", p)
	}
}
