// Package outbox keeps what a poller has to say until the bus has it.
//
// It is one SQLite table per stream. Put returns when the messages, what
// follows from them and the state they were compared with are committed in one
// transaction, synced to disk; concurrent callers share transactions. Next
// hands messages out in order of priority, one unacknowledged per entity, and
// Ack deletes them. Sequences are gap-free per epoch and stream, and whatever
// is given up on purpose is told in a ledger message. DESIGN.md beside this
// file has the reasons.
//
// It may use the disk below Config.Path and nothing else: no network. It is
// one of the two places that may import the SQL driver.
package outbox

import (
	"context"
	"database/sql"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"

	"midplane/event"
	"midplane/fault"
	"midplane/telemetry"
)

// Defaults of Config.
const (
	DefaultMaxBytes     = 64 << 20
	DefaultBallastBytes = 2 << 20
	DefaultLedgerAfter  = 2 * time.Second
	DefaultWindow       = 1000
	minBytes            = 256 << 10
)

// Config says where the outbox is and how large it may become.
type Config struct {
	Path     string         // of the database; "-wal", "-shm", ".lock" and ".ballast" lie beside it
	Producer event.Producer // whose messages these are

	// MaxBytes bounds the database, in bytes; the write-ahead log (4 MiB, more
	// for a moment) and the ballast come on top. 0 means 64 MiB.
	MaxBytes int64
	// BallastBytes is the size of a file that is given up when the disk is
	// full, so that what was acknowledged can still be deleted. 0 means 2 MiB,
	// below 0 none.
	BallastBytes int64
	// Derive returns what follows from state next after prev (nil: the first).
	// It is called inside the transaction and must be pure.
	Derive func(prev *event.Event, next event.Event) []event.Event
	// LedgerAfter is how long a stream must be quiet before a ledger message
	// covers its tail; they are at least five times as long apart. 0 means 2 s.
	LedgerAfter time.Duration
	// Window is how many messages may be on their way at once; states take at
	// most three fifths of it and metrics three tenths, so that a stream that
	// does not answer cannot keep the others from sending. 0 means 1000.
	Window int
}

// Outbox is an open outbox. Its methods may be called from any goroutine.
type Outbox struct {
	cfg    Config
	tel    telemetry.Telemetry
	db     *handles
	epoch  int64
	ledger event.Entity

	requests chan *request
	wakeNext chan struct{} // something may be ready to be sent
	wakeRun  chan struct{} // something is to be written besides requests
	closed   chan struct{} // Run has ended, or Close was called
	running  atomic.Bool
	closing  sync.Once
	giveUps  metric.Int64Counter

	mu      sync.Mutex
	ix      *index
	tombs   [lanes]tombs
	deletes [lanes][]uint64 // acknowledged or given up, still in the database
	ledgers [lanes]ledgerState
	givenUp map[string]uint64
	trouble trouble
	inject  func() error // tests only: a failing disk

	// The writer's own.
	last    [lanes]uint64
	ballast ballast
}

// ledgerState is what a lane's ledger has told.
type ledgerState struct {
	seq     uint64    // of the last ledger message
	waiting bool      // it is not acknowledged yet
	moved   time.Time // when the lane last got a message
	next    time.Time // not before
	refused int       // in a row
	most    int       // tombstones in one message
}

// Open opens or creates the outbox at cfg.Path. A new one is a new epoch. The
// error is Invalid for a Config that cannot be right or an outbox of another
// producer, Conflict when another process has it open.
func Open(ctx context.Context, cfg Config, tel telemetry.Telemetry) (*Outbox, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	o := &Outbox{
		cfg: cfg, tel: tel, ix: newIndex(cfg.Window), ledger: LedgerEntity(cfg.Producer),
		requests: make(chan *request, 256), closed: make(chan struct{}),
		wakeNext: make(chan struct{}, 1), wakeRun: make(chan struct{}, 1),
		givenUp: map[string]uint64{},
		ballast: ballast{path: cfg.Path + ".ballast", size: cfg.BallastBytes},
	}
	for l := range o.ledgers {
		o.ledgers[l].most = maxTombstones
	}
	var err error
	if o.db, err = openHandles(ctx, cfg); err != nil {
		return nil, err
	}
	if err := o.load(ctx); err != nil {
		o.db.close()
		return nil, err
	}
	// An instrument that cannot be made comes as one that does nothing.
	o.giveUps, _ = tel.Meter.Int64Counter(telemetry.MetricOutboxGivenUp,
		metric.WithDescription("Messages given up on purpose, each with a tombstone."))
	o.makeBallast()
	return o, nil
}

func (cfg *Config) check() error {
	if cfg.Path == "" {
		return fault.New(fault.Invalid, "outbox: no path given")
	}
	if err := event.CheckName("producer", string(cfg.Producer)); err != nil {
		return err
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = DefaultMaxBytes
	}
	if cfg.MaxBytes < minBytes {
		return fault.WithHint(fault.New(fault.Invalid, "outbox of %d bytes is too small", cfg.MaxBytes),
			"give it at least %d bytes; 64 MiB is usual", minBytes)
	}
	if cfg.BallastBytes == 0 {
		cfg.BallastBytes = DefaultBallastBytes
	}
	if cfg.LedgerAfter <= 0 {
		cfg.LedgerAfter = DefaultLedgerAfter
	}
	if cfg.Window <= 0 {
		cfg.Window = DefaultWindow
	}
	path, err := filepath.Abs(cfg.Path)
	cfg.Path = path
	return fault.Wrap(fault.Invalid, err, "outbox path")
}

// Epoch is the number of this outbox database: a later one has a larger one.
func (o *Outbox) Epoch() int64 { return o.epoch }

// Close closes an outbox whose Run was never called. Run closes by itself.
func (o *Outbox) Close() error {
	if o.running.Load() {
		return nil
	}
	return o.close()
}

func (o *Outbox) close() error {
	var err error
	o.closing.Do(func() {
		close(o.closed)
		err = o.db.close()
	})
	return err
}

func errClosed() error {
	return fault.New(fault.Unavailable, "the outbox is closed")
}

// load reads what a database holds: identity, counters, tombstones, and who waits.
func (o *Outbox) load(ctx context.Context) error {
	w := o.db.write
	var producer string
	err := w.QueryRowContext(ctx, `SELECT producer, epoch FROM outbox`).Scan(&producer, &o.epoch)
	switch {
	case err == sql.ErrNoRows:
		return o.create(ctx)
	case err != nil:
		return dbError(err, "read outbox")
	case producer != string(o.cfg.Producer):
		return fault.WithHint(fault.New(fault.Invalid, "outbox %s belongs to poller %q, not to %q", o.cfg.Path, producer, o.cfg.Producer),
			"each poller needs a directory of its own")
	}
	for l := range kinds {
		if err := o.loadLane(ctx, lane(l)); err != nil {
			return dbError(err, "read outbox")
		}
	}
	return nil
}

// create makes a new epoch.
func (o *Outbox) create(ctx context.Context) error {
	o.epoch = time.Now().UnixMilli() // a re-installed poller's is later
	tx, err := o.db.write.BeginTx(ctx, nil)
	if err != nil {
		return dbError(err, "create outbox")
	}
	defer tx.Rollback() // after Commit it does nothing
	if _, err := tx.ExecContext(ctx, `INSERT INTO outbox (id, producer, epoch) VALUES (1, ?, ?)`, string(o.cfg.Producer), o.epoch); err != nil {
		return dbError(err, "create outbox")
	}
	for l := range kinds {
		if _, err := tx.ExecContext(ctx, `INSERT INTO stream (lane, last, ledger) VALUES (?, 0, 0)`, l); err != nil {
			return dbError(err, "create outbox")
		}
	}
	return dbError(tx.Commit(), "create outbox")
}

func (o *Outbox) loadLane(ctx context.Context, l lane) error {
	w, ls := o.db.write, &o.ledgers[l]
	if err := w.QueryRowContext(ctx, `SELECT last, ledger FROM stream WHERE lane = ?`, l).Scan(&o.last[l], &ls.seq); err != nil {
		return err
	}
	o.ix.lanes[l].top = o.last[l]
	rows, err := w.QueryContext(ctx, `SELECT low, high, reason, told FROM tombstone WHERE lane = ? ORDER BY low`, l)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var d tomb
		if err := rows.Scan(&d.low, &d.high, &d.reason, &d.told); err != nil {
			return err
		}
		o.tombs[l].list = append(o.tombs[l].list, d)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	rows, err = w.QueryContext(ctx, `SELECT seq, put, entity, type, length(data) + length(parent) FROM `+tables[l]+` ORDER BY seq`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var seq uint64
		var put int64
		var ent event.Entity
		var typ event.Type
		var size int
		if err := rows.Scan(&seq, &put, &ent, &typ, &size); err != nil {
			return err
		}
		o.ix.add(l, seq, ent, typ, put, size+rowOverhead(ent, typ), nil)
		if o.isLedger(l, ent, typ) {
			ls.waiting = seq == ls.seq
		}
	}
	if !ls.waiting { // cannot be, but a tombstone must never wait for nothing
		o.tombs[l].untell(ls.seq)
	}
	return rows.Err()
}

// rowOverhead is about what a message takes in the database besides its payload.
func rowOverhead(ent event.Entity, typ event.Type) int { return len(ent) + len(typ) + 48 }

func (o *Outbox) isLedger(l lane, ent event.Entity, typ event.Type) bool {
	return ent == o.ledger && typ == event.LedgerType(kinds[l])
}
