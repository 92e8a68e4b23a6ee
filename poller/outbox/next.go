package outbox

import (
	"context"
	"time"

	"midplane/event"
)

// Next waits until a message may be sent and returns up to most of them, marked
// as on their way: events first, then states, then metrics, each in order, and
// never two of one entity. Each must come back through Ack, Postpone or Refuse.
// ce-low is stamped. The error is that of ctx, Unavailable after the outbox is
// closed, or the database's.
func (o *Outbox) Next(ctx context.Context, most int) ([]event.Event, error) {
	for {
		o.mu.Lock()
		rows, wait := o.ix.take(time.Now(), most)
		out, missing := o.stamp(rows)
		o.mu.Unlock()
		if len(out) > 0 {
			if err := o.fetch(ctx, out, missing); err != nil {
				o.giveBack(out)
				return nil, err
			}
			return out, nil
		}
		var timer <-chan time.Time
		if wait > 0 {
			timer = time.After(wait)
		}
		select {
		case <-o.wakeNext:
		case <-timer:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-o.closed:
			return nil, errClosed()
		}
	}
}

// stamp makes events of rows; missing are those to be read from the database.
func (o *Outbox) stamp(rows []*row) (out []event.Event, missing []int) {
	var lows [lanes]uint64
	for l := range lows {
		lows[l] = o.low(lane(l))
	}
	for i, r := range rows {
		var e event.Event
		if r.ev != nil {
			e = *r.ev
		} else {
			e.Kind = kinds[r.lane]
			o.identify(&e, r.seq)
			missing = append(missing, i)
		}
		e.Low = lows[r.lane]
		out = append(out, e)
	}
	return out, missing
}

// fetch reads the payloads that are not in memory.
func (o *Outbox) fetch(ctx context.Context, events []event.Event, missing []int) error {
	for _, i := range missing {
		e := &events[i]
		l, _ := laneOf(e.Kind)
		var at int64
		var data []byte
		if err := o.db.get[l].QueryRowContext(ctx, int64(e.Sequence)).Scan(&at, &e.Severity, &e.Entity, &e.Type,
			&e.TraceParent, &e.TraceState, &data); err != nil {
			return dbError(err, "read outbox")
		}
		e.Time, e.Data = fromNano(at), data
	}
	return nil
}

// giveBack undoes a Next.
func (o *Outbox) giveBack(events []event.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range events {
		if r := o.land(&events[i]); r != nil {
			o.ix.offerAll(r.ent)
		}
	}
}

// land returns the row of a message that is on its way, which it is no longer;
// nil for any other. The mutex is held.
func (o *Outbox) land(e *event.Event) *row {
	l, ok := laneOf(e.Kind)
	if !ok || e.Epoch != o.epoch {
		return nil
	}
	return o.ix.land(l, e.Sequence)
}

// Ack says that the streams have e: it is deleted, with the next commit.
func (o *Outbox) Ack(e *event.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := o.land(e)
	if r == nil {
		return
	}
	o.ix.lanes[r.lane].accepted()
	if o.isLedger(r.lane, r.ent.id, r.typ) {
		o.ledgerAcked(r)
	}
	o.deletes[r.lane] = append(o.deletes[r.lane], r.seq)
	o.ix.remove(r)
	o.wake()
}

// Postpone says that e was not taken now (a limit, a full stream) and is to be
// tried again later. Its entity's messages of other streams may go meanwhile.
func (o *Outbox) Postpone(e *event.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if r := o.land(e); r != nil {
		o.ix.postpone(r, time.Now())
		o.wake()
	}
}

// Refuse says that e will never be taken: it is given up, with a tombstone.
func (o *Outbox) Refuse(e *event.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := o.land(e)
	if r == nil {
		return
	}
	if o.isLedger(r.lane, r.ent.id, r.typ) {
		o.ledgerRefused(r)
	}
	o.drop(r, ReasonRefused)
	o.wake()
}

// wake tells both loops to look again.
func (o *Outbox) wake() {
	poke(o.wakeNext)
	poke(o.wakeRun)
}
