package outbox

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"

	"midplane/fault"
	"midplane/internal/atomicfile"
)

//go:embed migrations/*.sql
var migrations embed.FS

// pageSize is SQLite's, in bytes; MaxBytes is kept in pages.
const pageSize = 4096

// Result codes of SQLite, without their extensions.
const (
	codeBusy    = 5
	codeCorrupt = 11
	codeFull    = 13
	codeNotADB  = 26
)

// handles are the connections to one database: one that writes, one that reads
// beside it, and one that keeps other processes out.
type handles struct {
	write, read, lock *sql.DB

	insert    [lanes]*sql.Stmt
	remove    [lanes]*sql.Stmt
	get       [lanes]*sql.Stmt // on read
	prev      *sql.Stmt
	putState  *sql.Stmt
	putLast   *sql.Stmt // of a stream without a new ledger message
	putStream *sql.Stmt
	putTomb   *sql.Stmt
	delTomb   *sql.Stmt

	inject func() error // tests only: a failing disk
}

func openHandles(ctx context.Context, cfg Config) (h *handles, err error) {
	dir := filepath.Dir(cfg.Path)
	if err := atomicfile.MakeDir(dir); err != nil {
		return nil, fault.Wrap(fault.Other, err, "outbox directory")
	}
	h = &handles{}
	defer func(opened *handles) {
		if err != nil {
			_ = opened.close() // the first error is the one that says something
		}
	}(h)
	if err := h.takeLock(ctx, cfg.Path+".lock"); err != nil {
		return nil, err
	}
	fresh, err := touch(cfg.Path)
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "create outbox")
	}
	writer := []string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "journal_size_limit(4194304)",
		fmt.Sprintf("max_page_count(%d)", cfg.MaxBytes/pageSize)}
	if h.write, err = open(cfg.Path, writer...); err != nil {
		return nil, err
	}
	if err := migrate(ctx, h.write); err != nil {
		return nil, err
	}
	if fresh {
		if err := atomicfile.SyncDir(dir); err != nil {
			return nil, fault.Wrap(fault.Other, err, "create outbox")
		}
	}
	if h.read, err = open(cfg.Path, "busy_timeout(5000)", "query_only(1)"); err != nil {
		return nil, err
	}
	return h, h.prepare(ctx)
}

// open returns a handle of exactly one connection.
func open(path string, pragmas ...string) (*sql.DB, error) {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": pragmas}
	c, err := sqlite.NewConnector((&url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, dbError(err, "open outbox")
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	db.SetConnMaxLifetime(0)
	return db, nil
}

// takeLock holds a lock that the operating system drops with the process,
// however it ends: two pollers on one outbox would give out the same sequences.
func (h *handles) takeLock(ctx context.Context, path string) (err error) {
	if _, err := touch(path); err != nil {
		return fault.Wrap(fault.Other, err, "lock outbox")
	}
	if h.lock, err = open(path, "locking_mode(EXCLUSIVE)", "journal_mode(MEMORY)"); err != nil {
		return err
	}
	_, err = h.lock.ExecContext(ctx, `BEGIN EXCLUSIVE`)
	if code(err) == codeBusy {
		return fault.WithHint(fault.New(fault.Conflict, "outbox %s is in use by another process", path[:len(path)-len(".lock")]),
			"stop the other poller, or give this one a directory of its own")
	}
	return dbError(err, "lock outbox")
}

func migrate(ctx context.Context, db *sql.DB) error {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fault.Wrap(fault.Other, err, "outbox migrations")
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, sub)
	if err != nil {
		return fault.Wrap(fault.Other, err, "outbox migrations")
	}
	_, err = p.Up(ctx)
	return dbError(err, "migrate outbox")
}

func (h *handles) prepare(ctx context.Context) error {
	var failed error
	stmt := func(db *sql.DB, query string) *sql.Stmt {
		s, err := db.PrepareContext(ctx, query)
		if err != nil && failed == nil {
			failed = dbError(err, "prepare outbox")
		}
		return s
	}
	for l, table := range tables {
		h.insert[l] = stmt(h.write, `INSERT INTO `+table+` (seq, put, time, severity, entity, type, parent, trace, data) VALUES (?,?,?,?,?,?,?,?,?)`)
		h.remove[l] = stmt(h.write, `DELETE FROM `+table+` WHERE seq BETWEEN ? AND ?`)
		h.get[l] = stmt(h.read, `SELECT time, severity, entity, type, parent, trace, data FROM `+table+` WHERE seq = ?`)
	}
	h.prev = stmt(h.write, `SELECT time, data FROM state WHERE entity = ? AND type = ?`)
	h.putState = stmt(h.write, `INSERT INTO state (entity, type, time, data) VALUES (?,?,?,?)
		ON CONFLICT (entity, type) DO UPDATE SET time = excluded.time, data = excluded.data`)
	h.putLast = stmt(h.write, `UPDATE stream SET last = ? WHERE lane = ?`)
	h.putStream = stmt(h.write, `UPDATE stream SET last = ?, ledger = ? WHERE lane = ?`)
	h.putTomb = stmt(h.write, `INSERT OR REPLACE INTO tombstone (lane, low, high, reason, told) VALUES (?,?,?,?,?)`)
	h.delTomb = stmt(h.write, `DELETE FROM tombstone WHERE lane = ? AND low = ?`)
	return failed
}

// pages returns how many pages the database has and may have.
func (h *handles) pages(ctx context.Context) (have, most int64, err error) {
	if err = h.write.QueryRowContext(ctx, `PRAGMA page_count`).Scan(&have); err == nil {
		err = h.write.QueryRowContext(ctx, `PRAGMA max_page_count`).Scan(&most)
	}
	return have, most, dbError(err, "outbox")
}

// checkpoint moves the write-ahead log into the database, so that it is written
// over from its beginning, and keeps its room on the disk.
func (h *handles) checkpoint(ctx context.Context) error {
	if h.inject != nil {
		if err := h.inject(); err != nil {
			return err
		}
	}
	var busy, log, written int
	if err := h.write.QueryRowContext(ctx, `PRAGMA wal_checkpoint(RESTART)`).Scan(&busy, &log, &written); err != nil {
		return dbError(err, "checkpoint outbox")
	}
	if busy != 0 {
		return fault.New(fault.Unavailable, "checkpoint outbox: it is being read")
	}
	return nil
}

func (h *handles) close() error {
	var errs []error
	for _, db := range []*sql.DB{h.read, h.write, h.lock} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return dbError(errors.Join(errs...), "close outbox")
}

// code returns the result code of SQLite in err, without extension, or 0.
func code(err error) int {
	var e interface{ Code() int }
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// isFull reports that the database has reached its size, or the disk its.
func isFull(err error) bool { return code(err) == codeFull }

// dbError classifies an error of the database. nil stays nil.
func dbError(err error, where string) error {
	switch code(err) {
	case codeFull:
		return fault.WithHint(fault.Wrap(fault.Exhausted, err, "%s", where), "free some space on the disk, or give the outbox more")
	case codeCorrupt, codeNotADB:
		return fault.WithHint(fault.Wrap(fault.Other, err, "%s", where),
			"the file is damaged: move it away, and a new outbox begins; what was waiting in it is lost")
	}
	return fault.Wrap(fault.Other, err, "%s", where)
}

// touch makes an empty file that only its owner may read, if there is none:
// SQLite gives the log beside a database the same permissions.
func touch(path string) (made bool, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, f.Close()
}
