package sqlite

import (
	"context"
	"encoding/json"

	"midplane/primary/store"
)

// Unreported returns the oldest findings that the control plane does not know.
func (w *Writer) Unreported(ctx context.Context, limit int) ([]store.Pending, error) {
	rows, err := w.reads.QueryContext(ctx, "SELECT pos, tenant, id, severity, alarm FROM alarms WHERE told = 0 ORDER BY pos LIMIT ?", limit)
	if err != nil {
		return nil, classify(err, "read alarms")
	}
	defer rows.Close()
	var out []store.Pending
	for rows.Next() {
		var p store.Pending
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

// Reported notes that the control plane knows a finding.
func (w *Writer) Reported(ctx context.Context, pos int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.write(ctx, func(ctx context.Context) error {
		_, err := w.conn.ExecContext(ctx, "UPDATE alarms SET told = 1 WHERE pos = ?", pos)
		return err
	})
}
