package store

import (
	"context"

	"midplane/api"
	"midplane/event"
)

// stateRow is the winning state of an entity. seen is the newest of it and of
// the entity's metrics.
type stateRow struct {
	tenant, site, entity string
	seen                 int64
	data                 []byte
}

const stateQuery = `SELECT s.tenant, s.site, s.entity, max(s.time, coalesce((SELECT max((SELECT max(p.time) FROM samples p WHERE p.series = x.id))
		FROM series x WHERE x.tenant = s.tenant AND x.site = s.site AND x.entity = s.entity), 0)), s.data
	FROM states s WHERE s.tenant = ? AND s.type = ? AND s.winner = 1 AND NOT EXISTS (SELECT 1 FROM devices d
		WHERE d.tenant = s.tenant AND d.site = s.site AND d.device = s.device AND d.d_removed = 1)`

// list returns one page of the states of one type, tenant by tenant: the key
// of the table begins with tenant and type.
func list[T any](ctx context.Context, s *Store, typ event.Type, req api.ListRequest, row func(stateRow) T) (api.Page[T], error) {
	page := api.Page[T]{Items: []T{}}
	limit, err := limitOf(req.Limit)
	if err != nil {
		return page, err
	}
	after, err := parsePlace(req.After)
	if err != nil {
		return page, err
	}
	tenants, err := s.live(ctx, req.Tenant, after.tenant)
	if err != nil {
		return page, err
	}
	var last place
	size := 0
	for _, tenant := range tenants {
		where, args := " AND (s.site, s.entity) > (?, ?)", []any{tenant, string(typ), "", ""}
		if tenant == after.tenant {
			args[2], args[3] = after.site, after.id
		}
		if req.Site != "" {
			where, args = where+" AND s.site = ?", append(args, req.Site)
		}
		rows, err := s.states(ctx, where+" ORDER BY s.site, s.entity LIMIT ?", append(args, limit+1-len(page.Items))...)
		if err != nil {
			return page, err
		}
		for _, r := range rows {
			if len(page.Items) == limit || size > pageBytes {
				page.Next = last.token()
				return page, nil
			}
			page.Items = append(page.Items, row(r))
			last = place{r.tenant, r.site, r.entity}
			size += len(r.data) + 200
		}
	}
	return page, nil
}

// live returns the tenants to list, from the one where the last page ended.
func (s *Store) live(ctx context.Context, only, from string) ([]string, error) {
	rows, err := s.reads.QueryContext(ctx, `SELECT DISTINCT tenant FROM cursors WHERE tenant >= ? AND (? = '' OR tenant = ?)
		AND tenant NOT IN (SELECT tenant FROM tenants WHERE deleted = 1) ORDER BY tenant`, from, only, only)
	if err != nil {
		return nil, classify(err, "list tenants")
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var t string
		if err := rows.Scan(&t); err != nil {
			return nil, classify(err, "list tenants")
		}
		out = append(out, t)
	}
	return out, classify(rows.Err(), "list tenants")
}

func (s *Store) states(ctx context.Context, where string, args ...any) ([]stateRow, error) {
	rows, err := s.reads.QueryContext(ctx, stateQuery+where, args...)
	if err != nil {
		return nil, classify(err, "list states")
	}
	defer rows.Close()
	var out []stateRow
	for rows.Next() {
		var r stateRow
		if err := rows.Scan(&r.tenant, &r.site, &r.entity, &r.seen, &r.data); err != nil {
			return nil, classify(err, "list states")
		}
		out = append(out, r)
	}
	return out, classify(rows.Err(), "list states")
}
