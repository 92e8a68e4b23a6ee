package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"midplane/fault"
	"midplane/internal/atomicfile"
	"midplane/internal/wait"
)

// ErrDamaged is in the chain of every error that says that the database's file is
// damaged: everything has to be read again into another one (SetAside).
var ErrDamaged = errors.New("the file is damaged")

const file = "primary.db"

// aside is between the name of the database and the time when it was set aside.
const aside = ".damaged-"

// How slowly a running database is checked: a table at a time, and between two of them
// a hundred times what the one before took, so that it costs one part in a hundred.
const (
	checkPause = 10 * time.Second
	checkPart  = 100
)

// Checker looks for damage in a database that is in use. Make it with DB.Checker.
type Checker struct {
	path  string
	pause time.Duration
}

// Checker returns what checks the database in the background. pause is the least time
// between two tables; 0 is the usual one.
func (db *DB) Checker(pause time.Duration) *Checker {
	if pause == 0 {
		pause = checkPause
	}
	return &Checker{path: db.path, pause: pause}
}

// Run checks table after table until ctx ends; then it returns nil. The error has
// ErrDamaged in its chain.
func (c *Checker) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		began := time.Now()
		names, err := c.tables(ctx)
		for _, name := range names {
			if wait.For(ctx, max(c.pause, checkPart*time.Since(began))) != nil {
				return nil
			}
			began = time.Now()
			if err = c.look(ctx, name); err != nil {
				break
			}
		}
		if errors.Is(err, ErrDamaged) {
			return err
		}
		if err != nil || len(names) == 0 { // busy, or stopping: the next round looks again
			_ = wait.For(ctx, c.pause) // ctx is looked at above
		}
	}
	return nil
}

func (c *Checker) tables(ctx context.Context) (names []string, err error) {
	err = c.with(func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			names = append(names, name)
		}
		return rows.Err()
	})
	return names, err
}

func (c *Checker) look(ctx context.Context, table string) error {
	return c.with(func(db *sql.DB) error {
		return quickCheck(ctx, db, `PRAGMA quick_check("`+strings.ReplaceAll(table, `"`, `""`)+`")`)
	})
}

// with opens the database for one look: a connection that stays has pages in memory
// that are no longer so in the file.
func (c *Checker) with(f func(*sql.DB) error) error {
	db, err := open(c.path, 1, "&_pragma=query_only(1)&_pragma=cache_size(-2048)")
	if err != nil {
		return err
	}
	return errors.Join(classify(f(db), "check %s", c.path), db.Close())
}

// quickCheck runs a check; what it finds is ErrDamaged.
func quickCheck(ctx context.Context, db *sql.DB, pragma string) error {
	rows, err := db.QueryContext(ctx, pragma)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var says string
		if err := rows.Scan(&says); err != nil {
			return err
		}
		if says != "ok" {
			return fault.Wrap(fault.Invalid, ErrDamaged, "check of the primary's database: %s", says)
		}
	}
	return rows.Err()
}

// SetAside moves the closed database in dir away, and removes those that were moved
// away before it.
func SetAside(dir string, now time.Time) error {
	to := file + aside + now.UTC().Format("20060102T150405Z")
	for _, beside := range []string{"-wal", "-shm", ""} {
		err := os.Rename(filepath.Join(dir, file+beside), filepath.Join(dir, to+beside))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fault.Wrap(fault.Other, err, "set the damaged database aside")
		}
	}
	for _, old := range Aside(dir) {
		if old == to {
			continue
		}
		for _, beside := range []string{"-wal", "-shm", ""} {
			if err := os.Remove(filepath.Join(dir, old+beside)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fault.Wrap(fault.Other, err, "remove a database that was set aside before")
			}
		}
	}
	return fault.Wrap(fault.Other, atomicfile.SyncDir(dir), "sync the primary's folder")
}

// Aside returns the names of the databases in dir that were set aside.
func Aside(dir string) (names []string) {
	found, err := filepath.Glob(filepath.Join(dir, file+aside+"*Z"))
	if err != nil {
		return nil // the pattern is a constant
	}
	for _, path := range found {
		names = append(names, filepath.Base(path))
	}
	slices.Sort(names)
	return names
}
