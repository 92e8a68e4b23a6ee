package lab

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"midplane/event"
	"midplane/internal/wait"
	// The primary's database is opened beside it, with its driver.
	_ "midplane/primary/store/sqlite"
)

const (
	readerSilence = "silence"
	// mostSilent is how long a reader may get nothing while something is stored for it:
	// longer than any fault of the rows that have it, since in some of them every node
	// stands.
	mostSilent = 30 * time.Second
)

// Silence watches how far the primary has read EVENTS, in the primary's own database:
// no node need answer for that.
type Silence struct {
	moves []move
}

// move is when a cursor was first seen at a sequence.
type move struct {
	at     time.Time
	cursor uint64
}

// Name is the workload's.
func (s *Silence) Name() string { return readerSilence }

// Declare needs nothing.
func (s *Silence) Declare(*World) {}

// Run looks until ctx ends.
func (s *Silence) Run(ctx context.Context, w *World) error {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.sys.Dir, "data-primary", "primary.db")+"?mode=ro&_pragma=busy_timeout(2000)")
	if err != nil {
		return err
	}
	defer db.Close()
	var failed error
	for ctx.Err() == nil {
		cursor, err := cursorOf(ctx, db)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			failed = err
		default:
			s.note(cursor, time.Now())
		}
		_ = wait.For(ctx, 50*time.Millisecond) // the loop ends with it
	}
	if len(s.moves) == 0 {
		return fmt.Errorf("the primary's cursor was never seen to move: %w", failed)
	}
	return nil
}

func cursorOf(ctx context.Context, db *sql.DB) (cursor uint64, err error) {
	err = db.QueryRowContext(ctx, `SELECT coalesce(max(seq), 0) FROM cursors WHERE tenant = ? AND stream = ?`, tenant, event.StreamEvents).Scan(&cursor)
	return cursor, err
}

func (s *Silence) note(cursor uint64, now time.Time) {
	if n := len(s.moves); cursor > 0 && (n == 0 || s.moves[n-1].cursor < cursor) {
		s.moves = append(s.moves, move{now, cursor})
	}
}

// Judge finds the longest silence.
func (s *Silence) Judge(_ context.Context, w *World) (p Part) {
	silent, from := silence(w.set.stored, s.read(w.set.stored))
	if silent > mostSilent {
		p.find("the primary read nothing for %.1f s from %.1f s on, although something was stored", silent.Seconds(), from.Sub(w.began).Seconds())
	}
	p.Figures = fmt.Sprintf("the primary was silent for at most %.1f s", silent.Seconds())
	return p
}

// read is when each of some sequences was first seen to be read.
func (s *Silence) read(of map[uint64]time.Time) map[uint64]time.Time {
	out := map[uint64]time.Time{}
	for seq := range of {
		i, _ := slices.BinarySearchFunc(s.moves, seq, func(m move, seq uint64) int {
			if m.cursor < seq {
				return -1
			}
			return 1
		})
		if i < len(s.moves) {
			out[seq] = s.moves[i].at
		}
	}
	return out
}

// silence is the longest time in which a reader got nothing new while something waited
// for it: from when it got the last, or the next was acknowledged to its producer,
// whichever is later, to when it got the next.
func silence(stored, got map[uint64]time.Time) (longest time.Duration, from time.Time) {
	type arrival struct{ stored, got time.Time }
	var all []arrival
	for seq, at := range got {
		if since, ok := stored[seq]; ok {
			all = append(all, arrival{since, at})
		}
	}
	slices.SortFunc(all, func(a, b arrival) int { return a.got.Compare(b.got) })
	// Of what comes after an arrival, the oldest had waited longest.
	for i := len(all) - 2; i >= 0; i-- {
		if all[i+1].stored.Before(all[i].stored) {
			all[i].stored = all[i+1].stored
		}
	}
	for i, a := range all {
		since := a.stored
		if i > 0 && all[i-1].got.After(since) {
			since = all[i-1].got
		}
		if d := a.got.Sub(since); d > longest {
			longest, from = d, since
		}
	}
	return longest, from
}
