package sqlite

import (
	"context"
	"encoding/json"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/primary/store"
)

// Devices returns one page of devices by tenant, site and id. What was removed
// and what belongs to a deleted tenant is hidden.
func (r *Reader) Devices(ctx context.Context, req api.ListRequest) (api.Page[api.Device], error) {
	page := api.Page[api.Device]{Items: []api.Device{}}
	limit, err := store.Limit(req.Limit)
	if err != nil {
		return page, err
	}
	after, err := store.ParsePlace(req.After)
	if err != nil {
		return page, err
	}
	w, none := deviceColumns.span(req, after)
	if none {
		return page, nil
	}
	if req.Name != "" {
		found, err := r.devicesNamed(ctx, req)
		if err != nil || len(found) == 0 {
			return page, err
		}
		w.add(deviceColumns.among(found))
	}
	page.Items, err = r.devices(ctx, w.text+" ORDER BY tenant, site, device LIMIT ?", append(w.args, limit+1)...)
	if err == nil && len(page.Items) > limit {
		page.Items = page.Items[:limit]
		last := page.Items[limit-1]
		page.Next = store.Place{Tenant: last.Tenant, Site: last.Site, ID: last.ID}.Token()
	}
	return page, err
}

var deviceColumns = columns{"tenant", "site", "device"}

// deviceQuery hides what is not (or no longer) a device. '0' follows '/', so
// the ranges are everything below "<device>/if/" and "<device>/check/".
const deviceQuery = `SELECT tenant, site, device, seen, coalesce(d_name, ''), coalesce(d_address, ''), coalesce(d_poller, ''),
	coalesce(r_status, ''), coalesce(r_address, ''), coalesce(r_message, ''), coalesce(r_since, 0), coalesce(r_producer, ''),
	coalesce(i_name, ''), coalesce(i_description, ''),
	(SELECT count(*) FROM states s WHERE s.tenant = d.tenant AND s.type = '` + string(event.TypeInterface) + `' AND s.site = d.site
		AND s.entity > d.device || '/if/' AND s.entity < d.device || '/if0' AND s.winner = 1),
	(SELECT count(*) FROM states s WHERE s.tenant = d.tenant AND s.type = '` + string(event.TypeCheck) + `' AND s.site = d.site
		AND s.entity > d.device || '/check/' AND s.entity < d.device || '/check0' AND s.winner = 1)
	FROM devices d WHERE coalesce(d_removed, 0) = 0 AND (d_removed IS NOT NULL OR r_status IS NOT NULL OR i_name IS NOT NULL)
	AND tenant NOT IN (SELECT tenant FROM tenants WHERE deleted = 1)`

func (r *Reader) devices(ctx context.Context, where string, args ...any) ([]api.Device, error) {
	rows, err := r.db.QueryContext(ctx, deviceQuery+where, args...)
	if err != nil {
		return []api.Device{}, classify(err, "list devices")
	}
	defer rows.Close()
	out := []api.Device{}
	for rows.Next() {
		var d api.Device
		var seen, since int64
		var dName, dAddress, dPoller, rAddress, rProducer, iName string
		if err := rows.Scan(&d.Tenant, &d.Site, &d.ID, &seen, &dName, &dAddress, &dPoller, &d.Status, &rAddress, &d.Message, &since,
			&rProducer, &iName, &d.Description, &d.Interfaces, &d.Checks); err != nil {
			return out, classify(err, "list devices")
		}
		if d.Status != event.StatusUp && d.Status != event.StatusDown {
			d.Status = event.StatusUnknown
		}
		d.Name, d.Address, d.Poller = first(dName, iName, d.ID), first(dAddress, rAddress), first(dPoller, rProducer)
		d.LastSeen, d.Since = timePtr(seen), timePtr(since)
		out = append(out, d)
	}
	return out, classify(rows.Err(), "list devices")
}

// Interfaces returns one page of interfaces by tenant, site and id.
func (r *Reader) Interfaces(ctx context.Context, req api.ListRequest) (api.Page[api.Interface], error) {
	return list(ctx, r, event.TypeInterface, req, func(s stateRow) api.Interface {
		var p event.Interface
		_ = json.Unmarshal(s.data, &p) // its schema was enforced, or the tenant chose "warn": show what there is
		device, _, index := split(s.entity)
		return api.Interface{
			ID: s.entity, Tenant: s.tenant, Site: s.site, Device: device, Index: first(p.Index, index), Name: p.Name, Alias: p.Alias,
			AdminStatus: p.AdminStatus, OperStatus: p.OperStatus, Speed: p.Speed, MAC: p.MAC, LastSeen: timePtr(s.seen),
		}
	})
}

// Checks returns one page of checks by tenant, site and id.
func (r *Reader) Checks(ctx context.Context, req api.ListRequest) (api.Page[api.Check], error) {
	return list(ctx, r, event.TypeCheck, req, func(s stateRow) api.Check {
		var p event.Check
		_ = json.Unmarshal(s.data, &p) // as above
		if s.run != nil {              // the state has not changed since, and was not sent again
			var run event.CheckRuns
			_ = json.Unmarshal(s.run, &run) // fold wrote it
			p.Latency = run.Latency
		}
		device, _, name := split(s.entity)
		return api.Check{
			ID: s.entity, Tenant: s.tenant, Site: s.site, Device: device, Name: first(p.Name, name), Collector: p.Collector, Target: p.Target,
			Status: first(p.Status, event.CheckUnknown), Message: p.Message, Latency: p.Latency, NotAfter: p.NotAfter, LastSeen: timePtr(s.seen),
		}
	})
}

func split(entity string) (device, kind, id string) {
	e := event.Entity(entity)
	kind, id = e.Part()
	return string(e.Device()), kind, id
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func timePtr(n int64) *time.Time {
	if n == 0 {
		return nil
	}
	t := timeOf(n)
	return &t
}
