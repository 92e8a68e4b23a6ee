package outbox

import (
	"context"
	"time"

	"midplane/event"
)

// Next waits until a message may be sent and returns up to most of them, marked
// as on their way: live data before the backlog, in both events first, then
// states, then metrics, each in order, and never two of one entity. Each must
// come back through Ack, Postpone, Return or Refuse. ce-low is stamped. The error
// is that of ctx, Unavailable after the outbox is closed, or the database's.
func (o *Outbox) Next(ctx context.Context, most int) ([]event.Event, error) {
	for {
		out, missing, pause := o.queue.take(time.Now(), most)
		if len(out) > 0 {
			if err := o.db.payloads(ctx, out, missing); err != nil {
				o.Return(out...)
				return nil, err
			}
			return out, nil
		}
		var timer <-chan time.Time
		if pause > 0 {
			timer = time.After(pause)
		}
		select {
		case <-o.queue.sendable:
		case <-timer:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-o.closed:
			return nil, errClosed()
		}
	}
}

// Return undoes Next for messages that were not sent, or that the ingress
// refused because they came too fast: they wait where they were. When they are
// sent again is for the caller to decide.
func (o *Outbox) Return(events ...event.Event) { o.queue.giveBack(events) }

// Ack notes that the streams have e: it is deleted, with the next commit.
func (o *Outbox) Ack(e *event.Event) { o.queue.ack(e) }

// Postpone notes that e was not taken now: it is tried again later. Until then its
// entity's messages of other streams may go.
func (o *Outbox) Postpone(e *event.Event) { o.queue.postpone(e, false) }

// Full is Postpone for a message whose stream is full. Metrics that wait for too
// long for one are thinned.
func (o *Outbox) Full(e *event.Event) { o.queue.postpone(e, true) }

// Unanswered notes that a try of e had no answer: it may be stored, now or later.
// e stays on its way.
func (o *Outbox) Unanswered(e *event.Event) { o.queue.unanswered(e) }

// Refuse notes that e will never be taken: it is given up, with a tombstone.
func (o *Outbox) Refuse(e *event.Event) { o.queue.refuse(e) }

// Low is the ce-low of a message of kind k that is sent now.
func (o *Outbox) Low(k event.Kind) uint64 {
	l, ok := laneOf(k)
	if !ok {
		return 0
	}
	return o.queue.low(l)
}

// SetWindow changes how many messages may be on their way at once: at most what
// the outbox was opened with.
func (o *Outbox) SetWindow(n int) { o.queue.setWindow(n) }

// SetOverflows has an event put when the outbox is no longer at its limit: the doors
// take it. Before, it waits.
func (o *Outbox) SetOverflows(on bool) {
	o.queue.mu.Lock()
	defer o.queue.mu.Unlock()
	o.queue.overflows = on
}

// Known returns the entities that have a last state of typ, sent or not.
func (o *Outbox) Known(ctx context.Context, typ event.Type) (map[event.Entity]bool, error) {
	return o.db.known(ctx, typ)
}
