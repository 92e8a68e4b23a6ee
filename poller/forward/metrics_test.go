package forward

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"midplane/api"
	"midplane/telemetry"
)

// The pace shows as it is now: it begins at the share, a refusal halves it, and
// while messages wait because of a limit it is held.
func TestThePaceShows(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	tel := telemetry.Nop()
	tel.Meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test")
	p := NewPacer()
	p.Set(api.Pace{Share: api.Rate{Messages: 100, Bytes: 1 << 20}, Limit: api.Rate{Messages: 1000, Bytes: 1 << 24}})
	age := time.Duration(0)
	stop := Observe(tel, "syd-01", p, func() (int64, time.Duration) { return 7, age })
	shown := func() map[string]float64 {
		t.Helper()
		var rm metricdata.ResourceMetrics
		if err := reader.Collect(context.Background(), &rm); err != nil {
			t.Fatal(err)
		}
		out := map[string]float64{}
		note := func(name string, who string, v float64) {
			if who != "syd-01" {
				t.Errorf("%s is of poller %q", name, who)
			}
			out[name] = v
		}
		for _, scope := range rm.ScopeMetrics {
			for _, m := range scope.Metrics {
				switch data := m.Data.(type) {
				case metricdata.Gauge[float64]:
					who, _ := data.DataPoints[0].Attributes.Value(telemetry.AttrPoller)
					note(m.Name, who.AsString(), data.DataPoints[0].Value)
				case metricdata.Gauge[int64]:
					who, _ := data.DataPoints[0].Attributes.Value(telemetry.AttrPoller)
					note(m.Name, who.AsString(), float64(data.DataPoints[0].Value))
				}
			}
		}
		return out
	}
	want := map[string]float64{telemetry.MetricForwardPace: 95, telemetry.MetricForwardShare: 100, telemetry.MetricForwardHeld: 0}
	if diff := cmp.Diff(want, shown()); diff != "" {
		t.Errorf("at the beginning (-want +got):\n%s", diff)
	}
	p.refused(time.Now(), time.Now(), time.Minute, api.LimitTenantMessages)
	age = time.Minute
	want[telemetry.MetricForwardPace], want[telemetry.MetricForwardHeld] = 47.5, 1
	if diff := cmp.Diff(want, shown()); diff != "" {
		t.Errorf("after a refusal (-want +got):\n%s", diff)
	}
	stop()
	if got := shown(); len(got) > 0 {
		t.Errorf("the poller has stopped, and shows %v", got)
	}
}
