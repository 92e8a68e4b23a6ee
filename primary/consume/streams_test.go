package consume

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testwait"
	"midplane/primary/fold"
	"midplane/primary/store"
	"midplane/primary/store/sqlite"
	"midplane/streams"
	"midplane/telemetry"
)

func ok[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// events is the stream EVENTS of a real server of its own.
type events struct {
	t    *testing.T
	js   jetstream.JetStream
	last uint64
}

func newEvents(t *testing.T) *events {
	t.Helper()
	return eventsOf(t, startServer(t, filepath.Join(t.TempDir(), "js"), -1))
}

func startServer(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoLog: true, NoSigs: true, JetStream: true, StoreDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not start")
	}
	return srv
}

func eventsOf(t *testing.T, srv *server.Server) *events {
	t.Helper()
	nc := ok(nats.Connect(srv.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond)))(t)
	t.Cleanup(nc.Close)
	e := &events{t: t, js: ok(jetstream.New(nc))(t)}
	ok(e.js.CreateStream(context.Background(), jetstream.StreamConfig{Name: event.StreamEvents, Subjects: []string{"event.>"}}))(t)
	return e
}

// put stores an event as a poller's.
func (e *events) put() {
	e.last++
	m := nats.NewMsg("event.syd.warning.r1.app.thing.v1")
	now := time.Now().UTC().Format(time.RFC3339Nano)
	for name, value := range map[string]string{
		event.HeaderID: fmt.Sprintf("syd-01/1/EVENTS/%d", e.last), event.HeaderTime: now, event.HeaderReceived: now, event.HeaderProducer: "syd-01",
		event.HeaderSite: "syd", event.HeaderEpoch: "1", event.HeaderSequence: fmt.Sprint(e.last), event.HeaderLow: fmt.Sprint(e.last - 1),
	} {
		m.Header[name] = []string{value}
	}
	m.Data = []byte("{}")
	m.Header.Set(event.HeaderMsgID, m.Header.Get(event.HeaderID))
	testwait.Until(e.t, "an event is stored", func() error { // a server that has just started has no stream yet
		_, err := e.js.PublishMsg(context.Background(), m)
		return err
	})
}

func (e *events) stream() jetstream.Stream {
	e.t.Helper()
	return ok(e.js.Stream(context.Background(), event.StreamEvents))(e.t)
}

func (e *events) purge(to uint64) {
	e.t.Helper()
	if err := e.stream().Purge(context.Background(), jetstream.WithPurgeSequence(to)); err != nil {
		e.t.Fatal(err)
	}
}

// newBatch is a batch of EVENTS, and the database that it is folded into.
func newBatch(t *testing.T, e *events, core ControlPlane) (*batch, *sqlite.DB) {
	t.Helper()
	db := ok(sqlite.Open(context.Background(), t.TempDir(), store.Options{}))(t)
	t.Cleanup(func() { _ = db.Close() })
	c := ok(New(Config{Name: "p1"}, db.Writer, core, telemetry.Nop()))(t)
	t.Cleanup(c.shared.metrics.stop)
	r := newReader(newTenant(&c.shared, c.tel, api.CoreTenant{Tenant: "acme", Incarnations: map[string]uint64{event.StreamEvents: 1}}), event.StreamEvents)
	return &batch{r: r, nc: e.js.Conn(), incarnation: 1}, db
}

// What the replica we read from lacks is fetched from the leader.
func TestFill(t *testing.T) {
	e := newEvents(t)
	for range 6 {
		e.put()
	}
	if err := e.stream().DeleteMsg(context.Background(), 4); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	b, db := newBatch(t, e, nil)
	if err := streams.ReadAll(ctx, e.js, streams.ReadConfig{Stream: event.StreamEvents}, func(m jetstream.Msg, at *jetstream.MsgMetadata) error {
		if seq := at.Sequence.Stream; seq == 2 || seq == 3 || seq == 5 {
			return nil // as if a replica had lost them
		}
		return b.add(ctx, delivery{m, at})
	}); err != nil {
		t.Fatal(err)
	}
	if err := b.commit(ctx); err != nil {
		t.Fatal(err)
	}
	page := ok(db.Reader.Events(ctx, api.EventRequest{}))(t)
	var seqs []uint64
	for _, row := range page.Items {
		seqs = append(seqs, row.Seq)
	}
	if diff := cmp.Diff([]uint64{1, 2, 3, 5, 6}, seqs); diff != "" {
		t.Fatal(diff)
	}
	var ids []string
	for _, f := range ok(db.Writer.Unreported(ctx, 10))(t) {
		ids = append(ids, f.ID)
	}
	if diff := cmp.Diff([]string{"replica/EVENTS/1/2-5", "hole/EVENTS/1/4-4", "gap/syd-01/1/EVENTS/4-4"}, ids); diff != "" {
		t.Fatal(diff)
	}
}

// The start checks use nothing but what the role may ask, on every shape of stream.
func TestExtent(t *testing.T) {
	e := newEvents(t)
	is := func(want fold.Extent) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if got := ok(extent(ctx, e.js.Conn(), e.js, event.StreamEvents, 1))(t); got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	}
	is(fold.Extent{Incarnation: 1, First: 1, Last: 0})
	for range 5 {
		e.put()
	}
	is(fold.Extent{Incarnation: 1, First: 1, Last: 5})
	e.purge(3)
	is(fold.Extent{Incarnation: 1, First: 3, Last: 5})
	e.purge(6)
	is(fold.Extent{Incarnation: 1, First: 6, Last: 5})
	if _, err := extent(context.Background(), e.js.Conn(), e.js, "NONE", 1); err == nil {
		t.Fatal("a stream that is not there has an extent")
	}
}

// What is stored while the extent of an empty stream is asked for is not taken
// for purged.
func TestExtentWhileWriting(t *testing.T) {
	e := newEvents(t)
	ctx := context.Background()
	for round := range 60 {
		before := uint64(round)
		stored := make(chan struct{})
		go func() {
			defer close(stored)
			time.Sleep(time.Duration(round%12) * 100 * time.Microsecond) // any moment of the asking
			e.put()
		}()
		got, err := extent(ctx, e.js.Conn(), e.js, event.StreamEvents, 1)
		<-stored
		if err != nil || got.First != before+1 {
			t.Fatalf("round %d: %+v, %v", round, got, err)
		}
		e.purge(before + 2)
	}
}
