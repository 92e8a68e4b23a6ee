package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/primary/fold"
)

// Metrics are kept for an hour back from the newest, and the newest always.
func TestWindow(t *testing.T) {
	s := openTest(t, Config{})
	f, ctx := newFeed(t, s), context.Background()
	f.state("r1", event.TypeDeclared, 0, event.Declared{Device: "r1"})
	for _, minute := range []int{0, 30, 70, 60, 95} { // 60 arrives late
		f.say("acme", event.KindMetric, "r1", event.TypePing, time.Duration(minute)*time.Minute, event.Ping{RTT: float64(minute)})
	}
	d := must(s.Device(ctx, api.DeviceRef{Tenant: "acme", Site: "syd", Device: "r1"}))(t)
	var rtt []float64
	for _, m := range d.Metrics {
		if m.Name == "rttMs" {
			for _, p := range m.Points {
				rtt = append(rtt, p.Value)
			}
			if m.Value != 95 {
				t.Fatalf("latest value %v", m.Value)
			}
		}
	}
	if !cmp.Equal(rtt, []float64{60, 70, 95}) {
		t.Fatalf("points %v", rtt)
	}
}

func TestPrune(t *testing.T) {
	now := t0
	s := openTest(t, Config{EventDays: 10, Now: func() time.Time { return now }})
	f, ctx := newFeed(t, s), context.Background()
	for day := range 20 {
		now = t0.Add(time.Duration(day) * 24 * time.Hour)
		f.say("acme", event.KindEvent, event.Entity(fmt.Sprintf("order-%d", day)), "app.order.v1", now.Sub(t0), map[string]string{})
		f.say("acme", event.KindMetric, event.Entity(fmt.Sprintf("order-%d", day)), "app.size.v1", now.Sub(t0), map[string]int{"n": 1})
	}
	if _, err := s.Prune(ctx); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"events", "folded", "devices", "series", "samples"} {
		var n int
		if err := s.reads.QueryRowContext(ctx, "SELECT count(*) FROM "+table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n != 11 {
			t.Errorf("%d rows left in %s, want 11", n, table)
		}
	}
	f.say("acme", event.KindMetric, "order-0", "app.size.v1", now.Sub(t0), map[string]int{"n": 2}) // its series is made again
	f.say("acme", event.KindEvent, "order-0", "app.order.v1", now.Sub(t0), map[string]string{})
	if end := must(s.End(ctx))(t); end != 21 {
		t.Errorf("position %d given again", end)
	}
}

func TestBeginRecords(t *testing.T) {
	s := openTest(t, Config{Source: "primary/p"})
	ctx := context.Background()
	if _, err := s.Apply(ctx, "acme", pollerEvents(0, 100)); err != nil {
		t.Fatal(err)
	}
	if _, found, ok, err := s.Begin(ctx, "acme", event.StreamEvents, fold.Extent{Incarnation: 1, First: 1, Last: 50}); err != nil || ok || len(found) != 1 {
		t.Fatal(found, ok, err)
	}
	for range 2 { // found at every try, recorded once
		if c, _, ok, err := s.Begin(ctx, "acme", event.StreamEvents, fold.Extent{Incarnation: 1, First: 151, Last: 200}); err != nil || !ok || c.Seq != 150 {
			t.Fatal(c, ok, err)
		}
	}
	pending := must(s.Untold(ctx, 10))(t)
	var ids []string
	for _, p := range pending {
		ids = append(ids, p.ID)
		if p.Alarm.Source != "primary/p" || p.Alarm.Message == "" || p.Alarm.Hint == "" || p.Tenant != "acme" {
			t.Errorf("%+v", p)
		}
		if err := s.Told(ctx, p.Pos); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"cursor-ahead/EVENTS/1/100", "purged-ahead/EVENTS/1/101-150"}, ids); diff != "" {
		t.Fatal(diff)
	}
	if left := must(s.Untold(ctx, 10))(t); len(left) != 0 {
		t.Fatal(left)
	}
	if alarms := must(s.Alarms(ctx, 10))(t); len(alarms) != 2 || !strings.HasPrefix(alarms[0].Message, "acme: ") {
		t.Fatalf("%+v", alarms)
	}
}

// A tenant's id used again is another tenant, also for a primary that was away
// while the old one was deleted; a new name alone makes nobody another.
func TestTenantAgain(t *testing.T) {
	for what, now := range map[string][]Tenant{
		"seen deleted":    {{Name: "Acme", Account: "A", Deleted: true}, {Name: "Acme", Account: "B"}},
		"another account": {{Name: "Acme", Account: "B"}},
		"another name":    {{Name: "Acme Corporation", Account: "A"}},
	} {
		s := openTest(t, Config{})
		f, ctx := newFeed(t, s), context.Background()
		for _, v := range append([]Tenant{{Name: "Acme", Account: "A"}}, now...) {
			if v.Account == "A" && !v.Deleted {
				f.state("r1", event.TypeDeclared, 0, event.Declared{Device: "r1"})
			}
			if err := s.PutTenant(ctx, "acme", v); err != nil {
				t.Fatal(err)
			}
		}
		cursors, devices := len(must(s.Cursors(ctx, "acme"))(t)), len(must(s.Devices(ctx, api.ListRequest{}))(t).Items)
		if kept := what == "another name"; (cursors > 0) != kept || (devices > 0) != kept {
			t.Errorf("%s: %d cursors and %d devices are left", what, cursors, devices)
		}
	}
}

// One long run in one process, and the same cut into random batches with the
// store closed and opened in between and batches coming again, leave the same
// database.
func TestRestartsFoldTheSame(t *testing.T) {
	const n = 1500
	msgs := pollerEvents(0, n)
	for i := range msgs { // every third is a state, every fifth a metric
		m := &msgs[i]
		switch {
		case i%3 == 1:
			m.Kind, m.Stream, m.Type, m.Severity = event.KindState, event.StreamState, event.TypeReachability, ""
			m.Entity = m.Entity.Device()
			m.Data, _ = json.Marshal(event.Reachability{Device: m.Entity, Status: []string{"up", "down"}[i%2], Method: "ping"})
		case i%5 == 0:
			m.Kind, m.Stream, m.Type, m.Severity = event.KindMetric, event.StreamMetrics, event.TypePing, ""
			m.Data, _ = json.Marshal(event.Ping{RTT: float64(i)})
		}
		m.Low = 0 // the three streams share sequences here, so low would not be true
	}
	seqs := map[string]uint64{}
	for i := range msgs {
		seqs[msgs[i].Stream]++
		msgs[i].StreamSeq = seqs[msgs[i].Stream]
	}
	run := func(batches bool) string {
		cfg := Config{Dir: t.TempDir(), Now: func() time.Time { return t0 }}
		ctx := context.Background()
		s := openTest(t, cfg)
		for at := 0; at < n; {
			from, to := at, min(at+MaxBatch, n)
			if batches {
				from, to = max(0, at-rand.Intn(100)), min(at+1+rand.Intn(300), n)
				if rand.Intn(3) == 0 {
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					s = openTest(t, cfg)
				}
			}
			if _, err := s.Apply(ctx, "acme", append([]fold.Message(nil), msgs[from:to]...)); err != nil {
				t.Fatal(err)
			}
			at = to
		}
		return dump(t, s)
	}
	if diff := cmp.Diff(run(false), run(true)); diff != "" {
		t.Fatal(diff)
	}
}

// dump is everything in the database but rows about transactions.
func dump(t *testing.T, s *Store) string {
	t.Helper()
	var b strings.Builder
	for _, q := range []string{
		"SELECT * FROM cursors ORDER BY 1, 2", "SELECT * FROM ledgers ORDER BY 1, 2, 3, 4", "SELECT * FROM states ORDER BY 1, 2, 3, 4",
		"SELECT * FROM devices ORDER BY 1, 2, 3", "SELECT * FROM events ORDER BY pos", "SELECT * FROM alarms",
		"SELECT site, entity, type, time, \"values\" FROM series JOIN samples ON id = series ORDER BY 1, 2, 3, 4",
	} {
		rows, err := s.reads.QueryContext(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(q + "\n")
		writeRows(t, &b, rows)
	}
	return b.String()
}

func writeRows(t *testing.T, b *strings.Builder, rows *sql.Rows) {
	t.Helper()
	defer rows.Close()
	cols, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values, into := make([]any, len(cols)), make([]any, len(cols))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(b, "%q\n", values)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "primary.db"), []byte(strings.Repeat("not a database ", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), Config{Dir: dir}); !fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
		t.Fatalf("a damaged file: %v", err)
	}
	s := openTest(t, Config{})
	if _, err := s.conn.ExecContext(context.Background(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)"); err != nil {
		t.Fatal(err)
	}
	dir = s.cfg.Dir
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), Config{Dir: dir}); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), "newer") {
		t.Fatalf("a newer schema: %v", err)
	}
	if _, err := openTest(t, Config{}).Apply(context.Background(), "acme", make([]fold.Message, MaxBatch+1)); !fault.Is(err, fault.Invalid) {
		t.Fatalf("too large a batch: %v", err)
	}
}

// An answer fits into one NATS message, however large the events are.
func TestPagesFit(t *testing.T) {
	s := openTest(t, Config{})
	f, ctx := newFeed(t, s), context.Background()
	for range 12 {
		f.say("acme", event.KindEvent, "r1", "app.big.v1", 0, map[string]string{"blob": strings.Repeat("x", 100<<10)})
	}
	f.say("acme", event.KindEvent, "r1", "app.big.v1", 0, map[string]string{"blob": strings.Repeat("x", 900<<10)})
	n := 0
	for req := (api.EventRequest{}); ; {
		page := must(s.Events(ctx, req))(t)
		if body, err := json.Marshal(page); err != nil || len(body) > 1<<20 {
			t.Fatalf("a page of %d bytes, %v", len(body), err)
		}
		n += len(page.Items)
		if req.After = page.Next; page.Next == "" {
			break
		}
	}
	if n != 13 {
		t.Fatalf("%d events of 13", n)
	}
}

// Dead letters are counted, once each.
func TestDead(t *testing.T) {
	s, ctx := openTest(t, Config{}), context.Background()
	for _, seqs := range [][]uint64{{1, 2}, {2, 3}} {
		var msgs []fold.Message
		for _, seq := range seqs {
			msgs = append(msgs, fold.Message{Incarnation: 1, DeadStream: "EVENTS", DeadReason: "schema", Event: event.Event{Kind: event.KindDead,
				Entity: "r1", Type: "x.v1", Producer: "p1", Epoch: 1, Sequence: 4, Received: t0, Stream: event.StreamDead, StreamSeq: seq}})
		}
		if _, err := s.Apply(ctx, "acme", msgs); err != nil {
			t.Fatal(err)
		}
	}
	var n int
	if err := s.reads.QueryRowContext(ctx, "SELECT count FROM dead WHERE tenant = 'acme' AND stream = 'EVENTS' AND reason = 'schema' AND producer = 'p1'").Scan(&n); err != nil || n != 3 {
		t.Fatalf("%d dead letters, want 3 (%v)", n, err)
	}
}
