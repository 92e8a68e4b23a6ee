package sqlite

import (
	"context"
	"encoding/json"
	"time"

	"midplane/event"
	"midplane/primary/fold"
)

// tx is one transaction about a tenant: it reads what folding has to know
// (known.go) and writes what folding changed.
type tx struct {
	st     *statements
	tenant event.Tenant
	source string    // event.Alarm.Source of findings
	now    time.Time // when it began

	notes      map[fold.LedgerKey]note // of accounts, as they were
	series     seriesIDs               // known before
	fresh      seriesIDs               // found or made here; known to others once this is committed
	lastFolded int64                   // the newest time in table folded
}

// save writes what a batch changed. It returns the end of the event log when
// it grew, else 0.
func (t *tx) save(ctx context.Context, known *fold.Known, ch *fold.Changes) (pos int64, err error) {
	for stream, c := range ch.Cursors {
		if err := t.putCursor(ctx, stream, c); err != nil {
			return 0, err
		}
	}
	for key, l := range ch.Ledgers {
		if _, err := t.st.putLedger.ExecContext(ctx, string(t.tenant), string(key.Producer), key.Epoch, key.Stream, int64(l.High), int64(l.Low),
			int64(l.Base), int64(l.Settled), l.Received.Bytes(), l.Tombstones.Bytes(), l.Lost.Bytes()); err != nil {
			return 0, err
		}
		if err := t.putNote(ctx, key, l); err != nil {
			return 0, err
		}
	}
	if pos, err = t.putEvents(ctx, ch.Events); err != nil {
		return 0, err
	}
	if err := t.putStates(ctx, known, ch); err != nil {
		return 0, err
	}
	if err := t.putDevices(ctx, ch.Devices, ch.States); err != nil {
		return 0, err
	}
	if err = t.putSamples(ctx, ch.Samples); err != nil {
		return 0, err
	}
	for key, d := range ch.Dead {
		if _, err := t.st.putDead.ExecContext(ctx, string(t.tenant), key.Stream, key.Reason, string(key.Producer), d.Count, nanos(d.Last),
			string(d.Entity), string(d.Type)); err != nil {
			return 0, err
		}
	}
	return pos, t.putFindings(ctx, ch.Findings)
}

func (t *tx) putCursor(ctx context.Context, stream string, c fold.Cursor) error {
	_, err := t.st.putCursor.ExecContext(ctx, string(t.tenant), stream, int64(c.Incarnation), int64(c.Seq), int64(c.Start), nanos(c.Began))
	if err != nil {
		return err
	}
	_, err = t.st.putMarks.ExecContext(ctx, string(t.tenant), stream, int64(c.Histories), c.Marked().Marks.Bytes())
	return err
}

func (t *tx) putEvents(ctx context.Context, events []*fold.Message) (int64, error) {
	if len(events) == 0 {
		return 0, nil
	}
	args := make([]any, 0, len(events)*t.st.putEvents.width)
	for _, m := range events {
		id := m.ID
		if id == "" {
			id = m.MsgID
		}
		args = append(args, string(t.tenant), string(m.Site), string(m.Entity.Device()), string(m.Entity), m.Severity.Level(), string(m.Type), id,
			nanos(orReceived(m)), nanos(m.Received), string(m.Producer), m.TraceID(), int64(m.StreamSeq), []byte(m.Data))
	}
	pos, err := t.st.putEvents.exec(ctx, args)
	if err != nil {
		return 0, err
	}
	// The clock may step back; the table is searched by time, so it must not.
	t.lastFolded = max(t.lastFolded, t.now.UnixNano())
	_, err = t.st.putFolded.ExecContext(ctx, pos, t.lastFolded)
	return pos, err
}

func orReceived(m *fold.Message) time.Time {
	if m.Time.IsZero() {
		return m.Received
	}
	return m.Time
}

func (t *tx) putStates(ctx context.Context, known *fold.Known, ch *fold.Changes) error {
	for key, v := range ch.States {
		if _, err := t.st.putState.ExecContext(ctx, string(t.tenant), string(key.Type), string(key.Site), string(key.Entity),
			string(key.Entity.Device()), string(key.Producer), key.Stock, ch.Winners[key.StateKey] == key.Lane, v.Epoch, int64(v.Seq), int64(v.Incarnation), int64(v.StreamSeq),
			nanos(v.Received), nanos(v.Time), nanos(v.Since), []byte(v.Data)); err != nil {
			return err
		}
	}
	for key, winner := range ch.Winners {
		if len(known.States[key].By) < 2 {
			continue
		}
		if _, err := t.st.setWinner.ExecContext(ctx, string(winner.Producer), winner.Stock, string(t.tenant), string(key.Type), string(key.Site), string(key.Entity)); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) putDevices(ctx context.Context, devices map[fold.DeviceKey]*fold.Facets, states map[fold.LaneKey]*fold.Version) error {
	// A heartbeat's state says when it was; that time is not written again.
	beat := map[fold.DeviceKey]time.Time{}
	for key, v := range states {
		if at := (fold.DeviceKey{Site: key.Site, Device: key.Entity}); key.Type == event.TypeSeen && v.Time.After(beat[at]) {
			beat[at] = v.Time
		}
	}
	var seen, known []any
	for key, f := range devices {
		into := &seen
		if at, ok := beat[key]; ok && !f.Seen.After(at) {
			into = &known
		}
		*into = append(*into, string(t.tenant), string(key.Site), string(key.Device), nanos(f.Seen))
	}
	if _, err := t.st.putSeen.exec(ctx, seen); err != nil {
		return err
	}
	if _, err := t.st.putKnown.exec(ctx, known); err != nil {
		return err
	}
	for key, f := range devices {
		tenant, site, dev := string(t.tenant), string(key.Site), string(key.Device)
		if d := f.Declared; d != nil {
			if _, err := t.st.putDeclared.ExecContext(ctx, d.Name, d.Address, d.Poller, d.Removed, tenant, site, dev); err != nil {
				return err
			}
		}
		if r := f.Reachability; r != nil {
			if _, err := t.st.putReach.ExecContext(ctx, r.Status, r.Address, r.Message, nanos(r.Since), string(r.Producer), tenant, site, dev); err != nil {
				return err
			}
		}
		if i := f.Inventory; i != nil {
			if _, err := t.st.putInventory.ExecContext(ctx, i.Name, i.Description, tenant, site, dev); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tx) putFindings(ctx context.Context, found []fold.Finding) error {
	for _, f := range found {
		f.Alarm.Source = t.source
		body, err := json.Marshal(f.Alarm)
		if err != nil {
			return err
		}
		if _, err := t.st.putAlarm.ExecContext(ctx, string(t.tenant), f.ID, t.now.UnixNano(), string(f.Severity), body); err != nil {
			return err
		}
	}
	return nil
}
