package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"midplane/event"
	"midplane/fault"
	"midplane/primary/fold"
	"midplane/primary/store"
	"midplane/primary/store/index"
)

// Writer changes the database, one transaction at a time. It implements
// store.Folder, store.Tenants, store.Findings and store.Pruner.
type Writer struct {
	opts  store.Options
	reads *sql.DB // for what is asked outside of transactions
	grown *growth
	index *index.Index

	mu         sync.Mutex // one transaction at a time
	conn       *sql.Conn
	st         statements
	series     seriesIDs
	lastFolded int64 // the newest time in table folded
}

// start takes the one connection that writes and prepares its statements.
func (w *Writer) start(ctx context.Context, db *sql.DB) error {
	var mode string
	var sync int
	var err error
	if w.conn, err = db.Conn(ctx); err != nil {
		return err
	}
	if err := w.conn.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return err
	}
	if err := w.conn.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&sync); err != nil {
		return err
	}
	if mode != "wal" || sync != 2 {
		return fault.New(fault.Other, "the database runs with journal %q, synchronous %d instead of wal, 2 (FULL)", mode, sync)
	}
	if err := w.conn.QueryRowContext(ctx, "SELECT coalesce(max(at), 0) FROM folded").Scan(&w.lastFolded); err != nil {
		return err
	}
	return w.st.prepare(ctx, w.conn)
}

func (w *Writer) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == nil {
		return nil
	}
	err := errors.Join(w.st.close(), w.conn.Close())
	w.conn = nil
	return err
}

// Cursors returns a tenant's cursors, by stream.
func (w *Writer) Cursors(ctx context.Context, t event.Tenant) (map[string]fold.Cursor, error) {
	rows, err := w.reads.QueryContext(ctx, selectCursors, string(t))
	if err != nil {
		return nil, classify(err, "read cursors")
	}
	out, err := scanCursors(rows)
	return out, classify(err, "read cursors")
}

// Begin decides where to read a stream on from, as store.Folder says.
func (w *Writer) Begin(ctx context.Context, tenant event.Tenant, stream string, e fold.Extent) (c fold.Cursor, found []fold.Finding, ok bool, err error) {
	err = w.change(ctx, tenant, func(ctx context.Context, t *tx) error {
		cursors, err := t.cursors(ctx)
		if err != nil {
			return err
		}
		var have *fold.Cursor
		if old, exists := cursors[stream]; exists {
			have = &old
		}
		c, found, ok = fold.Begin(have, stream, e, t.now.UTC())
		if err := t.putCursor(ctx, stream, c); err != nil {
			return err
		}
		return t.putFindings(ctx, found)
	})
	return c, found, ok, err
}

// Apply folds messages and commits the changes with the cursors, as
// store.Folder says.
func (w *Writer) Apply(ctx context.Context, tenant event.Tenant, msgs []fold.Message) (fold.Result, error) {
	if len(msgs) > store.MaxBatch {
		return fold.Result{}, fault.New(fault.Invalid, "a batch of %d messages, at most %d", len(msgs), store.MaxBatch)
	}
	ch := fold.NewChanges()
	var pos int64
	var known *fold.Known
	err := w.change(ctx, tenant, func(ctx context.Context, t *tx) (err error) {
		if known, err = t.known(ctx, fold.Need(msgs)); err != nil {
			return err
		}
		for i := range msgs {
			fold.Fold(known, ch, &msgs[i])
		}
		pos, err = t.save(ctx, known, ch)
		return err
	}, func() { w.index.Apply(tenant, known, ch) })
	if err != nil {
		return fold.Result{}, err
	}
	if pos > 0 {
		w.grown.grew()
	}
	return fold.Result{Folded: ch.Folded, Skipped: ch.Skipped, Cursors: ch.Cursors, Findings: ch.Findings, Touched: ch.Touched, Position: uint64(pos)}, nil
}

// Find records findings that are not a message's.
func (w *Writer) Find(ctx context.Context, tenant event.Tenant, found ...fold.Finding) error {
	return w.change(ctx, tenant, func(ctx context.Context, t *tx) error { return t.putFindings(ctx, found) })
}

// change runs f in one transaction about a tenant, and then what follows the
// commit, before the next transaction.
func (w *Writer) change(ctx context.Context, tenant event.Tenant, f func(ctx context.Context, t *tx) error, committed ...func()) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := &tx{st: &w.st, tenant: tenant, source: w.opts.Source, series: w.series, fresh: seriesIDs{}, lastFolded: w.lastFolded}
	err := w.write(ctx, func(ctx context.Context) error {
		t.now = w.opts.Now()
		return f(ctx, t)
	})
	if err != nil {
		return err
	}
	w.series.remember(t.fresh)
	w.lastFolded = t.lastFolded
	for _, then := range committed {
		then()
	}
	return nil
}

// write runs f in one transaction; w.mu is held. The connection is driven by
// hand: statements are prepared on it once, and a transaction of database/sql
// would bind each of them again.
func (w *Writer) write(ctx context.Context, f func(ctx context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// Once begun a transaction is carried through: it is short, and half of
	// it interrupted is no gain.
	ctx = context.WithoutCancel(ctx)
	if w.conn == nil {
		return fault.New(fault.Unavailable, "the primary's database is closed")
	}
	if _, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return classify(err, "begin")
	}
	err := f(ctx)
	if err == nil {
		if _, err = w.conn.ExecContext(ctx, "COMMIT"); err == nil {
			return nil
		}
	}
	// A failed COMMIT may have rolled back already; then this fails, harmlessly.
	_, _ = w.conn.ExecContext(ctx, "ROLLBACK")
	return classify(err, "write")
}
