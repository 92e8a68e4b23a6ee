package sqlite

// createMarks makes the table of fold.Marks. It is beside the schema that migrations
// make: a version that does not know it takes no notice, so that a primary can go back
// to the last release, which opens no database with a migration that it does not know.
// Such a version moves a cursor without its marks; they are passed over then.
const createMarks = `CREATE TABLE IF NOT EXISTS marks (
    tenant    TEXT NOT NULL,
    stream    TEXT NOT NULL,
    histories INTEGER NOT NULL,
    marks     BLOB NOT NULL,
    PRIMARY KEY (tenant, stream)
) WITHOUT ROWID`

const selectCursors = `SELECT c.stream, c.incarnation, c.seq, c.start, c.began, coalesce(m.histories, 0), m.marks
	FROM cursors c LEFT JOIN marks m ON m.tenant = c.tenant AND m.stream = c.stream WHERE c.tenant = ?`
