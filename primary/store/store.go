// Package store keeps what a primary folded in SQLite: one file, WAL,
// synchronous=FULL, one writer and a few readers. It is the only importer of a
// SQL driver in the primary. What folding means is package fold's; here a
// batch's changes and its cursor become one transaction, or nothing.
package store

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
	"sync"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite" // also registers the driver

	"midplane/fault"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Config says where and how much is kept.
type Config struct {
	Dir       string           // holds primary.db
	EventDays int              // how long the event log is kept; 0 = DefaultEventDays
	Source    string           // who finds: event.Alarm.Source
	Now       func() time.Time // nil = time.Now
}

// DefaultEventDays is how long the event log is kept when nothing else is said.
const DefaultEventDays = 30

// Store is what one primary knows. All methods may be called at once.
type Store struct {
	cfg    Config
	reads  *sql.DB
	writes *sql.DB

	mu   sync.Mutex // one transaction at a time
	conn *sql.Conn  // the writer
	st   statements
	ids  map[seriesKey]int64 // known series, bounded by maxSeriesCached

	lastFolded int64 // the newest time in table folded

	wake   sync.Mutex
	change chan struct{} // closed and replaced at each commit that grew the event log
}

// Open opens the database in cfg.Dir, makes it when it is not there, and
// brings its schema up to date. The error is Unavailable when another process
// has it, Invalid when it is damaged or newer than this program.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.EventDays == 0 {
		cfg.EventDays = DefaultEventDays
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fault.Wrap(fault.Other, err, "primary's data folder")
	}
	path := filepath.Join(cfg.Dir, "primary.db")
	if err := own(path); err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, ids: map[seriesKey]int64{}, change: make(chan struct{})}
	var err error
	if s.writes, err = open(path, 1, "&_txlock=immediate&_pragma=cache_size(-32768)"); err != nil {
		return nil, err
	}
	if s.reads, err = open(path, 4, "&_pragma=query_only(1)&_pragma=cache_size(-8192)"); err != nil {
		return nil, errors.Join(err, s.writes.Close())
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(classify(err, "open %s", path), s.Close())
	}
	return s, nil
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
		"&_pragma=temp_store(MEMORY)&_pragma=wal_autocheckpoint(4000)&_pragma=journal_size_limit(67108864)" + more
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "open %s", path)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

func (s *Store) start(ctx context.Context) error {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.writes, sub)
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
	var mode string
	var sync int
	if s.conn, err = s.writes.Conn(ctx); err != nil {
		return err
	}
	if err := s.conn.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return err
	}
	if err := s.conn.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&sync); err != nil {
		return err
	}
	if mode != "wal" || sync != 2 {
		return fault.New(fault.Other, "the database runs with journal %q, synchronous %d instead of wal, 2 (FULL)", mode, sync)
	}
	if err := s.conn.QueryRowContext(ctx, "SELECT coalesce(max(at), 0) FROM folded").Scan(&s.lastFolded); err != nil {
		return err
	}
	return s.st.prepare(ctx, s.conn)
}

// Close ends the store. Nothing committed is lost without it.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	if s.conn != nil {
		errs = append(errs, s.st.close(), s.conn.Close())
		s.conn = nil
	}
	return errors.Join(append(errs, s.reads.Close(), s.writes.Close())...)
}

// Changed returns a channel that is closed at the next commit that grew the
// event log.
func (s *Store) Changed() <-chan struct{} {
	s.wake.Lock()
	defer s.wake.Unlock()
	return s.change
}

func (s *Store) changed() {
	s.wake.Lock()
	defer s.wake.Unlock()
	close(s.change)
	s.change = make(chan struct{})
}

// write runs f in one transaction of the writer. The connection is driven by
// hand: statements are prepared on it once, and a transaction of database/sql
// would bind each of them anew.
func (s *Store) write(ctx context.Context, f func(ctx context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// Once begun a transaction is carried through: it is short, and half of
	// it interrupted is no gain.
	ctx = context.WithoutCancel(ctx)
	if s.conn == nil {
		return fault.New(fault.Unavailable, "the primary's database is closed")
	}
	if _, err := s.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return classify(err, "begin")
	}
	err := f(ctx)
	if err == nil {
		if _, err = s.conn.ExecContext(ctx, "COMMIT"); err == nil {
			return nil
		}
	}
	// A failed COMMIT may have rolled back already; then this fails, harmlessly.
	_, _ = s.conn.ExecContext(ctx, "ROLLBACK")
	return classify(err, "write")
}

// SQLite's result codes that decide what to do.
const (
	codeBusy, codeLocked        = 5, 6
	codeFull, codeIO            = 13, 10
	codeCorrupt, codeNotADB     = 11, 26
	primaryCode             int = 0xff
)

func classify(err error, format string, args ...any) error {
	var se *sqlite.Error
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
		return fault.WithHint(fault.Wrap(fault.Invalid, err, "%s", what), "move primary.db away: the primary reads everything that the streams keep again")
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
