package bus_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/bus"
	"midplane/fault"
)

func TestParseAck(t *testing.T) {
	for _, tc := range []struct {
		name, data string
		want       fault.Kind
	}{
		{"stored", `{"stream":"EVENTS","seq":7}`, ""},
		{"duplicate", `{"stream":"EVENTS","seq":7,"duplicate":true}`, ""},
		{"schema", `{"error":{"code":400,"err_code":24005,"description":"x"},"stream":"EVENTS"}`, fault.Invalid},
		{"too large", `{"error":{"code":413,"err_code":24040}}`, fault.Invalid},
		{"denied", `{"error":{"code":403,"err_code":24030}}`, fault.Denied},
		{"rate", `{"error":{"code":429,"err_code":24050}}`, fault.Exhausted},
		{"no leader", `{"error":{"code":503,"err_code":24060}}`, fault.Unavailable},
		{"stream full with any code", `{"error":{"code":503,"err_code":10077}}`, fault.Exhausted},
		{"quota with any code", `{"error":{"code":400,"err_code":10002}}`, fault.Exhausted},
		{"no resources", `{"error":{"code":503,"err_code":10047}}`, fault.Exhausted},
		{"ingest queue full", `{"error":{"code":429,"err_code":10167}}`, fault.Exhausted},
		{"same id in flight", `{"error":{"code":409,"err_code":10158}}`, fault.Unavailable},
		{"not a PubAck", `nonsense`, fault.Unavailable},
		{"empty", `{}`, fault.Unavailable},
	} {
		ack, err := bus.ParseAck([]byte(tc.data))
		if fault.KindOf(err) != tc.want {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
		if tc.want == "" && (ack.Stream != "EVENTS" || ack.Seq != 7) {
			t.Errorf("%s: %+v", tc.name, ack)
		}
	}
}

// Without an answer the message may be stored or not: the same id is tried again.
func TestNoAnswerIsUnavailable(t *testing.T) {
	for _, err := range []error{nats.ErrNoResponders, nats.ErrTimeout, context.DeadlineExceeded, nats.ErrConnectionClosed, jetstream.ErrNoStreamResponse} {
		if !fault.Is(bus.Classify(err), fault.Unavailable) {
			t.Errorf("%v is %s", err, fault.KindOf(bus.Classify(err)))
		}
	}
	if bus.Classify(nil) != nil {
		t.Error("nil became an error")
	}
}

// A refusal says how long to wait, in a form that a program can read, too.
func TestRetryAfter(t *testing.T) {
	refusal := func(code int, description string) error {
		_, err := bus.ParseAck([]byte(fmt.Sprintf(`{"error":{"code":%d,"err_code":24050,"description":%q},"stream":"EVENTS"}`, code, description)))
		return err
	}
	for _, tc := range []struct {
		err  error
		want time.Duration
	}{
		{refusal(429, "over the tenant's message rate; "+bus.RetryIn(1500*time.Microsecond)), 2 * time.Millisecond},
		{refusal(429, bus.RetryIn(3*time.Second)), 3 * time.Second},
		{refusal(429, bus.RetryIn(time.Hour)), time.Minute},
		{refusal(429, "full"), 0},
		{refusal(400, bus.RetryIn(time.Second)), 0},
		{bus.Classify(&jetstream.APIError{Code: 429, Description: bus.RetryIn(time.Second)}), time.Second},
		{nats.ErrTimeout, 0},
		{nil, 0},
	} {
		if got := bus.RetryAfter(tc.err); got != tc.want {
			t.Errorf("%v: %s, want %s", tc.err, got, tc.want)
		}
	}
}
