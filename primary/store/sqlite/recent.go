package sqlite

// createRecent makes the tables of samples in the order in which they came. They are
// beside the schema that migrations make, as those of marks.go, and so that a primary
// can go back to the last release: it finds the samples that it knows, and goes on with
// them. What it removes of the table series the trigger removes here; a number of
// newest is never given twice, while one of series may be. What it adds counts when
// this version is back, which is the last statement; it also takes over a database that
// had no such tables. Each of them may be done again.
var createRecent = []string{
	`CREATE TABLE IF NOT EXISTS newest (
		id     INTEGER PRIMARY KEY AUTOINCREMENT,
		series INTEGER NOT NULL UNIQUE,
		sample INTEGER NOT NULL, -- in recent; 0 or removed = none of the series stands there
		time   INTEGER NOT NULL
	)`,
	`CREATE TABLE IF NOT EXISTS recent (
		id       INTEGER PRIMARY KEY AUTOINCREMENT,
		chain    INTEGER NOT NULL, -- id in newest
		before   INTEGER NOT NULL, -- the series' sample before, 0 or removed = none
		time     INTEGER NOT NULL,
		"values" BLOB NOT NULL
	)`,
	`CREATE TRIGGER IF NOT EXISTS newest_gone AFTER DELETE ON series BEGIN DELETE FROM newest WHERE series = old.id; END`,
	`INSERT INTO newest (series, sample, time) SELECT series, 0, max(time) FROM samples WHERE true GROUP BY series
		ON CONFLICT (series) DO UPDATE SET time = excluded.time WHERE excluded.time > newest.time`,
}
