package crash

import (
	"context"
	"flag"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/bus"
	"midplane/event"
	"midplane/internal/pulse"
	"midplane/streams"
	"midplane/telemetry"
)

var stopFor = flag.Duration("stop-for", pulse.Stopped+5*time.Second,
	"how long the node is stopped; beyond the duplicate window of METRICS (2m) what it had not answered is stored and forgotten by then")

const unanswered = 200

// TestStoppedNodeForwardsNothingOld stops a node that has read none of 200 metrics
// yet, with the connection that they came by. Some of them are sent again by way of
// another node before it goes on, and the others after: none was forwarded when it
// went on, and in the end each is stored once.
func TestStoppedNodeForwardsNothingOld(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute+*stopFor)
	defer cancel()
	s := start(ctx, t)
	sender := func(server int) (*nats.Conn, jetstream.JetStream) {
		nc, err := bus.Connect(bus.Config{Servers: s.Servers[server : server+1], User: witnessUser, Name: witnessUser, CredsFile: s.creds[witnessUser], CAFile: s.CA(),
			MaxWait: time.Minute, Options: []nats.Option{nats.NoReconnect()}}, telemetry.Nop())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		return nc, js
	}
	store := func(js jetstream.JetStream, n int) *jetstream.PubAck {
		t.Helper()
		var ack *jetstream.PubAck
		err := s.soon(ctx, func(ctx context.Context) (err error) {
			try, cancel := context.WithTimeout(ctx, 3*time.Second)
			defer cancel()
			ack, err = js.PublishMsg(try, metric(n))
			return err
		})
		if err != nil {
			t.Fatalf("metric %d: %v", n, err)
		}
		return ack
	}
	// Of METRICS' leader everything would be out of date when it goes on, not only
	// what waits at its door.
	stops, helps := 0, 1
	var rows []api.Stream
	if err := s.Get(ctx, &rows, "streams", "--tenant", tenant); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.ID == event.StreamMetrics && r.Leader == s.Nodes[stops] {
			stops, helps = helps, stops
		}
	}
	name := s.Nodes[stops]
	began := time.Now()
	phase := func(what string) { t.Logf("%6.1f s: %s", time.Since(began).Seconds(), what) }
	victim, first := sender(stops)
	store(first, 0)
	if err := s.Signal(name, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	phase(name + " is stopped")
	for n := range unanswered {
		m := metric(n + 1)
		m.Reply = fmt.Sprintf("%s.%d", victim.NewRespInbox(), n)
		if err := victim.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	for { // the library hands it to the kernel by itself
		if left, err := victim.Buffered(); err != nil {
			t.Fatal(err)
		} else if left == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	_, other := sender(helps)
	before := unanswered / 2
	if *stopFor > streams.MetricsWindow {
		before = unanswered
	}
	for n := range before {
		store(other, n+1)
	}
	sent := time.Now()
	phase("some are sent again")
	for time.Since(stopped) < *stopFor || *stopFor > streams.MetricsWindow && time.Since(sent) < streams.MetricsWindow+5*time.Second {
		time.Sleep(100 * time.Millisecond)
	}
	if err := s.Signal(name, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	phase("it goes on")
	// The node takes messages again, so it is done with what it had.
	_, again := sender(stops)
	store(again, unanswered+1)
	phase("it takes messages")
	for n := before; n < unanswered; n++ {
		if ack := store(other, n+1); ack.Duplicate {
			t.Errorf("metric %d was forwarded after %s", n+1, time.Since(stopped).Round(time.Second))
		}
	}
	phase("all are sent again")
	times := map[string]int{}
	readAll(ctx, t, s.Deployment, s.creds[inspector], event.StreamMetrics, func(m jetstream.Msg) { times[m.Headers().Get(event.HeaderMsgID)]++ })
	for n := range unanswered + 2 {
		if times[metricID(n)] != 1 {
			t.Errorf("metric %d is stored %d times", n, times[metricID(n)])
		}
	}
	if t.Failed() {
		t.Logf("%s:\n%s", name, s.Log(name))
	}
}

func metricID(n int) string { return fmt.Sprintf("%s/still/%d", witnessUser, n) }

func metric(n int) *nats.Msg {
	return &nats.Msg{Subject: fmt.Sprintf("in.%s.metric.r%d.%s", witnessUser, n%20, event.TypePing),
		Header: nats.Header{event.HeaderMsgID: {metricID(n)}}, Data: []byte(`{"rttMs":1,"lossPercent":0}`)}
}
