package outbox

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"midplane/event"
	"midplane/fault"
	"midplane/telemetry"
)

// What is put is counted by kind, what is derived too, and what is refused is not.
func TestWhatIsPutIsCounted(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	tel := telemetry.Nop()
	tel.Meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test")
	o, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "outbox.db"), Producer: producer, BallastBytes: -1, LedgerAfter: time.Hour,
		Derive: func(prev *event.Event, _ event.Event) []event.Event {
			if prev != nil {
				return nil
			}
			return []event.Event{happened("r1", `{"a":1}`)}
		}}, tel)
	if err != nil {
		t.Fatal(err)
	}
	stop := running(t, o)
	put(t, o, state("r1", `{"status":"up"}`), sample("r1", `{"rttMs":1}`))
	put(t, o, state("r1", `{"status":"up"}`), sample("r1", `{"rttMs":1}`), sample("r1", `{"rttMs":1}`))
	if err := o.Put(t.Context(), state("not an entity\n", `{}`)); !fault.Is(err, fault.Invalid) {
		t.Fatalf("%v", err)
	}
	stop()
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, m := range rm.ScopeMetrics[0].Metrics {
		if data, ok := m.Data.(metricdata.Sum[int64]); ok {
			for _, p := range data.DataPoints {
				kind, _ := p.Attributes.Value(telemetry.AttrKind)
				got[m.Name+" "+kind.AsString()] = p.Value
			}
		}
	}
	const messages, bytes = telemetry.MetricOutboxPut, telemetry.MetricOutboxPutBytes
	want := map[string]int64{
		messages + " event": 1, messages + " state": 2, messages + " metric": 3,
		bytes + " event": 7, bytes + " state": 30, bytes + " metric": 33,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
