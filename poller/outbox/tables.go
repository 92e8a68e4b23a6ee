package outbox

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"midplane/event"
	"midplane/fault"
)

// identify returns the epoch of the database, which must be producer's. A new
// database begins one.
func (h *handles) identify(ctx context.Context, path string, producer event.Producer) (epoch int64, err error) {
	var owner string
	err = h.write.QueryRowContext(ctx, `SELECT producer, epoch FROM outbox`).Scan(&owner, &epoch)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return h.create(ctx, producer)
	case err != nil:
		return 0, dbError(err, "read outbox")
	case owner != string(producer):
		return 0, fault.WithHint(fault.New(fault.Invalid, "outbox %s belongs to poller %q, not to %q", path, owner, producer),
			"each poller needs a directory of its own")
	}
	return epoch, nil
}

// create makes a new epoch.
func (h *handles) create(ctx context.Context, producer event.Producer) (epoch int64, err error) {
	epoch = time.Now().UnixMilli() // a re-installed poller's is later
	tx, err := h.write.BeginTx(ctx, nil)
	if err != nil {
		return 0, dbError(err, "create outbox")
	}
	defer tx.Rollback() // after Commit it does nothing
	if _, err := tx.ExecContext(ctx, `INSERT INTO outbox (id, producer, epoch) VALUES (1, ?, ?)`, string(producer), epoch); err != nil {
		return 0, dbError(err, "create outbox")
	}
	for l := range kinds {
		if _, err := tx.ExecContext(ctx, `INSERT INTO stream (lane, last, ledger) VALUES (?, 0, 0)`, l); err != nil {
			return 0, dbError(err, "create outbox")
		}
	}
	return epoch, dbError(tx.Commit(), "create outbox")
}

// counters returns the highest sequence that lane l ever gave, and that of its
// last ledger message.
func (h *handles) counters(ctx context.Context, l lane) (last, ledger uint64, err error) {
	err = h.write.QueryRowContext(ctx, `SELECT last, ledger FROM stream WHERE lane = ?`, l).Scan(&last, &ledger)
	return last, ledger, err
}

// tombs returns the tombstones of lane l in order.
func (h *handles) tombs(ctx context.Context, l lane) (list []tomb, err error) {
	rows, err := h.write.QueryContext(ctx, `SELECT low, high, reason, told FROM tombstone WHERE lane = ? ORDER BY low`, l)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var d tomb
		if err := rows.Scan(&d.low, &d.high, &d.reason, &d.in); err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, rows.Err()
}

// waiting calls each for every message that waits in lane l, in order. size is
// that of its payload and trace, in bytes.
func (h *handles) waiting(ctx context.Context, l lane, each func(seq uint64, put int64, ent event.Entity, typ event.Type, size int)) error {
	rows, err := h.write.QueryContext(ctx, `SELECT seq, put, entity, type, length(data) + length(parent) FROM `+tables[l]+` ORDER BY seq`)
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
		each(seq, put, ent, typ, size)
	}
	return rows.Err()
}

// payloads reads those of events that missing names.
func (h *handles) payloads(ctx context.Context, events []event.Event, missing []int) error {
	for _, i := range missing {
		e := &events[i]
		l, _ := laneOf(e.Kind)
		var at int64
		var data []byte
		if err := h.get[l].QueryRowContext(ctx, int64(e.Sequence)).Scan(&at, &e.Severity, &e.Entity, &e.Type,
			&e.TraceParent, &e.TraceState, &data); err != nil {
			return dbError(err, "read outbox")
		}
		e.Time, e.Data = fromNano(at), data
	}
	return nil
}

// known returns the entities that have a last state of typ.
func (h *handles) known(ctx context.Context, typ event.Type) (map[event.Entity]bool, error) {
	rows, err := h.read.QueryContext(ctx, `SELECT entity FROM state WHERE type = ?`, string(typ))
	if err != nil {
		return nil, dbError(err, "read outbox")
	}
	defer rows.Close()
	known := map[event.Entity]bool{}
	for rows.Next() {
		var e event.Entity
		if err := rows.Scan(&e); err != nil {
			return nil, dbError(err, "read outbox")
		}
		known[e] = true
	}
	return known, dbError(rows.Err(), "read outbox")
}

// lastState returns the stored state of k, nil when there is none.
func (h *handles) lastState(ctx context.Context, k stateKey) (*event.Event, error) {
	e := event.Event{Kind: event.KindState, Entity: k.entity, Type: k.typ}
	var at int64
	var data []byte
	err := h.prev.QueryRowContext(ctx, string(k.entity), string(k.typ)).Scan(&at, &data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	e.Time, e.Data = fromNano(at), data
	return &e, err
}

// flush writes what is pending: deletes first, since they make room for the rest.
func (h *handles) flush(ctx context.Context, tx *sql.Tx, p *pending) error {
	for l := range lanes {
		remove := tx.StmtContext(ctx, h.remove[l])
		for _, r := range ranges(p.deletes[l]) {
			if _, err := remove.ExecContext(ctx, int64(r[0]), int64(r[1])); err != nil {
				return err
			}
		}
		for low := range p.dirty[l] {
			if _, err := tx.StmtContext(ctx, h.delTomb).ExecContext(ctx, l, int64(low)); err != nil {
				return err
			}
		}
		for _, d := range p.tombs[l] {
			if _, err := tx.StmtContext(ctx, h.putTomb).ExecContext(ctx, l, int64(d.low), int64(d.high), d.reason, int64(d.in)); err != nil {
				return err
			}
		}
	}
	return nil
}

// put writes a plan. had are the sequences before it.
func (h *handles) put(ctx context.Context, tx *sql.Tx, p *plan, had [lanes]uint64) error {
	var insert [lanes]*sql.Stmt
	for l := range insert {
		insert[l] = tx.StmtContext(ctx, h.insert[l])
	}
	for i := range p.entries {
		e := &p.entries[i]
		l, _ := laneOf(e.Kind)
		if _, err := insert[l].ExecContext(ctx, int64(e.Sequence), p.now, toNano(e.Time), string(e.Severity), string(e.Entity), string(e.Type),
			e.TraceParent, e.TraceState, []byte(e.Data)); err != nil {
			return err
		}
	}
	putState := tx.StmtContext(ctx, h.putState)
	for k, e := range p.states {
		if _, err := putState.ExecContext(ctx, string(k.entity), string(k.typ), toNano(e.Time), []byte(e.Data)); err != nil {
			return err
		}
	}
	for l := range p.last {
		var err error
		switch {
		case p.last[l] == had[l]:
		case p.ledgers[l] == 0:
			_, err = tx.StmtContext(ctx, h.putLast).ExecContext(ctx, int64(p.last[l]), l)
		default:
			_, err = tx.StmtContext(ctx, h.putStream).ExecContext(ctx, int64(p.last[l]), int64(p.ledgers[l]), l)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// commit commits tx.
func (h *handles) commit(tx *sql.Tx) error {
	if h.inject != nil {
		if err := h.inject(); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func toNano(t time.Time) int64 { return t.UnixNano() }

func fromNano(n int64) time.Time { return time.Unix(0, n).UTC() }
