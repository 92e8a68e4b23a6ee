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

func heartbeat(seq, low uint64, at time.Time) event.Event {
	id := event.MessageID{Producer: "syd-01", Epoch: 7, Stream: event.StreamState, Sequence: seq}.String()
	return event.Event{Kind: event.KindState, Entity: "r1", Type: event.TypeSeen, ID: id, MsgID: id, Epoch: 7, Sequence: seq, Low: low,
		Time: at, Data: json.RawMessage(`{"a":1}`)}
}

// A compact message reads back as it was published, to the millisecond, and with
// little in its headers.
func TestCompactRoundTrip(t *testing.T) {
	const sampled, unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	rapid.Check(t, func(t *rapid.T) {
		seq := rapid.Uint64Range(1, 1<<40).Draw(t, "seq")
		e := heartbeat(seq, rapid.Uint64Range(0, seq-1).Draw(t, "low"), time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(t, "time")).UTC())
		e.TraceParent = rapid.SampledFrom([]string{"", sampled, unsampled}).Draw(t, "trace")
		m := bus.Message("syd-01", &e)
		if n := len(m.Header); n > 4 || n == 4 && e.TraceParent != sampled {
			t.Fatalf("headers %v", m.Header)
		}
		in, err := subject.ParseIn(m.Subject)
		if err != nil {
			t.Fatal(err)
		}
		got, err := bus.Parse(in.StoredAs("syd").String(), m.Header, m.Data)
		if err != nil {
			t.Fatal(err)
		}
		want := e
		want.Producer, want.Site, want.Version = "syd-01", "syd", 1
		if e.TraceParent == unsampled {
			want.TraceParent = ""
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
	})
}

// What is not from an outbox has all headers.
func TestCompactNeedsAnID(t *testing.T) {
	now := time.Now()
	for name, change := range map[string]func(*event.Event){
		"no ledger":       func(e *event.Event) { e.Epoch, e.Sequence, e.Low = 0, 0, 0 },
		"another stream":  func(e *event.Event) { e.ID, e.MsgID = "syd-01/7/METRICS/9", "syd-01/7/METRICS/9" },
		"another epoch":   func(e *event.Event) { e.Epoch = 8 },
		"another type":    func(e *event.Event) { e.Type = event.TypeCheck },
		"an id of no use": func(e *event.Event) { e.ID, e.MsgID = "syd-01/x", "syd-01/x" },
	} {
		e := heartbeat(9, 8, now)
		change(&e)
		if m := bus.Message("syd-01", &e); m.Header.Get(event.HeaderID) == "" {
			t.Errorf("%s: headers %v", name, m.Header)
		}
	}
}

func TestParseRefusesCompact(t *testing.T) {
	e := heartbeat(9, 8, time.Now())
	for name, change := range map[string]func(h nats.Header){
		"another stream": func(h nats.Header) { h.Set(event.HeaderMsgID, "syd-01/7/METRICS/9") },
		"no low":         func(h nats.Header) { h.Del(event.HeaderLow) },
		"low not below":  func(h nats.Header) { h.Set(event.HeaderLow, strconv.Itoa(9)) },
		"no time":        func(h nats.Header) { h.Del(event.HeaderTime) },
	} {
		m := bus.Message("syd-01", &e)
		change(m.Header)
		if got, err := bus.Parse("state.syd.r1.net.device.seen.v1", m.Header, m.Data); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
