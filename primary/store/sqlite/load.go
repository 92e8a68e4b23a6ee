package sqlite

import (
	"context"
	"database/sql"

	"midplane/event"
	"midplane/primary/store/index"
)

const notDeleted = "tenant NOT IN (SELECT tenant FROM tenants WHERE deleted = 1)"

// loadChecks goes tenant by tenant, since the key of the table begins with tenant
// and type.
const loadChecks = `SELECT s.tenant, s.site, s.entity, s.data
	FROM (SELECT DISTINCT tenant FROM cursors WHERE ` + notDeleted + `) t CROSS JOIN states s ON s.tenant = t.tenant
	WHERE s.type = '` + string(event.TypeCheck) + `' AND s.winner = 1`

// load fills the index. Nothing is written meanwhile.
func (r *Reader) load(ctx context.Context) error {
	err := r.each(ctx, "SELECT tenant FROM tenants WHERE deleted = 1", nil, func(scan func(...any) error) error {
		var tenant event.Tenant
		err := scan(&tenant)
		r.index.Tenant(tenant, true, false)
		return err
	})
	if err != nil {
		return err
	}
	// In the order of the index, which then has nothing to move.
	err = r.each(ctx, `SELECT tenant, site, device, `+facetColumns+` FROM devices
		WHERE (d_removed IS NOT NULL OR r_status IS NOT NULL OR i_name IS NOT NULL) AND `+notDeleted+` ORDER BY tenant, site, device`, nil,
		func(scan func(...any) error) error {
			var row index.Row
			var f facetRow
			err := scan(append([]any{&row.Tenant, &row.Site, &row.Device}, f.into()...)...)
			row.Facets, row.Message, row.Since, row.Description = f.facets(), f.message, timeOf(f.since), f.description
			r.index.Load(row)
			return err
		})
	if err != nil {
		return err
	}
	return r.each(ctx, loadChecks, nil, func(scan func(...any) error) error {
		var tenant event.Tenant
		var site event.Site
		var entity event.Entity
		var data sql.RawBytes
		if err := scan(&tenant, &site, &entity, &data); err != nil {
			return err
		}
		r.index.LoadCheck(tenant, site, entity, data)
		return nil
	})
}

// facetColumns are the facets of a device, and facetRow is what is read of them.
const facetColumns = `d_removed, coalesce(d_name, ''), coalesce(d_address, ''), coalesce(d_poller, ''),
	r_status, coalesce(r_address, ''), coalesce(r_message, ''), coalesce(r_since, 0), coalesce(r_producer, ''),
	i_name, coalesce(i_description, '')`

type facetRow struct {
	removed               sql.NullBool
	name, address, poller string
	status                sql.NullString
	from, message         string
	since                 int64
	producer              string
	sysName               sql.NullString
	description           string
}

func (f *facetRow) into() []any {
	return []any{&f.removed, &f.name, &f.address, &f.poller, &f.status, &f.from, &f.message, &f.since, &f.producer, &f.sysName, &f.description}
}

func (f *facetRow) facets() index.Facets {
	return index.Facets{
		Declared: f.removed.Valid, Removed: f.removed.Bool, Name: f.name, Address: f.address, Poller: f.poller,
		Reached: f.status.Valid, Status: f.status.String, From: f.from, Producer: f.producer,
		Described: f.sysName.Valid, SysName: f.sysName.String,
	}
}
