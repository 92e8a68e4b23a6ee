package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
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
	if r.bytes > int(o.cfg.MaxBytes/putPart) {
		return fault.WithHint(fault.New(fault.Exhausted, "%d bytes at once do not fit an outbox of %d", r.bytes, o.cfg.MaxBytes),
			"give the outbox at least %d bytes", putPart*r.bytes)
	}
	select {
	case o.requests <- r:
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
		return fault.New(fault.Invalid, "a poller says events, states and metrics, not %q", string(e.Kind))
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

type stateKey struct {
	entity event.Entity
	typ    event.Type
}

// plan is what one transaction will write.
type plan struct {
	now     int64 // unix milliseconds
	entries []event.Event
	states  map[stateKey]*event.Event
	last    [lanes]uint64
	ledgers [lanes]uint64 // sequence of the ledger message in it, 0 when none
}

// add plans one request whole, or leaves p as it was. A request's own error is
// Invalid; any other is the database's.
func (o *Outbox) add(ctx context.Context, tx *sql.Tx, p *plan, events []event.Event) error {
	var entries []event.Event
	states := map[stateKey]*event.Event{}
	for i := range events {
		e := events[i]
		entries = append(entries, e)
		if e.Kind != event.KindState {
			continue
		}
		k := stateKey{e.Entity, e.Type}
		prev, err := o.previous(ctx, tx, k, states, p.states)
		if err != nil {
			return err
		}
		states[k] = &e
		if o.cfg.Derive == nil {
			continue
		}
		for _, d := range o.cfg.Derive(prev, e) {
			if err := check(&d); err != nil {
				return fault.Wrap(fault.Invalid, err, "derived from %s of %s", e.Type, e.Entity)
			}
			if d.TraceParent == "" {
				d.TraceParent, d.TraceState = e.TraceParent, e.TraceState
			}
			if d.Time.IsZero() {
				d.Time = e.Time
			}
			if d.Kind == event.KindState {
				states[stateKey{d.Entity, d.Type}] = &d
			}
			entries = append(entries, d)
		}
	}
	for i := range entries {
		l, _ := laneOf(entries[i].Kind)
		p.last[l]++
		o.identify(&entries[i], p.last[l])
	}
	p.entries = append(p.entries, entries...)
	for k, e := range states {
		p.states[k] = e
	}
	return nil
}

// identify gives e its place: the same id on every try.
func (o *Outbox) identify(e *event.Event, seq uint64) {
	var b strings.Builder
	b.Grow(64)
	b.WriteString(string(o.cfg.Producer))
	b.WriteByte('/')
	b.WriteString(strconv.FormatInt(o.epoch, 10))
	b.WriteByte('/')
	b.WriteString(e.Kind.Stream())
	b.WriteByte('/')
	b.WriteString(strconv.FormatUint(seq, 10))
	e.ID = b.String()
	e.MsgID = e.ID
	e.Epoch, e.Sequence, e.Low = o.epoch, seq, 0
}

// previous is the last state of k: of this request, of this transaction, or stored.
func (o *Outbox) previous(ctx context.Context, tx *sql.Tx, k stateKey, planned ...map[stateKey]*event.Event) (*event.Event, error) {
	for _, m := range planned {
		if e, ok := m[k]; ok {
			return e, nil
		}
	}
	e := event.Event{Kind: event.KindState, Entity: k.entity, Type: k.typ}
	var at int64
	var data []byte
	err := tx.StmtContext(ctx, o.db.prev).QueryRowContext(ctx, string(k.entity), string(k.typ)).Scan(&at, &data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	e.Time, e.Data = fromNano(at), data
	return &e, err
}

// write writes the plan.
func (o *Outbox) write(ctx context.Context, tx *sql.Tx, p *plan) error {
	var insert [lanes]*sql.Stmt
	for l := range insert {
		insert[l] = tx.StmtContext(ctx, o.db.insert[l])
	}
	for i := range p.entries {
		e := &p.entries[i]
		l, _ := laneOf(e.Kind)
		if _, err := insert[l].ExecContext(ctx, int64(e.Sequence), p.now, toNano(e.Time), string(e.Severity), string(e.Entity), string(e.Type),
			e.TraceParent, e.TraceState, []byte(e.Data)); err != nil {
			return err
		}
	}
	put := tx.StmtContext(ctx, o.db.putState)
	for k, e := range p.states {
		if _, err := put.ExecContext(ctx, string(k.entity), string(k.typ), toNano(e.Time), []byte(e.Data)); err != nil {
			return err
		}
	}
	stream := tx.StmtContext(ctx, o.db.putStream)
	for l := range p.last {
		if p.last[l] == o.last[l] {
			continue
		}
		ledger := p.ledgers[l]
		if ledger == 0 {
			ledger = o.ledgers[l].seq
		}
		if _, err := stream.ExecContext(ctx, int64(p.last[l]), int64(ledger), l); err != nil {
			return err
		}
	}
	return nil
}
