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

func (s *stateRow) place() store.Place {
	return store.Place{Tenant: s.tenant, Site: s.site, ID: s.entity}
}

// runQuery finds the run of a stateRow. Only checks have runs.
const runQuery = `(SELECT coalesce((SELECT r."values" FROM recent r WHERE r.id = n.sample AND r.time = n.time),
		(SELECT p."values" FROM samples p WHERE p.series = n.series AND p.time = n.time))
	FROM series x CROSS JOIN newest n ON n.series = x.id WHERE n.time > s.time
	AND x.tenant = s.tenant AND x.site = s.site AND x.entity = s.entity AND x.type = '` + string(event.TypeSeen) + `')`

// seenQuery is the newest of a state, its entity's metrics, and for an interface the
// lists of counters of its device that it stands in.
const seenQuery = `max(s.time, coalesce((SELECT max(n.time) FROM series x CROSS JOIN newest n ON n.series = x.id
		WHERE x.tenant = s.tenant AND x.site = s.site AND x.entity = s.entity), 0),
	iif(s.type = '` + string(event.TypeInterface) + `', coalesce((SELECT max(coalesce(
		(WITH RECURSIVE chain(time, "values", before) AS (
			SELECT r.time, r."values", r.before FROM newest n CROSS JOIN recent r ON r.id = n.sample WHERE n.series = x.id
			UNION ALL SELECT r.time, r."values", r.before FROM chain c CROSS JOIN recent r ON r.id = c.before)
			SELECT p.time FROM chain p WHERE ` + listed + ` LIMIT 1), 0),
		coalesce((SELECT p.time FROM samples p WHERE p.series = x.id AND ` + listed + ` ORDER BY p.time DESC LIMIT 1), 0))
		FROM series x WHERE x.tenant = s.tenant AND x.site = s.site
		AND x.entity > s.device || '/if/' AND x.entity < s.device || '/if0' AND x.type = '` + string(event.TypeCountersList) + `'), 0), 0))`

// listed is whether an interface stands in a list of counters.
const listed = `EXISTS (SELECT 1 FROM json_each(p."values", '$.index') i WHERE i.value = substr(s.entity, length(s.device) + length('/if/') + 1))`

const (
	stateColumnsFull  = `SELECT s.tenant, s.site, s.entity, ` + seenQuery + `, s.data, iif(s.type = '` + string(event.TypeCheck) + `', ` + runQuery + `, NULL)`
	stateColumnsSmall = `SELECT s.tenant, s.site, s.entity, 0, s.data, NULL` // what a row is found by

	stateShown = ` s.type = ? AND s.winner = 1 AND NOT EXISTS (SELECT 1 FROM devices d
		WHERE d.tenant = s.tenant AND d.site = s.site AND d.device = s.device AND d.d_removed = 1)`

	statesFrom = ` FROM states s WHERE` + stateShown
	statesAt   = ` FROM json_each(?) j CROSS JOIN states s
		WHERE s.tenant = j.value ->> 0 AND s.site = j.value ->> 1 AND s.entity = j.value ->> 2 AND s.` + notDeleted + ` AND` + stateShown
)

var stateKey = columns{"s.tenant", "s.site", "s.entity"}

// lookedAt is how many states one page of a narrowed list looks at before it ends,
// so that the answer comes soon.
const lookedAt = 1000

// statesOf reads the states of one type.
type statesOf struct {
	r   *Reader
	typ event.Type
}

// list returns one page of the states of one type.
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
	states := statesOf{r, typ}
	var rows []stateRow
	var next string // when all rows are on the page
	switch {
	case req.Status != "" || req.Search != "":
		rows, next, err = states.narrowed(ctx, req, after, limit, func(s stateRow) bool { return req.Matches(row(s)) })
	case req.Name != "":
		var found []store.Place
		if found, err = states.named(ctx, req); err == nil {
			found = slices.DeleteFunc(found, func(p store.Place) bool { return !p.Behind(after) })
			rows, err = states.at(ctx, stateColumnsFull, found)
		}
	default:
		rows, err = states.after(ctx, stateColumnsFull, req, after, limit+1)
	}
	if err != nil {
		return page, err
	}
	size := 0
	for i, s := range rows {
		if i == limit || size > store.PageBytes {
			page.Next = rows[i-1].place().Token()
			return page, nil
		}
		page.Items = append(page.Items, row(s))
		size += len(s.data) + 200
	}
	page.Next = next
	return page, nil
}

// narrowed looks through states for those that match, until it has enough of them
// or has looked at enough. next is where to look on.
func (s statesOf) narrowed(ctx context.Context, req api.ListRequest, after store.Place, limit int, match func(stateRow) bool) (rows []stateRow, next string, err error) {
	candidates, last, more, err := s.candidates(ctx, req, after, limit)
	if err != nil {
		return nil, "", err
	}
	var found []store.Place
	for _, row := range candidates {
		if !match(row) {
			continue
		}
		if found = append(found, row.place()); len(found) == limit {
			last, more = row.place(), true
			break
		}
	}
	if more {
		next = last.Token()
	}
	rows, err = s.at(ctx, stateColumnsFull, found)
	return rows, next, err
}

// candidates returns the next states to look at, with the columns that they are
// found by, where it ended, and whether there may be more. limit is how many are
// wanted of those that match.
func (s statesOf) candidates(ctx context.Context, req api.ListRequest, after store.Place, limit int) (rows []stateRow, last store.Place, more bool, err error) {
	most := lookedAt
	var found []store.Place
	switch {
	case s.typ == event.TypeCheck && req.Status != "" && req.Status != event.CheckOK:
		if req.Search == "" {
			most = limit // each of them matches
		}
		found = s.r.index.Checks(req, after, most)
	case req.Name != "":
		if found, err = s.named(ctx, req); err != nil {
			return nil, after, false, err
		}
		found = slices.DeleteFunc(found, func(p store.Place) bool { return !p.Behind(after) })
		found = found[:min(len(found), most)]
	default:
		rows, err = s.after(ctx, stateColumnsSmall, req, after, most)
		if len(rows) > 0 {
			after = rows[len(rows)-1].place()
		}
		return rows, after, len(rows) == most, err
	}
	if len(found) == 0 {
		return nil, after, false, nil
	}
	rows, err = s.at(ctx, stateColumnsSmall, found)
	return rows, found[len(found)-1], len(found) == most, err
}

// after returns the states of a request's scope that follow a place, tenant by
// tenant: the key of the table begins with tenant and type.
func (s statesOf) after(ctx context.Context, columns string, req api.ListRequest, after store.Place, limit int) (out []stateRow, err error) {
	tenants, err := s.r.live(ctx, req.Tenant, after.Tenant)
	if err != nil {
		return nil, err
	}
	for _, tenant := range tenants {
		own := req
		own.Tenant = tenant
		w, none := stateKey.span(own, after)
		if none {
			continue
		}
		args := append(append([]any{string(s.typ)}, w.args...), limit-len(out))
		rows, err := s.states(ctx, columns+statesFrom+w.text+" ORDER BY s.site, s.entity LIMIT ?", args...)
		if err != nil {
			return nil, err
		}
		if out = append(out, rows...); len(out) == limit {
			break
		}
	}
	return out, nil
}

// at returns the states at places, by tenant, site and id.
func (s statesOf) at(ctx context.Context, columns string, places []store.Place) ([]stateRow, error) {
	rows, err := s.states(ctx, columns+statesAt, keysOf(places), string(s.typ))
	slices.SortFunc(rows, func(a, b stateRow) int { return a.place().Compare(b.place()) })
	return rows, err
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

func (s statesOf) states(ctx context.Context, query string, args ...any) ([]stateRow, error) {
	rows, err := s.r.db.QueryContext(ctx, query, args...)
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
