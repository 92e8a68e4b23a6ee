// Package pollertest is the world of a poller in tests: a NATS server of its own,
// streams that take what a poller publishes, a door that answers as a test wants,
// a control plane that knows one configuration, and an outbox. It is for tests
// only, and knows nothing of how a poller works.
package pollertest

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
	"midplane/internal/testwait"
	"midplane/poller/outbox"
	"midplane/subject"
	"midplane/telemetry"
)

// Patience bounds every wait of these tests; none is expected to come near.
const Patience = 60 * time.Second

// Broker starts a server with JetStream in dir on port (-1: any).
func Broker(t testing.TB, dir string, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(Patience) {
		t.Fatal("the server does not start")
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

// Connect returns a connection of user that ends with the test.
func Connect(t testing.TB, url, user string) *nats.Conn {
	t.Helper()
	nc, err := bus.Connect(bus.Config{Servers: []string{url}, User: user, Name: "test", MaxWait: Patience}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// Streams makes streams that listen where a poller publishes: the PubAcks are
// JetStream's own, without an ingress.
func Streams(t testing.TB, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []event.Kind{event.KindEvent, event.KindState, event.KindMetric} {
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
			Name: k.Stream(), Subjects: []string{subject.InPrefix("*") + string(k) + ".>"}, Duplicates: 10 * time.Minute,
		}); err != nil {
			t.Fatal(err)
		}
	}
	return js
}

// Stored reads everything a stream has, in order.
func Stored(t testing.TB, js jetstream.JetStream, k event.Kind) (out []event.Event) {
	t.Helper()
	s, err := js.Stream(t.Context(), k.Stream())
	if err != nil {
		t.Fatal(err)
	}
	state := s.CachedInfo().State
	for seq := max(state.FirstSeq, 1); seq <= state.LastSeq; seq++ {
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

// Open opens and runs an outbox.
func Open(t testing.TB, path string, ledgerAfter time.Duration) *outbox.Outbox {
	t.Helper()
	o, err := outbox.Open(t.Context(), outbox.Config{Path: path, Producer: "syd-01", BallastBytes: -1, LedgerAfter: ledgerAfter}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	Background(t, o.Run)
	return o
}

// Background runs a part until the test ends, and fails it on an error.
func Background(t testing.TB, run func(context.Context) error) (stop func()) {
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

// Drained waits until o is empty.
func Drained(t testing.TB, o *outbox.Outbox) {
	t.Helper()
	testwait.True(t, "the outbox is empty", func() bool { return o.Stats().Depth == 0 })
}

// Put puts e into o.
func Put(t testing.TB, o *outbox.Outbox, e ...event.Event) {
	t.Helper()
	if err := o.Put(t.Context(), e...); err != nil {
		t.Fatal(err)
	}
}

// Message is number n of kind k about entity.
func Message(k event.Kind, entity string, n int) event.Event {
	e := event.Event{Kind: k, Entity: event.Entity(entity), Type: "net.test." + event.Type(k) + ".v1", Data: json.RawMessage(fmt.Sprint(n))}
	if k == event.KindEvent {
		e.Severity = event.Info
	}
	return e
}

// Ingress is a scripted door: it answers what answer returns, or not at all.
func Ingress(t testing.TB, nc *nats.Conn, answer func(id string, e event.Event) string) {
	t.Helper()
	if _, err := nc.Subscribe(subject.IngressAll, func(m *nats.Msg) {
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

// Ack is the answer of a stream that has stored e.
func Ack(e event.Event) string {
	return fmt.Sprintf(`{"stream":%q,"seq":1}`, e.Kind.Stream())
}

// Refusal is an answer with an error.
func Refusal(code, errCode int, text string) string {
	return fmt.Sprintf(`{"type":"x","error":{"code":%d,"err_code":%d,"description":%q}}`, code, errCode, text)
}

// TempPath is where an outbox may be.
func TempPath(t testing.TB) string { return filepath.Join(t.TempDir(), "o.db") }
