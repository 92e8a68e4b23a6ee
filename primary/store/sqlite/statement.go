package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"
)

// manyRows is how many rows one statement of a multi carries: the cost of a
// statement is shared, and it stays far below SQLite's limit of parameters.
const manyRows = 40

// multi is an INSERT prepared twice, for one row and for manyRows.
type multi struct {
	width     int
	one, many *sql.Stmt
}

func prepareMulti(ctx context.Context, c *sql.Conn, head string, width int, tail string) (m multi, err error) {
	m.width = width
	row := "(?" + strings.Repeat(", ?", width-1) + ")"
	if m.one, err = c.PrepareContext(ctx, head+" VALUES "+row+" "+tail); err != nil {
		return m, err
	}
	m.many, err = c.PrepareContext(ctx, head+" VALUES "+row+strings.Repeat(", "+row, manyRows-1)+" "+tail)
	return m, err
}

// exec inserts the rows that args holds one after the other, in order, and
// returns the rowid of the last.
func (m multi) exec(ctx context.Context, args []any) (last int64, err error) {
	var res sql.Result
	for len(args) > 0 {
		n, st := m.width, m.one
		if len(args) >= manyRows*m.width {
			n, st = manyRows*m.width, m.many
		}
		if res, err = st.ExecContext(ctx, args[:n]...); err != nil {
			return 0, err
		}
		args = args[n:]
	}
	if res == nil {
		return 0, nil
	}
	return res.LastInsertId()
}

// statements are prepared once, on the writer's connection.
type statements struct {
	cursors, ledger, lanes, seriesID *sql.Stmt // read
	newest, oldest                   *sql.Stmt // read

	putCursor, putMarks, putLedger, putNote, putState, setWinner *sql.Stmt
	putDeclared, putReach, putInventory                          *sql.Stmt
	putSeries, putSample, trimSeries                             *sql.Stmt
	putRecent, setRecent, putNewest, setNewest                   *sql.Stmt
	keepRecent, trimRecent                                       *sql.Stmt
	putDead, putAlarm, putFolded                                 *sql.Stmt
	putEvents, putSeen, putKnown                                 multi

	all []*sql.Stmt
}

func (st *statements) prepare(ctx context.Context, c *sql.Conn) error {
	for _, p := range []struct {
		into **sql.Stmt
		text string
	}{
		{&st.cursors, selectCursors},
		{&st.ledger, `SELECT high, low, base, settled, received, tombstones, lost, coalesce(site, ''), coalesce(doubled, 0)
			FROM ledgers l LEFT JOIN ledger_notes n USING (tenant, producer, epoch, stream)
			WHERE l.tenant = ? AND l.producer = ? AND l.epoch = ? AND l.stream = ?`},
		{&st.lanes, `SELECT producer, stock, winner, epoch, seq, incarnation, stream_seq, received, time, since, data
			FROM states WHERE tenant = ? AND type = ? AND site = ? AND entity = ?`},
		{&st.seriesID, `SELECT id FROM series WHERE tenant = ? AND site = ? AND entity = ? AND type = ?`},

		{&st.putCursor, `INSERT INTO cursors (tenant, stream, incarnation, seq, start, began) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (tenant, stream) DO UPDATE SET incarnation = excluded.incarnation, seq = excluded.seq,
			start = excluded.start, began = excluded.began`},
		{&st.putMarks, `INSERT INTO marks (tenant, stream, histories, marks) VALUES (?, ?, ?, ?)
			ON CONFLICT (tenant, stream) DO UPDATE SET histories = excluded.histories, marks = excluded.marks`},
		{&st.putLedger, `INSERT INTO ledgers (tenant, producer, epoch, stream, high, low, base, settled, received, tombstones, lost)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (tenant, producer, epoch, stream) DO UPDATE SET high = excluded.high, low = excluded.low,
			base = excluded.base, settled = excluded.settled, received = excluded.received,
			tombstones = excluded.tombstones, lost = excluded.lost`},
		{&st.putNote, `INSERT INTO ledger_notes (tenant, producer, epoch, stream, site, doubled) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (tenant, producer, epoch, stream) DO UPDATE SET site = excluded.site, doubled = excluded.doubled`},
		{&st.putState, `INSERT INTO states (tenant, type, site, entity, device, producer, stock, winner, epoch, seq, incarnation,
			stream_seq, received, time, since, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (tenant, type, site, entity, producer, stock) DO UPDATE SET winner = excluded.winner,
			epoch = excluded.epoch, seq = excluded.seq, incarnation = excluded.incarnation, stream_seq = excluded.stream_seq,
			received = excluded.received, time = excluded.time, since = excluded.since, data = excluded.data`},
		{&st.setWinner, `UPDATE states SET winner = (producer = ? AND stock = ?)
			WHERE tenant = ? AND type = ? AND site = ? AND entity = ?`},

		{&st.putDeclared, `UPDATE devices SET d_name = ?, d_address = ?, d_poller = ?, d_removed = ?
			WHERE tenant = ? AND site = ? AND device = ?`},
		{&st.putReach, `UPDATE devices SET r_status = ?, r_address = ?, r_message = ?, r_since = ?, r_producer = ?
			WHERE tenant = ? AND site = ? AND device = ?`},
		{&st.putInventory, `UPDATE devices SET i_name = ?, i_description = ? WHERE tenant = ? AND site = ? AND device = ?`},

		{&st.putSeries, `INSERT INTO series (tenant, site, entity, type) VALUES (?, ?, ?, ?)`},
		{&st.putSample, `INSERT INTO samples (series, time, "values") VALUES (?, ?, ?)
			ON CONFLICT (series, time) DO UPDATE SET "values" = excluded."values"`},
		// Several at once: each time the page at the series' beginning is written too.
		{&st.trimSeries, `DELETE FROM samples WHERE series = ?1
			AND time < (SELECT time FROM newest WHERE series = ?1) - ?2
			AND (SELECT min(time) FROM samples WHERE series = ?1) < (SELECT time FROM newest WHERE series = ?1) - ?2 - ?3`},
		{&st.newest, `SELECT id, sample, time FROM newest WHERE series = ?`},
		{&st.putRecent, `INSERT INTO recent (chain, before, time, "values") VALUES (?, ?, ?, ?)`},
		{&st.putNewest, `INSERT INTO newest (series, sample, time) VALUES (?, 0, ?)`},
		{&st.setNewest, `UPDATE newest SET sample = ?, time = ? WHERE id = ?`},
		{&st.setRecent, `UPDATE recent SET "values" = ?1 WHERE id = (WITH RECURSIVE chain(id, before, time) AS (
				SELECT r.id, r.before, r.time FROM newest n CROSS JOIN recent r ON r.id = n.sample WHERE n.series = ?2
				UNION ALL SELECT r.id, r.before, r.time FROM chain c CROSS JOIN recent r ON r.id = c.before WHERE c.time > ?3)
			SELECT id FROM chain WHERE time = ?3)`},
		{&st.oldest, `SELECT r.id, r.time, coalesce((SELECT n.time FROM newest n WHERE n.id = r.chain), 0) FROM recent r ORDER BY r.id LIMIT ?`},
		{&st.keepRecent, `INSERT INTO samples (series, time, "values") SELECT n.series, r.time, r."values" FROM recent r JOIN newest n ON n.id = r.chain WHERE r.id = ?
			ON CONFLICT (series, time) DO NOTHING`},
		{&st.trimRecent, `DELETE FROM recent WHERE id <= ?`},

		{&st.putDead, `INSERT INTO dead (tenant, stream, reason, producer, count, last, entity, type) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (tenant, stream, reason, producer) DO UPDATE SET count = count + excluded.count,
			last = excluded.last, entity = excluded.entity, type = excluded.type`},
		{&st.putAlarm, `INSERT INTO alarms (tenant, id, found, told, severity, alarm) VALUES (?, ?, ?, 0, ?, ?)
			ON CONFLICT (tenant, id) DO NOTHING`},
		{&st.putFolded, `INSERT INTO folded (pos, at) VALUES (?, ?)`},
	} {
		var err error
		if *p.into, err = c.PrepareContext(ctx, p.text); err != nil {
			return err
		}
		st.all = append(st.all, *p.into)
	}
	var err error
	if st.putEvents, err = prepareMulti(ctx, c, `INSERT INTO events (tenant, site, device, entity, severity, type, id, time,
		received, producer, trace, stream_seq, data)`, 13, ""); err != nil {
		return err
	}
	st.putSeen, err = prepareMulti(ctx, c, `INSERT INTO devices (tenant, site, device, seen)`, 4,
		`ON CONFLICT (tenant, site, device) DO UPDATE SET seen = max(seen, excluded.seen)`)
	if err != nil {
		return err
	}
	st.putKnown, err = prepareMulti(ctx, c, `INSERT INTO devices (tenant, site, device, seen)`, 4, `ON CONFLICT (tenant, site, device) DO NOTHING`)
	for _, m := range []multi{st.putEvents, st.putSeen, st.putKnown} {
		st.all = append(st.all, m.one, m.many)
	}
	return err
}

func (st *statements) close() error {
	var errs []error
	for _, s := range st.all {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}
