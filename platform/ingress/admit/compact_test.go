package admit

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"midplane/event"
)

const (
	goodSeen  = `{"device":"r1","counting":"2026-01-31T11:00:00Z","checks":[],"from":0,"states":0,"digest":"0000000000000000"}`
	toSeen    = "in.syd-01.state.r1.net.device.seen.v1"
	seenID    = "syd-01/1/STATE/7"
	sampled   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
)

func heartbeat(headers ...string) Input {
	in := message(headers...)
	in.Subject, in.Data = toSeen, []byte(goodSeen)
	return in
}

// What an outbox sends after every run is stored with the headers that nothing
// else says, whether it was sent with few or with all.
func TestAdmitCompact(t *testing.T) {
	want := map[string][]string{"Nats-Msg-Id": {seenID}, event.HeaderGuard: {event.GuardLevel}, "ce-time": {"2026-01-31T11:59:58.25Z"}, "ce-low": {"6"}}
	few := []string{"Nats-Msg-Id: " + seenID, "ce-time: 2026-01-31T11:59:58.25Z", "ce-low: 6"}
	all := append([]string{"ce-id: " + seenID, "ce-epoch: 1", "ce-sequence: 7", "content-type: application/json", "traceparent: " + unsampled}, few...)
	for name, headers := range map[string][]string{"few": few, "all": all} {
		a, r := admit(acme(), "syd-01", heartbeat(headers...))
		if r != nil {
			t.Fatal(name, r.Description)
		}
		if d := cmp.Diff(want, a.Msg.Header); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	a, r := admit(acme(), "syd-01", heartbeat(append(few, "traceparent: "+sampled, "tracestate: a=b")...))
	if r != nil || a.Msg.Header["traceparent"][0] != sampled || a.Msg.Header["tracestate"][0] != "a=b" {
		t.Errorf("a recorded trace: %+v, %v", a, r)
	}
	a, r = admit(acme(), "syd-01", heartbeat("Nats-Msg-Id: "+seenID, "ce-low: 6"))
	if r != nil || a.Msg.Header["ce-time"][0] != "2026-01-31T12:00:00.000Z" {
		t.Errorf("without a time: %+v, %v", a, r)
	}
}

// Whatever says more than its id, or less, has all headers or is refused.
func TestAdmitNotCompact(t *testing.T) {
	for name, tc := range map[string]struct {
		headers []string
		refused bool
	}{
		"no id":             {nil, false},
		"an id of no use":   {[]string{"Nats-Msg-Id: syd-01/x"}, false},
		"an extension":      {[]string{"Nats-Msg-Id: " + seenID, "ce-epoch: 1", "ce-sequence: 7", "ce-low: 6", "ce-x: 1"}, false},
		"another id":        {[]string{"Nats-Msg-Id: " + seenID, "ce-id: mine", "ce-epoch: 1", "ce-sequence: 7", "ce-low: 6"}, false},
		"another sequence":  {[]string{"Nats-Msg-Id: " + seenID, "ce-epoch: 1", "ce-sequence: 8", "ce-low: 6"}, false},
		"another epoch":     {[]string{"Nats-Msg-Id: " + seenID, "ce-epoch: 2", "ce-sequence: 7", "ce-low: 6"}, false},
		"low not below":     {[]string{"Nats-Msg-Id: " + seenID, "ce-low: 7"}, true},
		"another stream":    {[]string{"Nats-Msg-Id: syd-01/1/METRICS/7", "ce-low: 6"}, true},
		"another producer":  {[]string{"Nats-Msg-Id: syd-02/1/STATE/7", "ce-low: 6"}, true},
		"low, and an empty": {[]string{"ce-low: 6"}, true},
	} {
		a, r := admit(acme(), "syd-01", heartbeat(tc.headers...))
		if (r != nil) != tc.refused {
			t.Errorf("%s: refused: %+v", name, r)
		}
		if a != nil && (a.Msg.Header["ce-producer"] == nil || a.Msg.Header["ce-id"] == nil) {
			t.Errorf("%s: %v", name, a.Msg.Header)
		}
	}
}
