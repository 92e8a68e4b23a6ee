package crash

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	_ "modernc.org/sqlite"

	"midplane/api"
	"midplane/bus"
	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/streams"
	"midplane/telemetry"
)

// outbox is what the poller's database says once the poller is gone.
type outbox struct {
	producer string
	epoch    int64
	last     uint64 // highest sequence ever given to an event
	waiting  int    // events and states not acknowledged
}

func readOutbox(ctx context.Context, dir string) (o outbox, err error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "outbox.db"))
	if err != nil {
		return o, err
	}
	defer db.Close()
	row := db.QueryRowContext(ctx, `SELECT producer, epoch, (SELECT last FROM stream WHERE lane = 0),
		(SELECT count(*) FROM waiting_event) + (SELECT count(*) FROM waiting_state) FROM outbox`)
	return o, row.Scan(&o.producer, &o.epoch, &o.last, &o.waiting)
}

func (o outbox) id(seq uint64) string {
	return fmt.Sprintf("%s/%d/%s/%d", o.producer, o.epoch, event.StreamEvents, seq)
}

// stored is what EVENTS holds of the poller.
type stored struct {
	times  map[uint64]int  // how often each sequence is there
	ledger map[uint64]bool // sequences of the ledger's own messages, which no log shows
	gone   map[uint64]bool // given up on purpose, with a tombstone
	alarms []string
}

// readStream reads all of EVENTS.
func readStream(ctx context.Context, t *testing.T, d *testcluster.Deployment, creds string, o outbox) stored {
	t.Helper()
	out := stored{times: map[uint64]int{}, ledger: map[uint64]bool{}, gone: map[uint64]bool{}}
	readAll(ctx, t, d, creds, event.StreamEvents, func(m jetstream.Msg) { out.take(t, m, o) })
	return out
}

// readAll reads all of a stream with the inspector's own means.
func readAll(ctx context.Context, t *testing.T, d *testcluster.Deployment, creds, stream string, take func(jetstream.Msg)) {
	t.Helper()
	nc, err := bus.Connect(bus.Config{Servers: d.Servers, User: inspector, Name: inspector, CredsFile: creds, CAFile: d.CA(), MaxWait: 10 * time.Second}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := streams.ReadAll(ctx, js, streams.ReadConfig{Stream: stream}, func(m jetstream.Msg, _ *jetstream.MsgMetadata) error {
		take(m)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func (s *stored) take(t *testing.T, m jetstream.Msg, o outbox) {
	t.Helper()
	e, err := bus.Parse(m.Subject(), m.Headers(), m.Data())
	if err != nil {
		t.Fatalf("%s: %v", m.Subject(), err)
	}
	if e.Type == event.TypeAlarm {
		s.alarms = append(s.alarms, string(m.Data()))
	}
	if string(e.Producer) != o.producer {
		return
	}
	if e.Epoch != o.epoch {
		t.Fatalf("a message of epoch %d, but the outbox has %d all along", e.Epoch, o.epoch)
	}
	s.times[e.Sequence]++
	if e.Type != event.TypeLedgerEvent {
		return
	}
	s.ledger[e.Sequence] = true
	var l event.Ledger
	if err := json.Unmarshal(e.Data, &l); err != nil {
		t.Fatalf("ledger %s: %v", e.Data, err)
	}
	for _, tomb := range l.Tombstones {
		for seq := tomb.From; seq <= tomb.To; seq++ {
			s.gone[seq] = true
		}
	}
}

// checkStream: all that the poller ever committed is in the stream once, or in
// a tombstone.
func (s stored) check(t *testing.T, o outbox) {
	t.Helper()
	for seq := uint64(1); seq <= o.last; seq++ {
		switch {
		case s.times[seq] == 1, s.gone[seq] && s.times[seq] == 0:
		default:
			t.Errorf("EVENTS: sequence %d of the poller is there %d times", seq, s.times[seq])
		}
	}
	for seq := range s.times {
		if seq > o.last {
			t.Errorf("EVENTS: sequence %d was never committed, the last is %d", seq, o.last)
		}
	}
	if len(s.alarms) > 0 {
		t.Errorf("alarms were raised: %q", s.alarms)
	}
}

// checkPrimary: the primary's log holds exactly these, each once.
func (s stored) checkPrimary(t *testing.T, o outbox, rows []api.Event) (total int) {
	t.Helper()
	times := map[string]int{}
	for _, r := range rows {
		if times[r.ID]++; times[r.ID] == 2 {
			t.Errorf("the primary has %s twice", r.ID)
		}
		if r.Producer == o.producer {
			total++
		}
	}
	want := 0
	for seq := uint64(1); seq <= o.last; seq++ {
		shown := 1
		if s.ledger[seq] || s.gone[seq] {
			shown = 0
		}
		want += shown
		if got := times[o.id(seq)]; got != shown {
			t.Errorf("the primary has %s %d times, want %d", o.id(seq), got, shown)
		}
	}
	if total != want {
		t.Errorf("the primary has %d events of the poller, %d were committed", total, want)
	}
	return total
}
