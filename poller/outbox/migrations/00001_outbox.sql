-- +goose Up

-- One outbox database is one epoch: the producer it belongs to and when it was made.
CREATE TABLE outbox (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    producer TEXT    NOT NULL,
    epoch    INTEGER NOT NULL
) STRICT;

-- Counters of the three streams. They outlive the rows, so that no sequence is used twice.
CREATE TABLE stream (
    lane   INTEGER PRIMARY KEY,  -- 0 events, 1 states, 2 metrics
    last   INTEGER NOT NULL,     -- highest sequence ever given
    ledger INTEGER NOT NULL      -- sequence of the last ledger message, 0 when none
) STRICT;

-- Messages that wait, one table a stream: appended at the end, taken from the front.
CREATE TABLE waiting_event (
    seq      INTEGER PRIMARY KEY,
    put      INTEGER NOT NULL,   -- unix milliseconds
    time     INTEGER NOT NULL,   -- ce-time, unix nanoseconds
    severity TEXT    NOT NULL,
    entity   TEXT    NOT NULL,
    type     TEXT    NOT NULL,
    parent   TEXT    NOT NULL,   -- W3C trace headers
    trace    TEXT    NOT NULL,
    data     BLOB    NOT NULL
) STRICT;

CREATE TABLE waiting_state (
    seq      INTEGER PRIMARY KEY,
    put      INTEGER NOT NULL,
    time     INTEGER NOT NULL,
    severity TEXT    NOT NULL,
    entity   TEXT    NOT NULL,
    type     TEXT    NOT NULL,
    parent   TEXT    NOT NULL,
    trace    TEXT    NOT NULL,
    data     BLOB    NOT NULL
) STRICT;

CREATE TABLE waiting_metric (
    seq      INTEGER PRIMARY KEY,
    put      INTEGER NOT NULL,
    time     INTEGER NOT NULL,
    severity TEXT    NOT NULL,
    entity   TEXT    NOT NULL,
    type     TEXT    NOT NULL,
    parent   TEXT    NOT NULL,
    trace    TEXT    NOT NULL,
    data     BLOB    NOT NULL
) STRICT;

-- The last state of every entity and type, sent or not: what changes are found against.
CREATE TABLE state (
    entity TEXT    NOT NULL,
    type   TEXT    NOT NULL,
    time   INTEGER NOT NULL,
    data   BLOB    NOT NULL,
    PRIMARY KEY (entity, type)
) STRICT, WITHOUT ROWID;

-- Ranges given up on purpose, until the ledger message that tells of them is acknowledged.
CREATE TABLE tombstone (
    lane   INTEGER NOT NULL,
    low    INTEGER NOT NULL,
    high   INTEGER NOT NULL,
    reason TEXT    NOT NULL,
    told   INTEGER NOT NULL,     -- sequence of that ledger message, 0 when not in one yet
    PRIMARY KEY (lane, low)
) STRICT, WITHOUT ROWID;
