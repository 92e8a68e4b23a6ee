package sqlite

import (
	"context"
	"slices"

	"midplane/api"
	"midplane/event"
	"midplane/primary/store"
)

// stateRow is the winning state of an entity. seen is the newest of it and of
// the entity's metrics. run is the newest run of a check when that is newer than the
// state, as package fold made a sample of it; nil when there is none.
type stateRow struct {
	tenant, site, entity string
	seen                 int64
	data, run            []byte
}

// runQuery finds the run of a stateRow. Only checks have runs.
const runQuery = `(SELECT p."values" FROM samples p WHERE p.time > s.time AND p.series = (SELECT id FROM series x WHERE x.tenant = s.tenant
		AND x.site = s.site AND x.entity = s.entity AND x.type = '` + string(event.TypeSeen) + `') ORDER BY p.time DESC LIMIT 1)`

// seenQuery is the newest of a state, its entity's metrics, and for an interface the
// lists of counters of its device that it stands in.
const seenQuery = `max(s.time, coalesce((SELECT max((SELECT max(p.time) FROM samples p WHERE p.series = x.id))
		FROM series x WHERE x.tenant = s.tenant AND x.site = s.site AND x.entity = s.entity), 0),
	iif(s.type = '` + string(event.TypeInterface) + `', coalesce((SELECT max((SELECT p.time FROM samples p WHERE p.series = x.id
		AND EXISTS (SELECT 1 FROM json_each(p."values", '$.index') i WHERE i.value = substr(s.entity, length(s.device) + length('/if/') + 1))
		ORDER BY p.time DESC LIMIT 1)) FROM series x WHERE x.tenant = s.tenant AND x.site = s.site
		AND x.entity > s.device || '/if/' AND x.entity < s.device || '/if0' AND x.type = '` + string(event.TypeCountersList) + `'), 0), 0))`

const stateQuery = `SELECT s.tenant, s.site, s.entity, ` + seenQuery + `, s.data,
	iif(s.type = '` + string(event.TypeCheck) + `', ` + runQuery + `, NULL)
	FROM states s WHERE s.type = ? AND s.winner = 1 AND NOT EXISTS (SELECT 1 FROM devices d
		WHERE d.tenant = s.tenant AND d.site = s.site AND d.device = s.device AND d.d_removed = 1)`

var stateColumns = columns{"s.tenant", "s.site", "s.entity"}

// list returns one page of the states of one type, tenant by tenant: the key
// of the table begins with tenant and type.
func list[T any](ctx context.Context, r *Reader, typ event.Type, req api.ListRequest, row func(stateRow) T) (api.Page[T], error) {
	page := api.Page[T]{Items: []T{}}
	limit, err := store.Limit(req.Limit)
	if err != nil {
		return page, err
	}
	after, err := store.ParsePlace(req.After)
	if err != nil {
		return page, err
	}
	var found []store.Place
	if req.Name != "" {
		if found, err = r.statesNamed(ctx, typ, req); err != nil || len(found) == 0 {
			return page, err
		}
	}
	tenants, err := r.live(ctx, req.Tenant, after.Tenant)
	if err != nil {
		return page, err
	}
	var last store.Place
	size := 0
	for _, tenant := range tenants {
		own := req
		own.Tenant = tenant
		w, none := stateColumns.span(own, after)
		if none {
			continue
		}
		if req.Name != "" {
			mine := slices.DeleteFunc(slices.Clone(found), func(p store.Place) bool { return p.Tenant != tenant })
			if len(mine) == 0 {
				continue
			}
			w.add(stateColumns.among(mine))
		}
		args := append([]any{string(typ)}, w.args...)
		rows, err := r.states(ctx, w.text+" ORDER BY s.site, s.entity LIMIT ?", append(args, limit+1-len(page.Items))...)
		if err != nil {
			return page, err
		}
		for _, s := range rows {
			if len(page.Items) == limit || size > store.PageBytes {
				page.Next = last.Token()
				return page, nil
			}
			page.Items = append(page.Items, row(s))
			last = store.Place{Tenant: s.tenant, Site: s.site, ID: s.entity}
			size += len(s.data) + 200
		}
	}
	return page, nil
}

// live returns the tenants to list, from the one where the last page ended.
func (r *Reader) live(ctx context.Context, only, from string) ([]string, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT DISTINCT tenant FROM cursors WHERE tenant >= ? AND (? = '' OR tenant = ?)
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

func (r *Reader) states(ctx context.Context, where string, args ...any) ([]stateRow, error) {
	rows, err := r.db.QueryContext(ctx, stateQuery+where, args...)
	if err != nil {
		return nil, classify(err, "list states")
	}
	defer rows.Close()
	var out []stateRow
	for rows.Next() {
		var r stateRow
		if err := rows.Scan(&r.tenant, &r.site, &r.entity, &r.seen, &r.data, &r.run); err != nil {
			return nil, classify(err, "list states")
		}
		out = append(out, r)
	}
	return out, classify(rows.Err(), "list states")
}
