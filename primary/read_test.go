package primary

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testwait"
	"midplane/telemetry"
)

// BenchmarkRead measures the way from a stream to the disk: events that wait
// in a stream of a real server, read, parsed and folded by a running primary.
func BenchmarkRead(b *testing.B) {
	const n = 50_000
	for b.Loop() {
		b.StopTimer()
		w := newWorld(b)
		acme := w.add("acme")
		fill(b, acme, n)
		q := w.query()
		p, err := New(w.config("p1"), telemetry.Nop())
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		b.StartTimer()
		go func() { done <- p.Run(ctx) }()
		for folded := uint64(0); folded < n; {
			time.Sleep(time.Millisecond)
			var st api.PrimaryReport
			if q.Do(ctx, api.PrimaryStatus, struct{}{}, &st) == nil && len(st.Tenants) == 1 {
				folded = st.Tenants[0].Streams[0].Cursor
			}
		}
		b.StopTimer()
		cancel()
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// fill stores n events of about 400 bytes each, as eight pollers would.
func fill(tb testing.TB, t *worldTenant, n int) {
	tb.Helper()
	js, err := jetstream.New(t.js.Conn(), jetstream.WithPublishAsyncMaxPending(2000), jetstream.WithPublishAsyncTimeout(time.Minute))
	if err != nil {
		tb.Fatal(err)
	}
	now := time.Now().UTC().Format(time.RFC3339Nano)
	for i := range n {
		p, seq := i%8, i/8+1
		m := nats.NewMsg(fmt.Sprintf("event.syd.warning.r%d.net.reachability.changed.v1", i%500))
		id := fmt.Sprintf("p%d/1/EVENTS/%d", p, seq)
		for name, value := range map[string]string{
			event.HeaderID: id, event.HeaderTime: now, event.HeaderReceived: now, event.HeaderProducer: fmt.Sprintf("p%d", p),
			event.HeaderEpoch: "1", event.HeaderSequence: fmt.Sprint(seq), event.HeaderLow: fmt.Sprint(seq - 1),
		} {
			m.Header[name] = []string{value}
		}
		m.Data = fmt.Appendf(nil, `{"device":"r%d","from":"up","to":"down","message":"r%d does not answer any more, %064d"}`, i%500, i%500, i)
		if _, err := js.PublishMsgAsync(m, jetstream.WithStallWait(time.Minute)); err != nil {
			tb.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
}

// Many events, more than fit into any buffer on the way, arrive once each,
// and nothing is an alarm.
func TestReadsManyOnce(t *testing.T) {
	const n = 12_345
	w := newWorld(t)
	acme := w.add("acme")
	fill(t, acme, n)
	_, stop := run(t, w.config("p1"), telemetry.Nop())
	q := w.query()
	testwait.True(t, "all is folded", func() bool {
		st := ask[api.PrimaryReport](t, q, api.PrimaryStatus, struct{}{})
		return len(st.Tenants) == 1 && st.Tenants[0].Streams[0].Cursor == n
	})
	end := ask[api.Page[api.Event]](t, q, api.EventList, api.EventRequest{Newest: true, Limit: 1}).Items
	if len(end) != 1 || end[0].Position != n || end[0].Seq != n {
		t.Fatalf("%+v", end)
	}
	if a := ask[api.PrimaryReport](t, q, api.PrimaryStatus, struct{}{}).Alarms; len(a) > 0 {
		t.Fatalf("alarms %+v", a)
	}
	// Consumers are not left behind.
	stop()
	s := ok(acme.js.Stream(context.Background(), event.StreamEvents))(t)
	testwait.True(t, "its consumer is gone", func() bool {
		return ok(s.Info(context.Background()))(t).State.Consumers == 0
	})
}
