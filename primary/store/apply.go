package store

import (
	"context"
	"encoding/json"
	"time"

	"midplane/event"
	"midplane/fault"
	"midplane/primary/fold"
)

// MaxBatch is the largest batch of Apply.
const MaxBatch = 1000

// Apply folds messages of one tenant, each stream's in its order, and commits
// the changes with the cursors, all or nothing. What was folded before changes
// nothing. When it returns nil everything is on disk. The error is Exhausted
// when the disk is full, Invalid when the batch or the database is bad.
func (s *Store) Apply(ctx context.Context, tenant event.Tenant, msgs []fold.Message) (fold.Result, error) {
	if len(msgs) > MaxBatch {
		return fold.Result{}, fault.New(fault.Invalid, "a batch of %d messages, at most %d", len(msgs), MaxBatch)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := fold.NewChanges()
	var pos int64
	var ids map[seriesKey]int64
	err := s.write(ctx, func(ctx context.Context) error {
		known, err := s.load(ctx, tenant, fold.Need(msgs))
		if err != nil {
			return err
		}
		for i := range msgs {
			fold.Fold(known, ch, &msgs[i])
		}
		if pos, ids, err = s.save(ctx, tenant, known, ch); err != nil {
			return err
		}
		return nil
	})
	if err != nil {
		return fold.Result{}, err
	}
	s.remember(ids)
	if pos > 0 {
		s.changed()
	}
	return fold.Result{Folded: ch.Folded, Skipped: ch.Skipped, Cursors: ch.Cursors, Findings: ch.Findings, Position: uint64(pos)}, nil
}

// Begin decides where to read a stream on from, given what its leader says it
// keeps, and records the cursor and what was found. ok is false when the
// stream must not be read (fold.Ahead).
func (s *Store) Begin(ctx context.Context, tenant event.Tenant, stream string, e fold.Extent) (c fold.Cursor, found []fold.Finding, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.write(ctx, func(ctx context.Context) error {
		cursors, err := s.loadCursors(ctx, tenant)
		if err != nil {
			return err
		}
		var have *fold.Cursor
		if old, exists := cursors[stream]; exists {
			have = &old
		}
		c, found, ok = fold.Begin(have, stream, e, s.cfg.Now().UTC())
		if err := s.putCursor(ctx, tenant, stream, c); err != nil {
			return err
		}
		return s.putFindings(ctx, tenant, found)
	})
	return c, found, ok, err
}

// Find records findings that are not a message's.
func (s *Store) Find(ctx context.Context, tenant event.Tenant, found ...fold.Finding) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(ctx, func(ctx context.Context) error { return s.putFindings(ctx, tenant, found) })
}

// save writes what a batch changed. It returns the end of the event log when
// it grew, and the ids of series that were not known.
func (s *Store) save(ctx context.Context, tenant event.Tenant, known *fold.Known, ch *fold.Changes) (pos int64, ids map[seriesKey]int64, err error) {
	for stream, c := range ch.Cursors {
		if err := s.putCursor(ctx, tenant, stream, c); err != nil {
			return 0, nil, err
		}
	}
	for key, l := range ch.Ledgers {
		if _, err := s.st.putLedger.ExecContext(ctx, string(tenant), string(key.Producer), key.Epoch, key.Stream, int64(l.High), int64(l.Low),
			int64(l.Base), int64(l.Settled), l.Received.Bytes(), l.Tombstones.Bytes(), l.Lost.Bytes()); err != nil {
			return 0, nil, err
		}
	}
	if pos, err = s.putEvents(ctx, tenant, ch.Events); err != nil {
		return 0, nil, err
	}
	if err := s.putStates(ctx, tenant, known, ch); err != nil {
		return 0, nil, err
	}
	if err := s.putDevices(ctx, tenant, ch.Devices); err != nil {
		return 0, nil, err
	}
	if ids, err = s.putSamples(ctx, tenant, ch.Samples); err != nil {
		return 0, nil, err
	}
	for key, d := range ch.Dead {
		if _, err := s.st.putDead.ExecContext(ctx, string(tenant), key.Stream, key.Reason, string(key.Producer), d.Count, nanos(d.Last),
			string(d.Entity), string(d.Type)); err != nil {
			return 0, nil, err
		}
	}
	return pos, ids, s.putFindings(ctx, tenant, ch.Findings)
}

func (s *Store) putCursor(ctx context.Context, tenant event.Tenant, stream string, c fold.Cursor) error {
	_, err := s.st.putCursor.ExecContext(ctx, string(tenant), stream, int64(c.Incarnation), int64(c.Seq), int64(c.Start), nanos(c.Began))
	return err
}

func (s *Store) putEvents(ctx context.Context, tenant event.Tenant, events []*fold.Message) (int64, error) {
	if len(events) == 0 {
		return 0, nil
	}
	args := make([]any, 0, len(events)*s.st.putEvents.width)
	for _, m := range events {
		id := m.ID
		if id == "" {
			id = m.MsgID
		}
		args = append(args, string(tenant), string(m.Site), string(m.Entity.Device()), string(m.Entity), m.Severity.Level(), string(m.Type), id,
			nanos(orReceived(m)), nanos(m.Received), string(m.Producer), m.TraceID(), int64(m.StreamSeq), []byte(m.Data))
	}
	pos, err := s.st.putEvents.exec(ctx, args)
	if err != nil {
		return 0, err
	}
	// The clock may step back; the table is searched by time, so it must not.
	s.lastFolded = max(s.lastFolded, s.cfg.Now().UnixNano())
	_, err = s.st.putFolded.ExecContext(ctx, pos, s.lastFolded)
	return pos, err
}

func orReceived(m *fold.Message) time.Time {
	if m.Time.IsZero() {
		return m.Received
	}
	return m.Time
}

func (s *Store) putStates(ctx context.Context, tenant event.Tenant, known *fold.Known, ch *fold.Changes) error {
	for key, v := range ch.States {
		if _, err := s.st.putState.ExecContext(ctx, string(tenant), string(key.Type), string(key.Site), string(key.Entity),
			string(key.Entity.Device()), string(key.Producer), key.Stock, ch.Winners[key.StateKey] == key.Lane, v.Epoch, int64(v.Seq), int64(v.Incarnation), int64(v.StreamSeq),
			nanos(v.Received), nanos(v.Time), nanos(v.Since), []byte(v.Data)); err != nil {
			return err
		}
	}
	for key, winner := range ch.Winners {
		if len(known.States[key].By) < 2 {
			continue
		}
		if _, err := s.st.setWinner.ExecContext(ctx, string(winner.Producer), winner.Stock, string(tenant), string(key.Type), string(key.Site), string(key.Entity)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) putDevices(ctx context.Context, tenant event.Tenant, devices map[fold.DeviceKey]*fold.Facets) error {
	args := make([]any, 0, len(devices)*s.st.putSeen.width)
	for key, f := range devices {
		args = append(args, string(tenant), string(key.Site), string(key.Device), nanos(f.Seen))
	}
	if _, err := s.st.putSeen.exec(ctx, args); err != nil {
		return err
	}
	for key, f := range devices {
		t, site, dev := string(tenant), string(key.Site), string(key.Device)
		if d := f.Declared; d != nil {
			if _, err := s.st.putDeclared.ExecContext(ctx, d.Name, d.Address, d.Poller, d.Removed, t, site, dev); err != nil {
				return err
			}
		}
		if r := f.Reachability; r != nil {
			if _, err := s.st.putReach.ExecContext(ctx, r.Status, r.Address, r.Message, nanos(r.Since), string(r.Producer), t, site, dev); err != nil {
				return err
			}
		}
		if i := f.Inventory; i != nil {
			if _, err := s.st.putInventory.ExecContext(ctx, i.Name, i.Description, t, site, dev); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) putFindings(ctx context.Context, tenant event.Tenant, found []fold.Finding) error {
	for _, f := range found {
		f.Alarm.Source = s.cfg.Source
		body, err := json.Marshal(f.Alarm)
		if err != nil {
			return err
		}
		if _, err := s.st.putAlarm.ExecContext(ctx, string(tenant), f.ID, s.cfg.Now().UnixNano(), string(f.Severity), body); err != nil {
			return err
		}
	}
	return nil
}
