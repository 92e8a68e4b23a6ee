package poller

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/bus"
	"midplane/event"
	"midplane/poller/outbox"
	"midplane/telemetry"
)

// patience bounds every wait of these tests; none is expected to come near.
const patience = 60 * time.Second

// broker starts a server with JetStream in dir on port (-1: any).
func broker(t testing.TB, dir string, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		t.Fatal("the server does not start")
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

func connect(t testing.TB, url, user string) *nats.Conn {
	t.Helper()
	nc, err := bus.Connect(bus.Config{Servers: []string{url}, User: user, Name: "test", MaxWait: patience}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// streams makes streams that listen where a poller publishes: the PubAcks are
// JetStream's own, without an ingress.
func streams(t testing.TB, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []event.Kind{event.KindEvent, event.KindState, event.KindMetric} {
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
			Name: k.Stream(), Subjects: []string{"in.*." + string(k) + ".>"}, Duplicates: 10 * time.Minute,
		}); err != nil {
			t.Fatal(err)
		}
	}
	return js
}

// stored reads everything a stream has, in order.
func stored(t testing.TB, js jetstream.JetStream, k event.Kind) (out []event.Event) {
	t.Helper()
	s, err := js.Stream(t.Context(), k.Stream())
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.SplitN(m.Subject, ".", 4)
		// As the ingress would store it: a site where the producer was.
		e, err := bus.Parse(parts[2]+"._."+parts[3], m.Header, m.Data)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// openBox opens and runs an outbox.
func openBox(t testing.TB, path string, ledgerAfter time.Duration) *outbox.Outbox {
	t.Helper()
	o, err := outbox.Open(t.Context(), outbox.Config{Path: path, Producer: "syd-01", BallastBytes: -1, LedgerAfter: ledgerAfter}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	background(t, o.Run)
	return o
}

// background runs a part until the test ends, and fails it on an error.
func background(t testing.TB, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// eventually waits until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func drained(t testing.TB, o *outbox.Outbox) {
	t.Helper()
	eventually(t, "the outbox is empty", func() bool { return o.Stats().Depth == 0 })
}

func put(t testing.TB, o *outbox.Outbox, e ...event.Event) {
	t.Helper()
	if err := o.Put(t.Context(), e...); err != nil {
		t.Fatal(err)
	}
}

func message(k event.Kind, entity string, n int) event.Event {
	e := event.Event{Kind: k, Entity: event.Entity(entity), Type: "net.test." + event.Type(k) + ".v1", Data: json.RawMessage(fmt.Sprint(n))}
	if k == event.KindEvent {
		e.Severity = event.Info
	}
	return e
}

// ingress is a scripted door: it answers what answer returns, or not at all.
func ingress(t testing.TB, nc *nats.Conn, answer func(id string, e event.Event) string) {
	t.Helper()
	if _, err := nc.Subscribe("in.>", func(m *nats.Msg) {
		parts := strings.SplitN(m.Subject, ".", 4)
		e, err := bus.Parse(parts[2]+"._."+parts[3], m.Header, m.Data)
		if err != nil {
			t.Error(err)
			return
		}
		if a := answer(m.Header.Get(event.HeaderMsgID), e); a != "" {
			if err := nc.Publish(m.Reply, []byte(a)); err != nil {
				t.Error(err)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

func ack(e event.Event) string {
	return fmt.Sprintf(`{"stream":%q,"seq":1}`, e.Kind.Stream())
}

func refusal(code, errCode int, text string) string {
	return fmt.Sprintf(`{"type":"x","error":{"code":%d,"err_code":%d,"description":%q}}`, code, errCode, text)
}

func tempPath(t testing.TB) string { return filepath.Join(t.TempDir(), "o.db") }
