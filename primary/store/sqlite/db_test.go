package sqlite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"midplane/event"
	"midplane/fault"
	"midplane/primary/fold"
	"midplane/primary/store"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func openTest(t testing.TB, dir string, opts store.Options) *DB {
	t.Helper()
	db, err := Open(context.Background(), dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "primary.db"), []byte(strings.Repeat("not a database ", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), dir, store.Options{}); !fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
		t.Fatalf("a damaged file: %v", err)
	}
	dir = t.TempDir()
	db := openTest(t, dir, store.Options{})
	if _, err := db.Writer.conn.ExecContext(context.Background(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), dir, store.Options{}); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), "newer") {
		t.Fatalf("a newer schema: %v", err)
	}
}

// Pruning leaves no row of any table behind for what is gone.
func TestPruneEmptiesTables(t *testing.T) {
	now, seq := t0, uint64(0)
	db, ctx := openTest(t, t.TempDir(), store.Options{EventDays: 10, Now: func() time.Time { return now }}), context.Background()
	put := func(kind event.Kind, entity event.Entity, typ event.Type, data string) {
		t.Helper()
		seq++
		m := fold.Message{Incarnation: 1, Event: event.Event{Kind: kind, Site: "syd", Entity: entity, Type: typ, Producer: "p1", Data: []byte(data),
			Severity: event.Warning, Time: now, Received: now, Stream: kind.Stream(), StreamSeq: (seq + 1) / 2}}
		if _, err := db.Writer.Apply(ctx, "acme", []fold.Message{m}); err != nil {
			t.Fatal(err)
		}
	}
	for day := range 20 {
		now = t0.Add(time.Duration(day) * 24 * time.Hour)
		put(event.KindEvent, event.Entity(fmt.Sprintf("order-%d", day)), "app.order.v1", `{}`)
		put(event.KindMetric, event.Entity(fmt.Sprintf("order-%d", day)), "app.size.v1", `{"n": 1}`)
	}
	if _, err := db.Writer.Prune(ctx); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"events", "folded", "devices", "series", "newest", "(SELECT series FROM samples UNION ALL SELECT chain FROM recent)"} {
		var n int
		if err := db.reads.QueryRowContext(ctx, "SELECT count(*) FROM "+table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n != 11 {
			t.Errorf("%d rows left in %s, want 11", n, table)
		}
	}
	put(event.KindEvent, "order-0", "app.order.v1", `{}`)
	put(event.KindMetric, "order-0", "app.size.v1", `{"n": 2}`) // its series is made again
}

// A device of which nothing but heartbeats is known is kept while they come, although
// their time stands in the heartbeat's state alone.
func TestPruneKeepsWhatBeats(t *testing.T) {
	now, seq := t0, uint64(0)
	db, ctx := openTest(t, t.TempDir(), store.Options{EventDays: 10, Now: func() time.Time { return now }}), context.Background()
	beat := func() {
		t.Helper()
		seq++
		m := fold.Message{Incarnation: 1, Event: event.Event{Kind: event.KindState, Site: "syd", Entity: "r1", Type: event.TypeSeen, Producer: "p1", Epoch: 1, Sequence: seq,
			Data: []byte(`{"device":"r1","checks":[]}`), Time: now, Received: now, Stream: event.StreamState, StreamSeq: seq}}
		if _, err := db.Writer.Apply(ctx, "acme", []fold.Message{m}); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		beat()
		now = now.Add(24 * time.Hour)
	}
	for _, want := range []int{1, 0} {
		if _, err := db.Writer.Prune(ctx); err != nil {
			t.Fatal(err)
		}
		if n := count(t, db, "devices"); n != want {
			t.Errorf("%d devices are left at %s, want %d", n, now, want)
		}
		now = now.Add(10 * 24 * time.Hour)
	}
}

// Dead letters are counted, once each.
func TestDead(t *testing.T) {
	db, ctx := openTest(t, t.TempDir(), store.Options{}), context.Background()
	for _, seqs := range [][]uint64{{1, 2}, {2, 3}} {
		var msgs []fold.Message
		for _, seq := range seqs {
			msgs = append(msgs, fold.Message{Incarnation: 1, DeadStream: "EVENTS", DeadReason: "schema", Event: event.Event{Kind: event.KindDead,
				Entity: "r1", Type: "x.v1", Producer: "p1", Epoch: 1, Sequence: 4, Received: t0, Stream: event.StreamDead, StreamSeq: seq}})
		}
		if _, err := db.Writer.Apply(ctx, "acme", msgs); err != nil {
			t.Fatal(err)
		}
	}
	var n int
	if err := db.reads.QueryRowContext(ctx, "SELECT count FROM dead WHERE tenant = 'acme' AND stream = 'EVENTS' AND reason = 'schema' AND producer = 'p1'").Scan(&n); err != nil || n != 3 {
		t.Fatalf("%d dead letters, want 3 (%v)", n, err)
	}
}
