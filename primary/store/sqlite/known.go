package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"midplane/primary/fold"
)

// known reads what a batch touches.
func (t *tx) known(ctx context.Context, need fold.Needs) (*fold.Known, error) {
	k := &fold.Known{Ledgers: map[fold.LedgerKey]*fold.Ledger{}, States: map[fold.StateKey]*fold.Lanes{}}
	var err error
	if k.Cursors, err = t.cursors(ctx); err != nil {
		return nil, err
	}
	for key := range need.Ledgers {
		l, err := t.ledger(ctx, key)
		if err != nil {
			return nil, err
		}
		if l != nil {
			k.Ledgers[key] = l
		}
	}
	for key := range need.States {
		lanes, err := t.lanes(ctx, key)
		if err != nil {
			return nil, err
		}
		if lanes != nil {
			k.States[key] = lanes
		}
	}
	return k, nil
}

func (t *tx) cursors(ctx context.Context) (map[string]fold.Cursor, error) {
	rows, err := t.st.cursors.QueryContext(ctx, string(t.tenant))
	if err != nil {
		return nil, err
	}
	return scanCursors(rows)
}

func scanCursors(rows *sql.Rows) (map[string]fold.Cursor, error) {
	defer rows.Close()
	out := map[string]fold.Cursor{}
	for rows.Next() {
		var stream string
		var c fold.Cursor
		var began int64
		var marks []byte
		if err := rows.Scan(&stream, &c.Incarnation, &c.Seq, &c.Start, &began, &c.Histories, &marks); err != nil {
			return nil, err
		}
		c.Began = timeOf(began)
		// When the newest mark is not of the cursor, a version that keeps no marks
		// has moved it.
		if m := fold.ParseMarks(marks); len(m) > 0 && m[0].Seq == c.Seq {
			c.Identity, c.Marks = m[0].Identity, m
		}
		out[stream] = c
	}
	return out, rows.Err()
}

func (t *tx) ledger(ctx context.Context, key fold.LedgerKey) (*fold.Ledger, error) {
	var l fold.Ledger
	var received, tombstones, lost []byte
	err := t.st.ledger.QueryRowContext(ctx, string(t.tenant), string(key.Producer), key.Epoch, key.Stream).
		Scan(&l.High, &l.Low, &l.Base, &l.Settled, &received, &tombstones, &lost, (*string)(&l.Site), &l.Doubled)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if t.notes == nil {
		t.notes = map[fold.LedgerKey]note{}
	}
	t.notes[key] = note{l.Site, l.Doubled}
	for _, x := range []struct {
		into *fold.Ranges
		from []byte
	}{{&l.Received, received}, {&l.Tombstones, tombstones}, {&l.Lost, lost}} {
		if *x.into, err = fold.ParseRanges(x.from); err != nil {
			return nil, err
		}
	}
	return &l, nil
}

func (t *tx) lanes(ctx context.Context, key fold.StateKey) (*fold.Lanes, error) {
	rows, err := t.st.lanes.QueryContext(ctx, string(t.tenant), string(key.Type), string(key.Site), string(key.Entity))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var lanes *fold.Lanes
	for rows.Next() {
		var lane fold.Lane
		var v fold.Version
		var winner bool
		var received, at, since int64
		var data []byte
		if err := rows.Scan((*string)(&lane.Producer), &lane.Stock, &winner, &v.Epoch, &v.Seq, &v.Incarnation, &v.StreamSeq,
			&received, &at, &since, &data); err != nil {
			return nil, err
		}
		v.Received, v.Time, v.Since, v.Data = timeOf(received), timeOf(at), timeOf(since), data
		if lanes == nil {
			lanes = &fold.Lanes{By: map[fold.Lane]*fold.Version{}}
		}
		lanes.By[lane] = &v
		if winner {
			lanes.Winner = lane
		}
	}
	return lanes, rows.Err()
}
