package bus_test

import (
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"midplane/bus"
	"midplane/event"
	"midplane/subject"
)

// A producer's message that is stamped as the ingress stamps it reads back as it
// was published.
func TestMessageRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := event.Event{
			Kind:   rapid.SampledFrom([]event.Kind{event.KindEvent, event.KindState, event.KindMetric}).Draw(t, "kind"),
			Entity: event.Entity(rapid.StringMatching(`[a-z0-9/.]{1,20}`).Draw(t, "entity")), Type: "net.reachability.v1",
			ID: "syd-01/7/STATE/9", MsgID: "syd-01/7/STATE/9", Time: time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "time"), 123456789).UTC(),
			Data: json.RawMessage(`{"a":1}`), TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", TraceState: "v=1",
		}
		if e.Kind == event.KindEvent {
			e.Severity = event.Warning
		}
		if rapid.Bool().Draw(t, "ledger") {
			e.Epoch, e.Sequence = 7, rapid.Uint64Range(1, 1<<40).Draw(t, "seq")
			e.Low = rapid.Uint64Range(0, e.Sequence-1).Draw(t, "low")
		}
		m := bus.Message("syd-01", &e)
		in, err := subject.ParseIn(m.Subject)
		if err != nil {
			t.Fatal(err)
		}
		received := e.Time.Add(time.Second)
		m.Header[event.HeaderProducer], m.Header[event.HeaderSchemaVersion] = []string{"syd-01"}, []string{"3"}
		m.Header[event.HeaderReceived] = []string{received.Format(time.RFC3339Nano)}
		got, err := bus.Parse(in.StoredAs("syd").String(), m.Header, m.Data)
		if err != nil {
			t.Fatal(err)
		}
		want := e
		want.Producer, want.Site, want.Version, want.Received = "syd-01", "syd", 3, received
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
	})
}

func TestParseRefuses(t *testing.T) {
	const subj = "state.syd.r1.net.reachability.v1"
	for name, h := range map[string]nats.Header{
		"time":              {event.HeaderTime: {"yesterday"}},
		"version":           {event.HeaderSchemaVersion: {"x"}},
		"sequence alone":    {event.HeaderSequence: {"1"}},
		"low not below":     {event.HeaderEpoch: {"1"}, event.HeaderSequence: {"2"}, event.HeaderLow: {"2"}},
		"negative epoch":    {event.HeaderEpoch: {"-1"}, event.HeaderSequence: {"2"}, event.HeaderLow: {"0"}},
		"sequence too wide": {event.HeaderEpoch: {"1"}, event.HeaderSequence: {strconv.FormatUint(1<<63, 10)}, event.HeaderLow: {"0"}},
	} {
		if _, err := bus.Parse(subj, h, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := bus.Parse("nonsense", nil, nil); err == nil {
		t.Error("a subject that is no stream's was accepted")
	}
}

// Header names are read without case, as other clients write them.
func TestParseIgnoresCase(t *testing.T) {
	e, err := bus.Parse("state.syd.r1.net.reachability.v1", nats.Header{"Ce-Producer": {"syd-01"}, "Traceparent": {"x"}}, nil)
	if err != nil || e.Producer != "syd-01" || e.TraceParent != "x" {
		t.Fatalf("%+v, %v", e, err)
	}
}
