package sqlite

import (
	"context"
	"encoding/json"

	"midplane/event"
)

// Alarms returns the newest alarms, newest first.
func (r *Reader) Alarms(ctx context.Context, limit int) ([]event.Alarm, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT tenant, alarm FROM alarms
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
