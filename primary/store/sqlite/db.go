// Package sqlite keeps what a primary folded in SQLite: one file, WAL,
// synchronous=FULL, one writer and a few readers. It is the only importer of a
// SQL driver in the primary. What folding means is package fold's; here a
// batch's changes and its cursor become one transaction, or nothing.
//
// It implements what package store asks for: a Writer is for those who read
// the streams, a Reader for those who answer questions.
package sqlite

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
	"time"

	"github.com/pressly/goose/v3"
	driver "modernc.org/sqlite" // also registers the driver

	"midplane/fault"
	"midplane/internal/atomicfile"
	"midplane/primary/store"
	"midplane/primary/store/index"
)

//go:embed migrations/*.sql
var migrations embed.FS

// DB is the database of one primary. Writer and Reader may be used by many at
// once, until Close.
type DB struct {
	Writer *Writer
	Reader *Reader

	path   string
	reads  *sql.DB
	writes *sql.DB
}

// Open opens the database in dir, makes it when it is not there, and brings
// its schema up to date. The error is Unavailable when another process has it,
// Invalid when it is damaged (ErrDamaged) or newer than this program.
func Open(ctx context.Context, dir string, opts store.Options) (*DB, error) {
	if opts.EventDays == 0 {
		opts.EventDays = store.DefaultEventDays
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if err := atomicfile.MakeDir(dir); err != nil {
		return nil, fault.Wrap(fault.Other, err, "primary's data folder")
	}
	path := filepath.Join(dir, file)
	if err := own(path); err != nil {
		return nil, err
	}
	db := &DB{path: path}
	var err error
	if db.writes, err = open(path, 1, "&_txlock=immediate&_pragma=cache_size(-32768)"); err != nil {
		return nil, err
	}
	if db.reads, err = open(path, 4, "&_pragma=query_only(1)&_pragma=cache_size(-8192)"); err != nil {
		return nil, errors.Join(err, db.writes.Close())
	}
	grown, found := newGrowth(), index.New()
	db.Reader = &Reader{db: db.reads, grown: grown, index: found}
	db.Writer = &Writer{opts: opts, reads: db.reads, grown: grown, index: found, series: seriesIDs{}}
	if err = quickCheck(ctx, db.writes, "PRAGMA quick_check(1)"); err == nil {
		err = migrate(ctx, db.writes)
	}
	if err == nil {
		err = db.Writer.start(ctx, db.writes)
	}
	if err == nil {
		err = db.Reader.load(ctx)
	}
	if err != nil {
		return nil, errors.Join(classify(err, "open %s", path), db.Close())
	}
	return db, nil
}

// Close ends the use of the database. Nothing committed is lost without it.
func (db *DB) Close() error {
	return errors.Join(db.Writer.close(), db.reads.Close(), db.writes.Close())
}

// own makes the database, unless it is there, and lets only its owner read it:
// SQLite gives the files beside it the same permissions.
func own(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fault.Wrap(fault.Other, err, "primary's database")
	}
	return fault.Wrap(fault.Other, errors.Join(f.Chmod(0o600), f.Close()), "primary's database")
}

func open(path string, conns int, more string) (*sql.DB, error) {
	// FULL: what is committed survives a power cut. The writer's page cache is
	// 32 MB: the ledger's and the devices' pages are written again and again.
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)" +
		"&_pragma=temp_store(MEMORY)&_pragma=wal_autocheckpoint(16000)&_pragma=journal_size_limit(67108864)" + more
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "open %s", path)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// migrate brings the schema up to date, and makes the tables that are beside it.
func migrate(ctx context.Context, db *sql.DB) error {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, sub)
	if err != nil {
		return err
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > target {
		return fault.WithHint(fault.New(fault.Invalid, "the database has schema %d, this program knows %d", current, target),
			"run the newer program, or move the database away: the primary reads everything again")
	}
	if _, err := p.Up(ctx); err != nil {
		return err
	}
	for _, table := range append([]string{createMarks, ledgerNotes}, createRecent...) {
		if _, err := db.ExecContext(ctx, table); err != nil {
			return err
		}
	}
	return nil
}

// SQLite's result codes that decide what to do.
const (
	codeBusy, codeLocked        = 5, 6
	codeFull, codeIO            = 13, 10
	codeCorrupt, codeNotADB     = 11, 26
	primaryCode             int = 0xff
)

func classify(err error, format string, args ...any) error {
	var se *driver.Error
	if err == nil || !errors.As(err, &se) {
		return fault.Wrap(fault.Other, err, format, args...)
	}
	what := "primary's database: " + fmt.Sprintf(format, args...)
	switch se.Code() & primaryCode {
	case codeBusy, codeLocked:
		return fault.WithHint(fault.Wrap(fault.Unavailable, err, "%s", what), "is another primary running on the same folder?")
	case codeFull, codeIO:
		return fault.WithHint(fault.Wrap(fault.Exhausted, err, "%s", what), "free space on the disk; reading goes on by itself")
	case codeCorrupt, codeNotADB:
		return fault.WithHint(fault.Wrap(fault.Invalid, errors.Join(err, ErrDamaged), "%s", what), "move primary.db away: the primary reads everything that the streams keep again")
	}
	return fault.Wrap(fault.Other, err, "%s", what)
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func timeOf(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
