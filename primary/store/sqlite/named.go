package sqlite

import (
	"context"
	"encoding/json"

	"midplane/api"
	"midplane/event"
	"midplane/primary/store"
)

// Which ids a name stands for differs from site to site (api.IDs). There is no
// index over ids alone: the sites are found by jumping from one to the next in
// the key, and in each the few ids that the name can stand for.

const (
	devicePlaces = `WITH RECURSIVE p (tenant, site) AS (
		SELECT tenant, (SELECT min(site) FROM devices d WHERE d.tenant = c.tenant) FROM (SELECT DISTINCT tenant FROM cursors) c WHERE ?1 IN ('', tenant)
		UNION ALL SELECT tenant, (SELECT min(site) FROM devices d WHERE d.tenant = p.tenant AND d.site > p.site) FROM p WHERE site IS NOT NULL)
		SELECT tenant, site FROM p WHERE site IS NOT NULL`
	statePlaces = `WITH RECURSIVE p (tenant, site) AS (
		SELECT tenant, (SELECT min(site) FROM states s WHERE s.tenant = c.tenant AND s.type = ?2) FROM (SELECT DISTINCT tenant FROM cursors) c WHERE ?1 IN ('', tenant)
		UNION ALL SELECT tenant, (SELECT min(site) FROM states s WHERE s.tenant = p.tenant AND s.type = ?2 AND s.site > p.site) FROM p WHERE site IS NOT NULL)
		SELECT tenant, site FROM p WHERE site IS NOT NULL`

	knownDevices = `SELECT d.tenant, d.site, d.device FROM json_each(?1) j CROSS JOIN devices d
		WHERE d.tenant = j.value ->> 0 AND d.site = j.value ->> 1 AND d.device = j.value ->> 2`
	knownStates = `SELECT DISTINCT s.tenant, s.site, s.entity FROM json_each(?1) j CROSS JOIN states s
		WHERE s.tenant = j.value ->> 0 AND s.type = ?2 AND s.site = j.value ->> 1 AND s.entity = j.value ->> 2`
)

// devicesNamed returns what of the devices a request's name stands for.
func (r *Reader) devicesNamed(ctx context.Context, req api.ListRequest) ([]store.Place, error) {
	return r.named(ctx, req, devicePlaces, []any{req.Tenant}, knownDevices)
}

// statesNamed returns what of the entities with a state of a type a request's
// name stands for.
func (r *Reader) statesNamed(ctx context.Context, typ event.Type, req api.ListRequest) ([]store.Place, error) {
	return r.named(ctx, req, statePlaces, []any{req.Tenant, string(typ)}, knownStates, string(typ))
}

func (r *Reader) named(ctx context.Context, req api.ListRequest, places string, of []any, known string, more ...any) ([]store.Place, error) {
	var keys [][3]string
	err := r.each(ctx, places, of, func(scan func(...any) error) error {
		var p store.Place
		err := scan(&p.Tenant, &p.Site)
		for _, id := range api.IDs(p.Tenant, p.Site, req.Name) {
			keys = append(keys, [3]string{p.Tenant, p.Site, id})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	list, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	var out []store.Place
	err = r.each(ctx, known, append([]any{string(list)}, more...), func(scan func(...any) error) error {
		var p store.Place
		err := scan(&p.Tenant, &p.Site, &p.ID)
		out = append(out, p)
		return err
	})
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

// among narrows a query to these places. Their number is small.
func (c columns) among(places []store.Place) (w where) {
	keys := make([][3]string, len(places))
	for i, p := range places {
		keys[i] = [3]string{p.Tenant, p.Site, p.ID}
	}
	list, _ := json.Marshal(keys) // strings only
	w.and("("+c.tenant+", "+c.site+", "+c.id+") IN (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?))", string(list))
	return w
}
