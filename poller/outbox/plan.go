package outbox

import (
	"time"

	"midplane/event"
	"midplane/fault"
)

type stateKey struct {
	entity event.Entity
	typ    event.Type
}

// plan is what one transaction will write besides what is pending.
type plan struct {
	id      *identity
	now     int64 // unix milliseconds
	entries []event.Event
	states  map[stateKey]*event.Event
	last    [lanes]uint64
	ledgers [lanes]uint64 // sequence of the ledger message in it, 0 when none
	// overflow: the event about what was given up is in it.
	overflow bool
}

// newPlan returns an empty plan; last are the highest sequences that are given.
func newPlan(id *identity, last [lanes]uint64) *plan {
	return &plan{id: id, now: time.Now().UnixMilli(), states: map[stateKey]*event.Event{}, last: last}
}

// deriver finds what follows from a state, given the last one before it.
type deriver struct {
	repeats *repeats
	derive  func(prev *event.Event, next event.Event) []event.Event // nil: nothing
	stored  func(stateKey) (*event.Event, error)                    // the last state in the database
}

// add plans one request whole, or leaves p as it was. A request's own error is
// Invalid; any other is the database's.
func (p *plan) add(events []event.Event, d deriver) error {
	var entries []event.Event
	states := map[stateKey]*event.Event{}
	for i := range events {
		e := events[i]
		if e.Kind != event.KindState || !event.InDigest(e.Type) { // a heartbeat is compared with nothing
			entries = append(entries, e)
			continue
		}
		k := stateKey{e.Entity, e.Type}
		if d.repeats.same(k, e, states, p.states) {
			continue
		}
		prev, planned, err := d.previous(k, states, p.states)
		if err != nil {
			return err
		}
		derived, err := d.from(prev, e)
		if err != nil {
			return err
		}
		if len(derived) == 0 && d.repeats.skip(k, prev, planned, e) {
			continue
		}
		entries = append(entries, e)
		states[k] = &e
		for i := range derived {
			if derived[i].Kind == event.KindState {
				states[stateKey{derived[i].Entity, derived[i].Type}] = &derived[i]
			}
		}
		entries = append(entries, derived...)
	}
	for i := range entries {
		l, _ := laneOf(entries[i].Kind)
		p.last[l]++
		p.id.mark(&entries[i], p.last[l])
	}
	p.entries = append(p.entries, entries...)
	for k, e := range states {
		p.states[k] = e
	}
	return nil
}

// previous is the last state of k: of this request or this transaction, in which it
// is planned to be sent, or the stored one.
func (d *deriver) previous(k stateKey, plans ...map[stateKey]*event.Event) (e *event.Event, planned bool, err error) {
	for _, m := range plans {
		if e, ok := m[k]; ok {
			return e, true, nil
		}
	}
	if e := d.repeats.previous(k); e != nil {
		return e, false, nil
	}
	e, err = d.stored(k)
	return e, false, err
}

// from returns what follows from state e after prev. The error is Invalid.
func (d *deriver) from(prev *event.Event, e event.Event) ([]event.Event, error) {
	if d.derive == nil {
		return nil, nil
	}
	derived := d.derive(prev, e)
	for i := range derived {
		f := &derived[i]
		if err := check(f); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "derived from %s of %s", e.Type, e.Entity)
		}
		if f.TraceParent == "" {
			f.TraceParent, f.TraceState = e.TraceParent, e.TraceState
		}
		if f.Time.IsZero() {
			f.Time = e.Time
		}
	}
	return derived, nil
}
