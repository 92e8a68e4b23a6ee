package sqlite

import (
	"context"

	"midplane/api"
	"midplane/event"
	"midplane/primary/store"
)

// sitesQuery finds what is wrong in the network: one row for each of the first
// names of a site and kind, with how many there are of it.
const sitesQuery = `WITH bad (tenant, site, kind, name) AS (
		SELECT tenant, site, 'down', device FROM devices WHERE r_status = '` + event.StatusDown + `' AND coalesce(d_removed, 0) = 0
		UNION ALL
		SELECT s.tenant, s.site, json_extract(CAST(s.data AS TEXT), '$.status'), s.entity
			FROM (SELECT DISTINCT tenant FROM cursors) t CROSS JOIN states s ON s.tenant = t.tenant
			WHERE s.type = '` + string(event.TypeCheck) + `' AND s.winner = 1 AND json_valid(CAST(s.data AS TEXT)) AND NOT EXISTS (SELECT 1 FROM devices d
			WHERE d.tenant = s.tenant AND d.site = s.site AND d.device = s.device AND d.d_removed = 1)),
	placed AS (SELECT *, count(*) OVER w AS n, row_number() OVER (w ORDER BY name) AS place FROM bad
		WHERE kind IN ('down', '` + event.CheckCritical + `', '` + event.CheckWarning + `') AND tenant NOT IN (SELECT tenant FROM tenants WHERE deleted = 1)
		WINDOW w AS (PARTITION BY tenant, site, kind))
	SELECT tenant, site, kind, name, n FROM placed WHERE place <= ? ORDER BY tenant, site, kind, name`

// Sites returns, by tenant, the sites where a device is down or a check is not ok.
func (r *Reader) Sites(ctx context.Context) (map[string][]api.SiteReport, error) {
	rows, err := r.db.QueryContext(ctx, sitesQuery, store.NamesShown)
	if err != nil {
		return nil, classify(err, "look for what is down")
	}
	defer rows.Close()
	out := map[string][]api.SiteReport{}
	for rows.Next() {
		var tenant, site, kind, name string
		var n int
		if err := rows.Scan(&tenant, &site, &kind, &name, &n); err != nil {
			return nil, classify(err, "look for what is down")
		}
		list := out[tenant]
		if len(list) == 0 || list[len(list)-1].Site != site {
			list = append(list, api.SiteReport{Site: site, Down: none(), Critical: none(), Warning: none()})
			out[tenant] = list
		}
		last := &list[len(list)-1]
		found := map[string]*api.Found{"down": &last.Down, event.CheckCritical: &last.Critical, event.CheckWarning: &last.Warning}[kind]
		found.Count, found.Names = n, append(found.Names, name)
	}
	return out, classify(rows.Err(), "look for what is down")
}

func none() api.Found { return api.Found{Names: []string{}} }
