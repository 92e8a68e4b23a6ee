package schedule

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"midplane/telemetry"
)

// The places that runs take show with their bound, those of slow checks apart;
// and nothing shows any more of a scheduler that has stopped.
func TestPlacesShowWithTheirBound(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	tel := telemetry.Nop()
	tel.Meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test")
	places := func() map[string]int64 {
		t.Helper()
		var rm metricdata.ResourceMetrics
		if err := reader.Collect(context.Background(), &rm); err != nil {
			t.Fatal(err)
		}
		out := map[string]int64{}
		for _, scope := range rm.ScopeMetrics {
			for _, m := range scope.Metrics {
				if data, ok := m.Data.(metricdata.Gauge[int64]); ok {
					for _, p := range data.DataPoints {
						kind, _ := p.Attributes.Value(telemetry.AttrKind)
						out[m.Name+" "+kind.AsString()] = p.Value
					}
				}
			}
		}
		return out
	}
	const used, bound = telemetry.MetricCollectPlaces, telemetry.MetricCollectBound
	synctest.Test(t, func(t *testing.T) {
		s, stop := begin(tel, newFake(takes(time.Hour)), &box{})
		for range 3 {
			if _, ok := s.slots.enter(t.Context(), false); !ok {
				t.Fatal("no place")
			}
		}
		leave, ok := s.slots.enter(t.Context(), true)
		if !ok {
			t.Fatal("no place")
		}
		synctest.Wait()
		want := map[string]int64{used + " usual": 3, used + " slow": 1, bound + " usual": maxRuns, bound + " slow": maxSlow}
		if diff := cmp.Diff(want, places()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		leave()
		want[used+" slow"] = 0
		if diff := cmp.Diff(want, places()); diff != "" {
			t.Errorf("after the slow one (-want +got):\n%s", diff)
		}
		stop()
		if got := places(); len(got) > 0 {
			t.Errorf("the scheduler has stopped, and shows %v", got)
		}
	})
}
