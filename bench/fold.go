package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"midplane/event"
	"midplane/primary/fold"
	"midplane/primary/store"
	"midplane/primary/store/sqlite" // also registers the SQLite driver
)

// foldBatch is how much the primary puts into one transaction at the most.
const foldBatch = 1000

// foldRate measures events/s folded exactly once with synchronous=FULL, and in
// the same rounds plain inserts of the same rows into the same kind of file.
func foldRate(ctx context.Context, o options) (result, error) {
	const floor = 20_000
	count := max(o.count/foldBatch, 1) * foldBatch
	r := result{floor: fmt.Sprintf("≥ %d events/s", floor)}
	var folds, plains []float64
	for round := range o.rounds {
		dir, err := os.MkdirTemp("", "midplane-bench-")
		if err != nil {
			return r, err
		}
		f, p, err := foldRound(ctx, dir, count)
		_ = os.RemoveAll(dir)
		if err != nil {
			return r, err
		}
		folds, plains = append(folds, f), append(plains, p)
		r.text = append(r.text, fmt.Sprintf("round %d: fold %6.0f/s, plain inserts %6.0f/s, ratio %.2f", round+1, f, p, f/p))
	}
	r.text = append(r.text, fmt.Sprintf("fold %s/s, plain inserts %s/s, %d to a transaction, synchronous=FULL", spread(folds, "%.0f"), spread(plains, "%.0f"), foldBatch))
	r.got, r.ok = fmt.Sprintf("%.0f events/s, %.2f of plain inserts", median(folds), median(folds)/median(plains)), median(folds) >= floor
	return r, nil
}

func foldRound(ctx context.Context, dir string, count int) (folded, plain float64, err error) {
	db, err := sqlite.Open(ctx, dir, store.Options{})
	if err != nil {
		return 0, 0, err
	}
	defer db.Close()
	batches := make([][]fold.Message, count/foldBatch)
	for i := range batches {
		batches[i] = pollerEvents(i*foldBatch, foldBatch)
	}
	began := time.Now()
	for _, b := range batches {
		res, err := db.Writer.Apply(ctx, "acme", b)
		if err != nil {
			return 0, 0, err
		}
		if res.Folded[event.KindEvent] != foldBatch || len(res.Findings) > 0 {
			return 0, 0, fmt.Errorf("folded %d of %d, findings %v", res.Folded[event.KindEvent], foldBatch, res.Findings)
		}
	}
	folded = float64(count) / time.Since(began).Seconds()
	// Exactly once: the same messages again change nothing.
	again, err := db.Writer.Apply(ctx, "acme", batches[0])
	if err != nil || again.Folded[event.KindEvent] != 0 {
		return 0, 0, fmt.Errorf("a batch was folded twice: %d, %v", again.Folded[event.KindEvent], err)
	}
	plain, err = plainInserts(ctx, dir, batches)
	return folded, plain, err
}

func plainInserts(ctx context.Context, dir string, batches [][]fold.Message) (float64, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "plain.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return 0, err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, `CREATE TABLE plain (pos INTEGER PRIMARY KEY, tenant, site, device, entity, severity, type, id, time,
		received, producer, trace, stream_seq, data)`); err != nil {
		return 0, err
	}
	count, began := 0, time.Now()
	for _, b := range batches {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return 0, err
		}
		st, err := tx.PrepareContext(ctx, `INSERT INTO plain (tenant, site, device, entity, severity, type, id, time, received, producer, trace,
			stream_seq, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
		if err != nil {
			return 0, err
		}
		for i := range b {
			m := &b[i]
			if _, err := st.ExecContext(ctx, "acme", string(m.Site), string(m.Entity.Device()), string(m.Entity), m.Severity.Level(), string(m.Type),
				m.ID, m.Time.UnixNano(), m.Received.UnixNano(), string(m.Producer), m.TraceID(), int64(m.StreamSeq), []byte(m.Data)); err != nil {
				return 0, err
			}
		}
		if err := tx.Commit(); err != nil {
			return 0, err
		}
		count += len(b)
	}
	return float64(count) / time.Since(began).Seconds(), nil
}

// pollerEvents makes n events as eight pollers of 500 devices write them.
func pollerEvents(from, n int) []fold.Message {
	msgs := make([]fold.Message, n)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range msgs {
		seq := from + i
		poller, own := seq%8, uint64(seq/8+1)
		when := at.Add(time.Duration(seq) * time.Millisecond)
		msgs[i] = fold.Message{Incarnation: 1, Event: event.Event{
			Kind: event.KindEvent, Severity: event.Warning, Entity: event.Entity(fmt.Sprintf("r%d/if/%d", seq%500, seq%4)), Site: "syd",
			Type: event.TypeInterfaceChanged, ID: fmt.Sprintf("p%d/1/EVENTS/%d", poller, own), Time: when, Received: when,
			Producer: event.Producer(fmt.Sprintf("p%d", poller)), Epoch: 1, Sequence: own, Low: own - 1,
			TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
			Data: json.RawMessage(fmt.Sprintf(`{"device":"r%d","name":"eth%d","from":"up","to":"down","message":"interface eth%d of r%d went down, %064d"}`,
				seq%500, seq%4, seq%4, seq%500, seq)),
			Stream: event.StreamEvents, StreamSeq: uint64(seq + 1),
		}}
	}
	return msgs
}
