package sqlite

import (
	"context"
	"encoding/json"
	"slices"

	"midplane/api"
	"midplane/primary/store"
	"midplane/primary/store/index"
)

// Which ids a name stands for differs from site to site (api.IDs). There is no
// index over ids alone: the sites are found by jumping from one to the next in
// the key, and in each the few ids that the name can stand for.

const (
	statePlaces = `WITH RECURSIVE p (tenant, site) AS (
		SELECT tenant, (SELECT min(site) FROM states s WHERE s.tenant = c.tenant AND s.type = ?2) FROM (SELECT DISTINCT tenant FROM cursors) c WHERE ?1 IN ('', tenant)
		UNION ALL SELECT tenant, (SELECT min(site) FROM states s WHERE s.tenant = p.tenant AND s.type = ?2 AND s.site > p.site) FROM p WHERE site IS NOT NULL)
		SELECT tenant, site FROM p WHERE site IS NOT NULL`

	knownStates = `SELECT DISTINCT s.tenant, s.site, s.entity FROM json_each(?1) j CROSS JOIN states s
		WHERE s.tenant = j.value ->> 0 AND s.type = ?2 AND s.site = j.value ->> 1 AND s.entity = j.value ->> 2`
)

// named returns what of the entities with a state of the type a request's
// name stands for, in the request's scope, by tenant, site and id.
func (s statesOf) named(ctx context.Context, req api.ListRequest) ([]store.Place, error) {
	var keys []store.Place
	scope := index.NewScope(req)
	err := s.r.each(ctx, statePlaces, []any{req.Tenant, string(s.typ)}, func(scan func(...any) error) error {
		var p store.Place
		err := scan(&p.Tenant, &p.Site)
		for _, p.ID = range api.IDs(p.Tenant, p.Site, req.Name) {
			if scope.Has(p.Tenant, p.Site, p.ID) {
				keys = append(keys, p)
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var out []store.Place
	err = s.r.each(ctx, knownStates, []any{keysOf(keys), string(s.typ)}, func(scan func(...any) error) error {
		var p store.Place
		err := scan(&p.Tenant, &p.Site, &p.ID)
		out = append(out, p)
		return err
	})
	slices.SortFunc(out, func(a, b store.Place) int { return a.Compare(b) })
	return out, err
}

// each calls row for every row of a query.
func (r *Reader) each(ctx context.Context, query string, args []any, row func(scan func(...any) error) error) error {
	rows, err := r.db.QueryContext(ctx, query, args...)
	if err != nil {
		return classify(err, "read")
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return classify(err, "read")
		}
	}
	return classify(rows.Err(), "read")
}

// keysOf is the places as a query's parameter: a JSON array of keys.
func keysOf(places []store.Place) string {
	keys := make([][3]string, len(places))
	for i, p := range places {
		keys[i] = [3]string{p.Tenant, p.Site, p.ID}
	}
	list, _ := json.Marshal(keys) // strings only
	return string(list)
}
