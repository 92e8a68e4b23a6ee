-- Samples are written in the order in which they come, those of all series
-- together: beside those of its series each would be a page of the disk written.

-- +goose Up
CREATE TABLE recent (
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
);
INSERT INTO newest (series, sample, time) SELECT series, 0, max(time) FROM samples GROUP BY series;

-- +goose Down
INSERT OR REPLACE INTO samples (series, time, "values") SELECT series, time, "values" FROM recent;
DROP TABLE newest;
DROP TABLE recent;
