package consume

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/event"
)

func TestParse(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	header := func(pairs ...string) nats.Header {
		h := nats.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h[pairs[i]] = []string{pairs[i+1]}
		}
		return h
	}
	dead := parse(&nats.Msg{Subject: "dead.EVENTS.schema.syd-01.r1%2Fif%2F2.net.x.v1", Header: header(event.HeaderSequence, "7", event.HeaderEpoch, "1", event.HeaderLow, "6")},
		event.StreamDead, 9, 3, at)
	if dead.Unreadable != "" || dead.DeadStream != "EVENTS" || dead.DeadReason != "schema" || dead.Producer != "syd-01" || dead.Entity != "r1/if/2" ||
		dead.Stream != "DEAD" || dead.StreamSeq != 9 || dead.Incarnation != 3 || !dead.Received.Equal(at) {
		t.Errorf("%+v", dead)
	}
	// What a compact message leaves out: its id and the stream say it.
	counters := &nats.Msg{Subject: "metric.syd.r1.net.interface.counters.v2",
		Header: header(event.HeaderMsgID, "syd-01/4/METRICS/9", event.HeaderLow, "8", event.HeaderTime, "2026-01-02T03:04:04.5Z")}
	if m := parse(counters, event.StreamMetrics, 12, 3, at); m.Unreadable != "" || m.Producer != "syd-01" || m.Epoch != 4 || m.Sequence != 9 || m.Low != 8 ||
		m.Site != "syd" || m.Version != 1 || m.ID != "syd-01/4/METRICS/9" || !m.Received.Equal(at) || !m.Time.Equal(at.Add(-500*time.Millisecond)) {
		t.Errorf("%+v", m)
	}
	for _, bad := range []*nats.Msg{
		{Subject: "event.syd.info.r1.x.v1", Header: header(event.HeaderReceived, "yesterday")},
		{Subject: "state.syd.r1.x.v1"}, // in the wrong stream
		{Subject: "nonsense"},
	} {
		if m := parse(bad, event.StreamEvents, 5, 1, at); m.Unreadable == "" || m.StreamSeq != 5 || m.Stream != event.StreamEvents || !m.Received.Equal(at) {
			t.Errorf("%s: %+v", bad.Subject, m)
		}
	}
}
