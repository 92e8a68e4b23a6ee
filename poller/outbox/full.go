package outbox

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"midplane/event"
	"midplane/fault"
	"midplane/telemetry"
)

const (
	// maxRooms is how often room is made for one transaction.
	maxRooms = 12
	// roomPart is which part of the outbox is given up at least, once something
	// must be: a little each time would cost a transaction each time.
	roomPart = 32
)

// room is what was done already to make room for one transaction.
type room struct{ checkpointed bool }

// makeRoom does the next thing there is to do about a full outbox and reports
// whether trying again makes sense. need is about what is to be written, bytes.
func (o *Outbox) makeRoom(ctx context.Context, need int, done *room) bool {
	if o.diskIsFull(ctx, need) {
		dropped := o.ballast.drop()
		if dropped {
			o.noBallast(true)
			o.tel.Log.Warn("the disk is full, the outbox goes on with its ballast", "bytes", o.ballast.size)
		}
		if dropped || !done.checkpointed {
			// At once, while there is room to: from then on the log is written
			// anew in the room it has. Left to itself it would grow until it
			// has eaten the ballast, and could not be written back any more.
			done.checkpointed = o.checkpoint(ctx) == nil
			// Without it nothing can be deleted either: giving messages up
			// would lose them and make no room.
			return dropped || done.checkpointed
		}
	}
	o.mu.Lock()
	given := o.giveUp(max(2*need, int(o.cfg.MaxBytes/roomPart)))
	o.mu.Unlock()
	if len(given) == 0 {
		return false
	}
	o.tel.Log.Warn("the outbox is full: messages were given up to make room for newer ones",
		"metrics", given[event.KindMetric], "states", given[event.KindState], "events", given[event.KindEvent])
	return true
}

// checkpoint writes the log back into the database.
func (o *Outbox) checkpoint(ctx context.Context) error {
	if o.inject != nil {
		if err := o.inject(); err != nil {
			return err
		}
	}
	return o.db.checkpoint(ctx)
}

// diskIsFull reports that it was not the outbox' own bound that was met.
func (o *Outbox) diskIsFull(ctx context.Context, need int) bool {
	have, most, err := o.db.pages(ctx)
	return err == nil && most-have > int64(2*need/pageSize+32)
}

// giveUp gives up about want bytes: the oldest metrics, then states that a
// newer one waits for, then the oldest events. What is on its way stays, and
// so do ledger messages. The mutex is held; the writer writes it down with the
// next transaction.
func (o *Outbox) giveUp(want int) map[event.Kind]int {
	given := map[event.Kind]int{}
	for _, step := range []struct {
		lane   lane
		reason string
		may    func(*row) bool
	}{
		{2, ReasonFull, func(*row) bool { return true }},
		{1, ReasonSuperseded, superseded},
		{0, ReasonFull, func(*row) bool { return true }},
	} {
		for r := o.ix.lanes[step.lane].first; r != nil && want > 0; {
			next := r.next
			if r.ent.busy != r && !o.isLedger(r.lane, r.ent.id, r.typ) && step.may(r) {
				want -= int(r.size)
				given[kinds[r.lane]]++
				o.drop(r, step.reason)
			}
			r = next
		}
	}
	return given
}

// superseded reports whether a newer state of the same entity and type waits.
func superseded(r *row) bool {
	for n := r.enext; n != nil; n = n.enext {
		if n.typ == r.typ {
			return true
		}
	}
	return false
}

// drop gives up one message that is not on its way. The mutex is held.
func (o *Outbox) drop(r *row, reason string) {
	o.tombs[r.lane].add(r.seq, reason)
	o.deletes[r.lane] = append(o.deletes[r.lane], r.seq)
	o.ix.remove(r)
	o.givenUp[reason]++
	o.giveUps.Add(context.Background(), 1, metric.WithAttributes(
		telemetry.AttrPoller.String(string(o.cfg.Producer)), attribute.KeyValue(telemetry.AttrReason.String(reason))))
}

// lostError is a commit of which nobody knows whether it was one.
type lostError struct{ err error }

func (e *lostError) Error() string { return e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

func asLost(err error, into **lostError) bool { return errors.As(err, into) }

// verify looks whether a transaction that failed with err did change nothing.
// If not, the counters in memory are wrong: the outbox must be opened anew.
func (o *Outbox) verify(ctx context.Context, err error) error {
	for l := range lanes {
		var last uint64
		if rerr := o.db.write.QueryRowContext(ctx, `SELECT last FROM stream WHERE lane = ?`, l).Scan(&last); rerr != nil {
			return &lostError{fault.Wrap(fault.Other, errors.Join(err, rerr), "the outbox cannot be read")}
		}
		if last != o.last[l] {
			return &lostError{fault.Wrap(fault.Other, err, "%s", fmt.Sprintf("the outbox has %s %d, not %d, after a failed commit", kinds[l].Stream(), last, o.last[l]))}
		}
	}
	return err
}
