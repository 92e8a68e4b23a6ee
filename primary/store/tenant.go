package store

import (
	"context"
	"database/sql"
	"errors"

	"midplane/event"
	"midplane/primary/fold"
)

// Tenant is what is remembered of one. Account is the public key of the account
// that was read: the same id with another one is another customer.
type Tenant struct {
	Name    string
	Account string
	Deleted bool
}

// Tenants returns the tenants that were ever named.
func (s *Store) Tenants(ctx context.Context) (map[event.Tenant]Tenant, error) {
	rows, err := s.reads.QueryContext(ctx, "SELECT tenant, name, account, deleted FROM tenants")
	if err != nil {
		return nil, classify(err, "list tenants")
	}
	defer rows.Close()
	out := map[event.Tenant]Tenant{}
	for rows.Next() {
		var id event.Tenant
		var t Tenant
		if err := rows.Scan(&id, &t.Name, &t.Account, &t.Deleted); err != nil {
			return nil, classify(err, "list tenants")
		}
		out[id] = t
	}
	return out, classify(rows.Err(), "list tenants")
}

// PutTenant remembers a tenant; a deleted one is hidden from every list. When
// an id is used again, by another account or after it was deleted, it is another
// tenant: what was known of the old one's devices and streams is dropped first,
// its event log ages away.
func (s *Store) PutTenant(ctx context.Context, id event.Tenant, t Tenant) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.ids)
	return s.write(ctx, func(ctx context.Context) error {
		var was Tenant
		err := s.conn.QueryRowContext(ctx, "SELECT account, deleted FROM tenants WHERE tenant = ?", string(id)).Scan(&was.Account, &was.Deleted)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if was.Deleted && !t.Deleted || was.Account != "" && was.Account != t.Account {
			if err := s.wipe(ctx, id); err != nil {
				return err
			}
		}
		_, err = s.conn.ExecContext(ctx, `INSERT INTO tenants (tenant, name, account, deleted) VALUES (?, ?, ?, ?)
			ON CONFLICT (tenant) DO UPDATE SET name = excluded.name, account = excluded.account, deleted = excluded.deleted`,
			string(id), t.Name, t.Account, t.Deleted)
		return err
	})
}

func (s *Store) wipe(ctx context.Context, t event.Tenant) error {
	for _, stmt := range []string{
		"DELETE FROM samples WHERE series IN (SELECT id FROM series WHERE tenant = ?)",
		"DELETE FROM series WHERE tenant = ?",
		"DELETE FROM states WHERE tenant = ?",
		"DELETE FROM devices WHERE tenant = ?",
		"DELETE FROM ledgers WHERE tenant = ?",
		"DELETE FROM cursors WHERE tenant = ?",
		"DELETE FROM dead WHERE tenant = ?",
	} {
		if _, err := s.conn.ExecContext(ctx, stmt, string(t)); err != nil {
			return err
		}
	}
	return nil
}

// Cursors returns a tenant's cursors, by stream.
func (s *Store) Cursors(ctx context.Context, t event.Tenant) (map[string]fold.Cursor, error) {
	rows, err := s.reads.QueryContext(ctx, "SELECT stream, incarnation, seq, start, began FROM cursors WHERE tenant = ?", string(t))
	if err != nil {
		return nil, classify(err, "read cursors")
	}
	out, err := scanCursors(rows)
	return out, classify(err, "read cursors")
}
