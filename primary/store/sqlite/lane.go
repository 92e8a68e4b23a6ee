package sqlite

import (
	"context"

	"midplane/event"
	"midplane/primary/store"
)

// laneQuery goes through the types that a tenant has states of, a step in the
// table's key each, and in each type through one device's entities: the key begins
// with tenant, type, site, entity. '0' follows '/'.
const laneQuery = `WITH RECURSIVE kinds(type) AS (
		SELECT min(type) FROM states WHERE tenant = ?1
		UNION ALL
		SELECT (SELECT min(type) FROM states WHERE tenant = ?1 AND type > kinds.type) FROM kinds WHERE kinds.type IS NOT NULL)
	SELECT s.entity, s.type, s.epoch, s.seq, s.incarnation, s.stream_seq, s.received, s.time, s.since, s.winner, s.data
	FROM kinds CROSS JOIN states s
	WHERE s.tenant = ?1 AND s.type = kinds.type AND s.site = ?2 AND (s.entity = ?3 OR s.entity > ?3 || '/' AND s.entity < ?3 || '0')
		AND s.device = ?3 AND s.producer = ?4 AND s.stock = 0
		AND NOT EXISTS (SELECT 1 FROM devices d WHERE d.tenant = ?1 AND d.site = ?2 AND d.device = ?3 AND d.d_removed = 1)
		AND NOT EXISTS (SELECT 1 FROM tenants t WHERE t.tenant = ?1 AND t.deleted = 1)`

// Lane returns the states of a device and its parts, as store.Lanes says.
func (r *Reader) Lane(ctx context.Context, lane store.DeviceLane) ([]store.State, error) {
	rows, err := r.db.QueryContext(ctx, laneQuery, string(lane.Tenant), string(lane.Site), string(lane.Device), string(lane.Producer))
	if err != nil {
		return nil, classify(err, "read a lane")
	}
	defer rows.Close()
	var out []store.State
	for rows.Next() {
		var s store.State
		var received, at, since int64
		var data []byte
		if err := rows.Scan((*string)(&s.Entity), (*string)(&s.Type), &s.Epoch, &s.Seq, &s.Incarnation, &s.StreamSeq,
			&received, &at, &since, &s.Winner, &data); err != nil {
			return nil, classify(err, "read a lane")
		}
		s.Received, s.Time, s.Since, s.Data = timeOf(received), timeOf(at), timeOf(since), data
		out = append(out, s)
	}
	return out, classify(rows.Err(), "read a lane")
}

// Beating returns lanes that have a heartbeat, as store.Lanes says.
func (r *Reader) Beating(ctx context.Context, after store.DeviceLane, limit int) ([]store.DeviceLane, error) {
	tenants, err := r.live(ctx, "", string(after.Tenant))
	if err != nil {
		return nil, err
	}
	var out []store.DeviceLane
	for _, tenant := range tenants {
		if len(out) == limit {
			break
		}
		from := store.DeviceLane{Tenant: event.Tenant(tenant)}
		if from.Tenant == after.Tenant {
			from = after
		}
		if out, err = r.beating(ctx, out, from, limit-len(out)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// beating appends lanes of one tenant.
func (r *Reader) beating(ctx context.Context, out []store.DeviceLane, after store.DeviceLane, limit int) ([]store.DeviceLane, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT site, entity, producer FROM states s
		WHERE tenant = ? AND type = '`+string(event.TypeSeen)+`' AND (site, entity, producer) > (?, ?, ?) AND stock = 0 AND entity = device
		AND NOT EXISTS (SELECT 1 FROM devices d WHERE d.tenant = s.tenant AND d.site = s.site AND d.device = s.device AND d.d_removed = 1)
		ORDER BY site, entity, producer LIMIT ?`, string(after.Tenant), string(after.Site), string(after.Device), string(after.Producer), limit)
	if err != nil {
		return nil, classify(err, "list heartbeats")
	}
	defer rows.Close()
	for rows.Next() {
		lane := store.DeviceLane{Tenant: after.Tenant}
		if err := rows.Scan((*string)(&lane.Site), (*string)(&lane.Device), (*string)(&lane.Producer)); err != nil {
			return nil, classify(err, "list heartbeats")
		}
		out = append(out, lane)
	}
	return out, classify(rows.Err(), "list heartbeats")
}
