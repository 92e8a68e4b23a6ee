-- What one primary knows. Times are nanoseconds since 1970 UTC, 0 = none.

-- +goose Up
CREATE TABLE tenants (
    tenant  TEXT PRIMARY KEY,
    name    TEXT NOT NULL,
    deleted INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE cursors (
    tenant      TEXT NOT NULL,
    stream      TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    start       INTEGER NOT NULL, -- the first sequence this reader could have read
    began       INTEGER NOT NULL,
    PRIMARY KEY (tenant, stream)
) WITHOUT ROWID;

-- The loss ledger. Ranges are varints (package fold).
CREATE TABLE ledgers (
    tenant     TEXT NOT NULL,
    producer   TEXT NOT NULL,
    epoch      INTEGER NOT NULL,
    stream     TEXT NOT NULL,
    high       INTEGER NOT NULL,
    low        INTEGER NOT NULL,
    base       INTEGER NOT NULL,
    settled    INTEGER NOT NULL,
    received   BLOB,
    tombstones BLOB,
    lost       BLOB,
    PRIMARY KEY (tenant, producer, epoch, stream)
);

-- The last state of every entity, one row per who says so; one of them wins.
CREATE TABLE states (
    tenant      TEXT NOT NULL,
    type        TEXT NOT NULL,
    site        TEXT NOT NULL,
    entity      TEXT NOT NULL,
    device      TEXT NOT NULL, -- that the entity is or belongs to
    producer    TEXT NOT NULL,
    stock       INTEGER NOT NULL, -- 1: a client without an outbox
    winner      INTEGER NOT NULL,
    epoch       INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    incarnation INTEGER NOT NULL,
    stream_seq  INTEGER NOT NULL,
    received    INTEGER NOT NULL,
    time        INTEGER NOT NULL,
    since       INTEGER NOT NULL,
    data        BLOB NOT NULL,
    PRIMARY KEY (tenant, type, site, entity, producer, stock)
);

-- Devices by facet: d_ declared, r_ reachability, i_ inventory; NULL = not known.
CREATE TABLE devices (
    tenant        TEXT NOT NULL,
    site          TEXT NOT NULL,
    device        TEXT NOT NULL,
    seen          INTEGER NOT NULL DEFAULT 0,
    d_name        TEXT,
    d_address     TEXT,
    d_poller      TEXT,
    d_removed     INTEGER,
    r_status      TEXT,
    r_address     TEXT,
    r_message     TEXT,
    r_since       INTEGER,
    r_producer    TEXT,
    i_name        TEXT,
    i_description TEXT,
    PRIMARY KEY (tenant, site, device)
) WITHOUT ROWID;

-- The event log. pos only rises and is never given twice.
CREATE TABLE events (
    pos        INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant     TEXT NOT NULL,
    site       TEXT NOT NULL,
    device     TEXT NOT NULL,
    entity     TEXT NOT NULL,
    severity   INTEGER NOT NULL, -- RFC 5424
    type       TEXT NOT NULL,
    id         TEXT NOT NULL,
    time       INTEGER NOT NULL,
    received   INTEGER NOT NULL,
    producer   TEXT NOT NULL,
    trace      TEXT NOT NULL,
    stream_seq INTEGER NOT NULL,
    data       BLOB NOT NULL
);
CREATE INDEX events_tenant ON events (tenant);
CREATE INDEX events_device ON events (tenant, device);

-- When which part of the event log was folded: one row per transaction, so
-- that no index over times is needed.
CREATE TABLE folded (
    pos INTEGER PRIMARY KEY, -- last position of the transaction
    at  INTEGER NOT NULL     -- never falls
);
CREATE INDEX folded_at ON folded (at);

CREATE TABLE series (
    id     INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    site   TEXT NOT NULL,
    entity TEXT NOT NULL,
    type   TEXT NOT NULL,
    UNIQUE (tenant, site, entity, type)
);
CREATE TABLE samples (
    series INTEGER NOT NULL,
    time   INTEGER NOT NULL,
    "values" BLOB NOT NULL, -- JSON: field → number
    PRIMARY KEY (series, time)
) WITHOUT ROWID;

CREATE TABLE dead (
    tenant   TEXT NOT NULL,
    stream   TEXT NOT NULL,
    reason   TEXT NOT NULL,
    producer TEXT NOT NULL,
    count    INTEGER NOT NULL,
    last     INTEGER NOT NULL,
    entity   TEXT NOT NULL,
    type     TEXT NOT NULL,
    PRIMARY KEY (tenant, stream, reason, producer)
) WITHOUT ROWID;

CREATE TABLE alarms (
    pos      INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant   TEXT NOT NULL,
    id       TEXT NOT NULL,
    found    INTEGER NOT NULL,
    told     INTEGER NOT NULL, -- 1: the control plane knows
    severity TEXT NOT NULL,
    alarm    BLOB NOT NULL, -- event.Alarm as JSON
    UNIQUE (tenant, id)
);

-- +goose Down
DROP TABLE alarms;
DROP TABLE dead;
DROP TABLE samples;
DROP TABLE series;
DROP TABLE folded;
DROP TABLE events;
DROP TABLE devices;
DROP TABLE states;
DROP TABLE ledgers;
DROP TABLE cursors;
DROP TABLE tenants;
