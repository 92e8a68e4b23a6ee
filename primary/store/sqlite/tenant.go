package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"midplane/event"
	"midplane/primary/store"
)

// Tenants returns the tenants that were ever named.
func (w *Writer) Tenants(ctx context.Context) (map[event.Tenant]store.Tenant, error) {
	rows, err := w.reads.QueryContext(ctx, "SELECT tenant, name, account, deleted FROM tenants")
	if err != nil {
		return nil, classify(err, "list tenants")
	}
	defer rows.Close()
	out := map[event.Tenant]store.Tenant{}
	for rows.Next() {
		var id event.Tenant
		var t store.Tenant
		if err := rows.Scan(&id, &t.Name, &t.Account, &t.Deleted); err != nil {
			return nil, classify(err, "list tenants")
		}
		out[id] = t
	}
	return out, classify(rows.Err(), "list tenants")
}

// PutTenant remembers a tenant, and drops what was known of another one with
// the same id, as store.Tenants says.
func (w *Writer) PutTenant(ctx context.Context, id event.Tenant, t store.Tenant) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.series)
	wiped := false
	err := w.write(ctx, func(ctx context.Context) error {
		var was store.Tenant
		err := w.conn.QueryRowContext(ctx, "SELECT account, deleted FROM tenants WHERE tenant = ?", string(id)).Scan(&was.Account, &was.Deleted)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if wiped = was.Deleted && !t.Deleted || was.Account != "" && was.Account != t.Account; wiped {
			if err := w.wipe(ctx, id); err != nil {
				return err
			}
		}
		_, err = w.conn.ExecContext(ctx, `INSERT INTO tenants (tenant, name, account, deleted) VALUES (?, ?, ?, ?)
			ON CONFLICT (tenant) DO UPDATE SET name = excluded.name, account = excluded.account, deleted = excluded.deleted`,
			string(id), t.Name, t.Account, t.Deleted)
		return err
	})
	if err == nil {
		w.index.Tenant(id, t.Deleted, wiped)
	}
	return err
}

func (w *Writer) wipe(ctx context.Context, t event.Tenant) error {
	for _, stmt := range []string{
		dropRecent("SELECT id FROM series WHERE tenant = ?"),
		"DELETE FROM samples WHERE series IN (SELECT id FROM series WHERE tenant = ?)",
		"DELETE FROM series WHERE tenant = ?",
		"DELETE FROM states WHERE tenant = ?",
		"DELETE FROM devices WHERE tenant = ?",
		"DELETE FROM ledgers WHERE tenant = ?",
		"DELETE FROM ledger_notes WHERE tenant = ?",
		"DELETE FROM cursors WHERE tenant = ?",
		"DELETE FROM marks WHERE tenant = ?",
		"DELETE FROM dead WHERE tenant = ?",
	} {
		if _, err := w.conn.ExecContext(ctx, stmt, string(t)); err != nil {
			return err
		}
	}
	return nil
}
