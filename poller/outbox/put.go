package outbox

import (
	"context"
	"encoding/json"
	"slices"
	"sync/atomic"
	"time"

	"midplane/event"
	"midplane/fault"
	"midplane/telemetry"
)

// maxData is the largest payload in bytes: the account's payload limit less
// the headers.
const maxData = 1<<20 - 8<<10

// putPart is which part of the outbox one call of Put may take: it must not
// push out everything else.
const putPart = 4

// request is one call of Put on its way to the writer.
type request struct {
	events []event.Event
	bytes  int
	done   chan error  // buffered
	gone   atomic.Bool // the caller waits no longer
	err    error       // of its plan
}

// Put keeps events, and what is derived from their states. It returns nil when
// all of it is committed and synced; on an error none of it is, except that
// after the error of ctx it may be. Identity (id, epoch, sequence) is given by
// the outbox; a missing time is now; missing trace headers are those of the
// span in ctx. The error is Invalid for what could never be published and
// Exhausted when the outbox is full of what it may not give up.
func (o *Outbox) Put(ctx context.Context, events ...event.Event) error {
	if len(events) == 0 {
		return nil
	}
	r := &request{events: make([]event.Event, len(events)), done: make(chan error, 1)}
	parent, state := telemetry.Inject(ctx)
	now := time.Now().UTC()
	for i, e := range events {
		if err := check(&e); err != nil {
			return err
		}
		if e.TraceParent == "" {
			e.TraceParent, e.TraceState = parent, state
		}
		if e.Time.IsZero() {
			e.Time = now
		}
		e.Data = slices.Clone(e.Data) // the caller may use it again
		r.events[i] = e
		r.bytes += len(e.Data) + rowOverhead(e.Entity, e.Type)
	}
	if r.bytes > int(o.maxBytes/putPart) {
		return fault.WithHint(fault.New(fault.Exhausted, "%d bytes at once do not fit an outbox of %d", r.bytes, o.maxBytes),
			"give the outbox at least %d bytes", putPart*r.bytes)
	}
	select {
	case o.writer.requests <- r:
	case <-ctx.Done():
		return fault.Wrap(fault.Other, ctx.Err(), "put into the outbox")
	case <-o.closed:
		return errClosed()
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		r.gone.Store(true)
		return fault.Wrap(fault.Other, ctx.Err(), "put into the outbox")
	case <-o.closed:
	}
	select {
	case err := <-r.done: // answered just before
		return err
	default:
		return errClosed()
	}
}

// check refuses what the ingress could never take.
func check(e *event.Event) error {
	if _, ok := laneOf(e.Kind); !ok {
		return fault.New(fault.Invalid, "a poller publishes events, states and metrics, not %q", string(e.Kind))
	}
	if e.Kind == event.KindEvent && e.Severity.Level() < 0 {
		return fault.New(fault.Invalid, "event %s of %s: severity %q is not one of RFC 5424", e.Type, e.Entity, string(e.Severity))
	}
	if err := event.CheckEntity(e.Entity); err != nil {
		return err
	}
	if err := event.CheckType(e.Type); err != nil {
		return err
	}
	if len(e.Data) > maxData {
		return fault.New(fault.Invalid, "%s of %s: payload of %d bytes, at most %d fit", e.Type, e.Entity, len(e.Data), maxData)
	}
	if !json.Valid(e.Data) {
		return fault.New(fault.Invalid, "%s of %s: the payload is not JSON", e.Type, e.Entity)
	}
	return nil
}
