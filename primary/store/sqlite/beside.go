package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"midplane/fault"
	"midplane/primary/fold"
)

// Some tables are beside the schema that migrations make. The last release opens no
// database with a migration that it does not know, and takes no notice of a table: so a
// primary can go back to that release until the upgrade is ended. What it leaves undone
// in these tables is put right when this version comes back.

// createMarks makes the table of fold.Marks. The last release moves a cursor without its
// marks; they are passed over then.
const createMarks = `CREATE TABLE IF NOT EXISTS marks (
    tenant    TEXT NOT NULL,
    stream    TEXT NOT NULL,
    histories INTEGER NOT NULL,
    marks     BLOB NOT NULL,
    PRIMARY KEY (tenant, stream)
) WITHOUT ROWID`

const selectCursors = `SELECT c.stream, c.incarnation, c.seq, c.start, c.began, coalesce(m.histories, 0), m.marks
	FROM cursors c LEFT JOIN marks m ON m.tenant = c.tenant AND m.stream = c.stream WHERE c.tenant = ?`

// createNotes makes the table of what the ledger's accounts say beside what folding
// needs.
const createNotes = `CREATE TABLE IF NOT EXISTS ledger_notes (
	tenant   TEXT NOT NULL,
	producer TEXT NOT NULL,
	epoch    INTEGER NOT NULL,
	stream   TEXT NOT NULL,
	site     TEXT NOT NULL,    -- of the newest message
	doubled  INTEGER NOT NULL, -- messages that came again
	PRIMARY KEY (tenant, producer, epoch, stream)
) WITHOUT ROWID`

// createRecent makes the tables of samples that are written in the order in which they
// come, those of all series together: beside those of its series each would be a page
// of the disk written.
const createRecent = `CREATE TABLE recent (
	id       INTEGER PRIMARY KEY AUTOINCREMENT,
	series   INTEGER NOT NULL,
	before   INTEGER NOT NULL, -- the series' sample before, 0 or removed = none
	time     INTEGER NOT NULL,
	"values" BLOB NOT NULL
);
CREATE TABLE newest (
	series INTEGER PRIMARY KEY,
	sample INTEGER NOT NULL, -- in recent; 0 or removed = it stands in samples
	time   INTEGER NOT NULL
);`

// fillNewest says of every series that it stands in samples.
const fillNewest = `INSERT INTO newest (series, sample, time) SELECT series, 0, max(time) FROM samples GROUP BY series`

// gatherRecent puts what stands in recent into samples. The last release has written
// newer ones there.
const gatherRecent = `INSERT OR REPLACE INTO samples (series, time, "values") SELECT series, time, "values" FROM recent;
DELETE FROM recent;
DELETE FROM newest;`

// makeBeside makes the tables that are missing, and puts right what the last release
// has left, in one transaction.
func makeBeside(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit there is nothing to undo
	var there, held bool
	err = tx.QueryRowContext(ctx, "SELECT count(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = 'newest'").Scan(&there)
	if err != nil {
		return err
	}
	todo := []string{createMarks, createNotes}
	if there {
		if err := tx.QueryRowContext(ctx, "SELECT count(*) > 0 FROM recent").Scan(&held); err != nil {
			return err
		}
		moved, err := movedWithoutMarks(ctx, tx)
		if err != nil {
			return err
		}
		if held && moved {
			todo = append(todo, gatherRecent, fillNewest)
		}
	} else {
		todo = append(todo, createRecent, fillNewest)
	}
	for _, text := range todo {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	return fault.Wrap(fault.Other, tx.Commit(), "make tables")
}

// movedWithoutMarks reports whether the last release has moved a cursor.
func movedWithoutMarks(ctx context.Context, tx *sql.Tx) (moved bool, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT c.seq, m.marks FROM cursors c LEFT JOIN marks m USING (tenant, stream) WHERE c.seq > 0")
	if err != nil {
		return false, err
	}
	defer rows.Close()
	for rows.Next() {
		var seq uint64
		var marks []byte
		if err := rows.Scan(&seq, &marks); err != nil {
			return false, err
		}
		if m := fold.ParseMarks(marks); len(m) == 0 || m[0].Seq != seq {
			moved = true
		}
	}
	return moved, errors.Join(rows.Err(), rows.Close())
}
