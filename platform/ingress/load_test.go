package ingress

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"midplane/api"
	"midplane/event"
	"midplane/platform/ingress/admit"
	"midplane/subject"
	"midplane/telemetry"
)

// What is accepted and refused shows by limit and producer.
func TestLimiterSaysWhatIsUsed(t *testing.T) {
	var l limiter
	l.set(quota(10_000, 10), 1)
	at := noon
	for range 6 { // seconds
		for n := range 40 { // of which ten are within the producer's rate
			ask(&l, at.Add(time.Duration(n)*25*time.Millisecond), "hasty")
		}
		ask(&l, at, "calm")
		at = at.Add(time.Second)
	}
	got := l.loads(at)
	hasty, calm := got.Producers["hasty"], got.Producers["calm"]
	if hasty.Messages < 9 || hasty.Messages > 11 || hasty.Bytes != hasty.Messages*100 || calm.Messages != 1 || got.Messages != hasty.Messages+1 {
		t.Errorf("%+v", got)
	}
	refused := hasty.Refused[api.LimitProducerMessages]
	if refused < 160 || got.Refused[api.LimitProducerMessages] != refused || len(hasty.Refused) != 1 || calm.Refused != nil {
		t.Errorf("refused: %+v", got)
	}
	if hasty.Held == nil || !hasty.Held.Since.Before(noon.Add(2*time.Second)) || calm.Held != nil {
		t.Errorf("held: %+v", hasty.Held)
	}
	// The rate is one of the last seconds; what was refused stays.
	later := l.loads(at.Add(2 * heldFor))
	if h := later.Producers["hasty"]; h.Messages != 0 || h.Refused[api.LimitProducerMessages] != refused || h.Held != nil {
		t.Errorf("two minutes later: %+v", h)
	}
	if _, ok := later.Producers["calm"]; ok {
		t.Error("a producer without figures is named")
	}
}

// Metrics name a bounded number of producers, no refusal is counted twice, and the
// place of a producer that is gone is another's.
func TestRefusalsByProducerAreBounded(t *testing.T) {
	var l limiter
	l.set(quota(1_000_000, 1), 1)
	refuse := func(n int) {
		p := event.Producer(fmt.Sprintf("p%d", n))
		for range 3 {
			ask(&l, noon, p)
		}
	}
	total := func() (sum uint64) {
		for _, by := range l.refusedByProducer() {
			for _, n := range by {
				sum += n
			}
		}
		return sum
	}
	for n := range 2 * maxApart {
		refuse(n)
	}
	by := l.refusedByProducer()
	if len(by) != maxApart+1 || by[otherLabels] == (refusedBy{}) || total() != l.loads(noon).Refused[api.LimitProducerMessages] {
		t.Fatalf("%d labels, %d refused: %v", len(by), total(), by)
	}
	l.keep(map[string]admit.User{"p63": {}})
	refuse(63)
	if diff := cmp.Diff(map[string]refusedBy{otherLabels: by[otherLabels], "p63": {3}}, l.refusedByProducer()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLoadsAreBounded(t *testing.T) {
	var l limiter
	l.set(quota(1_000_000, 1), 1)
	for n := range maxLoads + 1 {
		ask(&l, noon, event.Producer(fmt.Sprintf("p%d", n)))
	}
	ask(&l, noon, "p7") // refused
	got := l.loads(noon.Add(time.Second))
	if _, ok := got.Producers["p7"]; len(got.Producers) != maxLoads || !got.More || !ok {
		t.Errorf("%d producers, more %v, the refused one %v", len(got.Producers), got.More, ok)
	}
}

// The metrics of a door: bytes by kind, and refusals by limit and producer.
func TestMetricsOfADoor(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	tel := telemetry.Nop()
	tel.Meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test")
	d := &door{tenant: "acme"}
	ins, err := newInstruments(tel, func(f func(*door)) { f(d) })
	if err != nil {
		t.Fatal(err)
	}
	d.counts.latency, d.counts.attrs = ins.latency, attributes("acme")
	d.counts.refusals, d.counts.drops = map[string]uint64{}, map[string]uint64{}
	d.limit.set(quota(100_000, 1), 1)
	for range 4 { // of which one passes
		ask(&d.limit, noon, "hasty")
	}
	for _, data := range []string{`{"a":1}`, `{}`} {
		d.counts.accepted(&admit.Admitted{In: subject.In{Kind: event.KindState}, Msg: admit.Message{Data: []byte(data)}}, 100, noon)
	}
	if got := d.counts.largest.Load(); got != 7 {
		t.Errorf("the largest payload has 7 bytes, not %d", got)
	}
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &rm); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, m := range rm.ScopeMetrics[0].Metrics {
		data, ok := m.Data.(metricdata.Sum[int64])
		if !ok {
			continue
		}
		for _, p := range data.DataPoints {
			kind, _ := p.Attributes.Value(telemetry.AttrKind)
			producer, _ := p.Attributes.Value(telemetry.AttrProducer)
			limit, _ := p.Attributes.Value(telemetry.AttrLimit)
			if p.Value > 0 {
				got[strings.TrimSpace(m.Name+" "+kind.AsString()+producer.AsString()+" "+limit.AsString())] = p.Value
			}
		}
	}
	want := map[string]int64{
		telemetry.MetricIngressAccepted + " state": 2, telemetry.MetricIngressBytes + " state": 200,
		telemetry.MetricIngressLimited + " hasty " + api.LimitProducerMessages: 3,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
