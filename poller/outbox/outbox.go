// Package outbox keeps what a poller publishes until the bus has it.
//
// It is one SQLite table per stream. Put returns when the messages, what
// follows from them and the state they were compared with are committed in one
// transaction, synced to disk; concurrent callers share transactions. Next
// hands messages out in order of priority, one unacknowledged per entity, and
// Ack deletes them. Sequences are gap-free per epoch and stream, and what is
// given up on purpose is published as a tombstone in a ledger message. DESIGN.md
// beside this file has the reasons.
//
// It may use the disk below Config.Path and nothing else: no network. It is
// one of the two places that may import the SQL driver.
package outbox

import (
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

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
	// for a moment), the ballast and KeepBytes come on top. 0 means 64 MiB.
	MaxBytes int64
	// BallastBytes is the size of a file that is given up when the disk is
	// full, so that what was acknowledged can still be deleted. 0 means 2 MiB,
	// below 0 none.
	BallastBytes int64
	// KeepBytes is how much of what was acknowledged is kept in files beside the
	// database, for an hour at most, so that it can be sent once more. 0 means an
	// eighth of MaxBytes, below 0 nothing.
	KeepBytes int64
	// Derive returns what follows from state next after prev (nil: the first).
	// It is called inside the transaction and must be pure.
	Derive func(prev *event.Event, next event.Event) []event.Event
	// Unchanged reports whether state next says what prev said; see SetChangesOnly.
	// It must be pure. nil: every state is sent.
	Unchanged func(prev, next event.Event) bool
	// Timeless reports whether nothing can follow from a state of a type after one
	// of the same bytes, whenever each was seen. Nil: of no type.
	Timeless func(t event.Type) bool
	// Version returns which version of one of Midplane's own types the doors take: a
	// poller may be newer than they are. nil: version 1 of each.
	Version func(event.Type) int
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
	tel     telemetry.Telemetry
	id      *identity
	db      *handles
	queue   *queue  // what waits, in memory
	writer  *writer // brings it, and what is put, into the database
	trouble *trouble

	maxBytes int64
	closed   chan struct{} // Run has ended, or Close was called
	running  atomic.Bool
	closing  sync.Once
}

// Open opens or creates the outbox at cfg.Path. A new one is a new epoch. The
// error is Invalid for a Config that cannot be right or an outbox of another
// producer, Conflict when another process has it open.
func Open(ctx context.Context, cfg Config, tel telemetry.Telemetry) (*Outbox, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	db, err := openHandles(ctx, cfg)
	if err != nil {
		return nil, err
	}
	o, err := load(ctx, cfg, db, tel)
	if err != nil {
		_ = db.close() // the first error is the one that says something
		return nil, err
	}
	o.writer.space.keepBallast()
	return o, nil
}

// load makes the outbox of a database from what it holds: identity, counters,
// tombstones, and what waits.
func load(ctx context.Context, cfg Config, db *handles, tel telemetry.Telemetry) (*Outbox, error) {
	epoch, err := db.identify(ctx, cfg.Path, cfg.Producer)
	if err != nil {
		return nil, err
	}
	id := newIdentity(cfg.Producer, epoch)
	kept := openKept(id, cfg, tel.Log)
	q := newQueue(id, cfg, kept, giveUpCounter(tel, cfg.Producer))
	trouble := &trouble{log: tel.Log}
	w := &writer{
		id: &id, db: db, queue: q, trouble: trouble, derive: cfg.Derive,
		overflowFile: cfg.Path + ".overflow",
		requests:     make(chan *request, 256), maxBytes: cfg.MaxBytes, ledgers: cfg.LedgerAfter / 2,
		count: putCounter(tel, cfg.Producer),
		space: space{
			maxBytes: cfg.MaxBytes, db: db, trouble: trouble, log: tel.Log, giveUp: q.giveUp, release: kept.release,
			ballast: ballast{path: cfg.Path + ".ballast", size: cfg.BallastBytes},
		},
	}
	if q.overflow, err = loadOverflow(w.overflowFile, epoch); err != nil {
		tel.Log.Warn("what was given up before the restart is not known", "file", w.overflowFile, "error", err)
	}
	for l := range kinds {
		if w.last[l], err = q.load(ctx, db, lane(l)); err != nil {
			return nil, dbError(err, "read outbox")
		}
	}
	return &Outbox{tel: tel, id: &id, db: db, queue: q, writer: w, trouble: trouble, maxBytes: cfg.MaxBytes, closed: make(chan struct{})}, nil
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
	if cfg.KeepBytes == 0 {
		cfg.KeepBytes = cfg.MaxBytes / keepPart
	}
	if cfg.LedgerAfter <= 0 {
		cfg.LedgerAfter = DefaultLedgerAfter
	}
	if cfg.Window <= 0 {
		cfg.Window = DefaultWindow
	}
	if cfg.Version == nil {
		cfg.Version = func(event.Type) int { return 1 }
	}
	path, err := filepath.Abs(cfg.Path)
	cfg.Path = path
	return fault.Wrap(fault.Invalid, err, "outbox path")
}

// Epoch is the number of this outbox database: a later one has a larger one.
func (o *Outbox) Epoch() int64 { return o.id.epoch }

// Run commits what is put and acknowledged until ctx ends, then closes the
// outbox. It returns an error when the database can no longer be trusted to
// hold what it should.
func (o *Outbox) Run(ctx context.Context) error {
	if !o.running.CompareAndSwap(false, true) {
		return fault.New(fault.Other, "the outbox is running already")
	}
	defer o.close()
	unregister := o.observe()
	defer unregister()
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	var kept sync.WaitGroup
	kept.Go(func() { o.queue.kept.run(keeping) })
	defer kept.Wait()
	defer stop()
	return o.writer.run(ctx)
}

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
