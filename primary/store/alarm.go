package store

import (
	"context"
	"encoding/json"

	"midplane/event"
	"midplane/primary/fold"
)

// Pending is a finding that the control plane has not been told yet.
type Pending struct {
	Pos    int64
	Tenant event.Tenant
	fold.Finding
}

// Untold returns the oldest findings that the control plane has not been told.
func (s *Store) Untold(ctx context.Context, limit int) ([]Pending, error) {
	rows, err := s.reads.QueryContext(ctx, "SELECT pos, tenant, id, severity, alarm FROM alarms WHERE told = 0 ORDER BY pos LIMIT ?", limit)
	if err != nil {
		return nil, classify(err, "read alarms")
	}
	defer rows.Close()
	var out []Pending
	for rows.Next() {
		var p Pending
		var body []byte
		if err := rows.Scan(&p.Pos, &p.Tenant, &p.ID, &p.Severity, &body); err != nil {
			return nil, classify(err, "read alarms")
		}
		if err := json.Unmarshal(body, &p.Alarm); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, classify(rows.Err(), "read alarms")
}

// Told notes that the control plane knows a finding.
func (s *Store) Told(ctx context.Context, pos int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(ctx, func(ctx context.Context) error {
		_, err := s.conn.ExecContext(ctx, "UPDATE alarms SET told = 1 WHERE pos = ?", pos)
		return err
	})
}

// Alarms returns the newest alarms, newest first.
func (s *Store) Alarms(ctx context.Context, limit int) ([]event.Alarm, error) {
	rows, err := s.reads.QueryContext(ctx, `SELECT tenant, alarm FROM alarms
		WHERE tenant NOT IN (SELECT tenant FROM tenants WHERE deleted = 1) ORDER BY pos DESC LIMIT ?`, limit)
	if err != nil {
		return nil, classify(err, "read alarms")
	}
	defer rows.Close()
	out := []event.Alarm{}
	for rows.Next() {
		var tenant string
		var body []byte
		if err := rows.Scan(&tenant, &body); err != nil {
			return nil, classify(err, "read alarms")
		}
		var a event.Alarm
		if err := json.Unmarshal(body, &a); err != nil {
			return nil, err
		}
		a.Message = tenant + ": " + a.Message
		out = append(out, a)
	}
	return out, classify(rows.Err(), "read alarms")
}
