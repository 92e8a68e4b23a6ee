package sqlite

import (
	"context"
	"encoding/json"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/primary/store"
)

// Devices returns one page of devices, as store.Inventory says.
func (r *Reader) Devices(ctx context.Context, req api.ListRequest) (api.Page[api.Device], error) {
	page := api.Page[api.Device]{Items: []api.Device{}}
	limit, err := store.Limit(req.Limit)
	if err == nil {
		err = checkDevices(req)
	}
	if err != nil {
		return page, err
	}
	after, err := store.ParsePlace(req.After)
	if err != nil {
		return page, err
	}
	found, total := r.index.Devices(req, after, limit+1)
	page.Total = total
	if len(found) > limit {
		found = found[:limit]
		page.Next = found[limit-1].Token()
	}
	var read int
	if page.Items, _, read, err = r.devices(ctx, req, found); err == nil && read < len(found) {
		page.Next = found[read-1].Token()
	}
	return page, err
}

// DeviceChanges returns which devices have changed, as store.Inventory says.
func (r *Reader) DeviceChanges(ctx context.Context, req api.ChangesRequest) (api.Changes, error) {
	limit, err := store.Limit(req.Limit)
	if err == nil {
		err = checkDevices(req.ListRequest)
	}
	if err != nil {
		return api.Changes{}, err
	}
	for ; ; limit /= 2 {
		ch := r.index.Changes(req.ListRequest, req.Since, limit)
		items, gone, read, err := r.devices(ctx, req.ListRequest, ch.Items)
		if err == nil && read < len(ch.Items) && limit > 1 {
			continue // fewer of them fit into an answer
		}
		out := api.Changes{Position: ch.Position, Again: ch.Again, More: ch.More, Total: ch.Total, Items: items, Removed: []api.DeviceRef{}}
		for _, p := range append(ch.Removed, gone...) {
			out.Removed = append(out.Removed, api.DeviceRef{Tenant: p.Tenant, Site: p.Site, Device: p.ID})
		}
		return out, err
	}
}

func checkDevices(req api.ListRequest) error {
	if err := api.CheckStatus(req.Status, api.DeviceStatuses); err != nil {
		return err
	}
	if req.Order != "" && req.Order != api.OrderStatus {
		return fault.WithHint(fault.New(fault.Invalid, "order %q is not known", req.Order), "leave it out, or use %q", api.OrderStatus)
	}
	return nil
}

// deviceQuery reads the devices at places that the index found, and says which of
// them each row is. '0' follows '/', so the ranges are everything below
// "<device>/if/" and "<device>/check/".
const deviceQuery = `SELECT j.key, d.tenant, d.site, d.device,
	max(d.seen, coalesce((SELECT max(s.time) FROM states s WHERE s.tenant = d.tenant AND s.type = '` + string(event.TypeSeen) + `'
		AND s.site = d.site AND s.entity = d.device), 0)), ` + facetColumns + `,
	(SELECT count(*) FROM states s WHERE s.tenant = d.tenant AND s.type = '` + string(event.TypeInterface) + `' AND s.site = d.site
		AND s.entity > d.device || '/if/' AND s.entity < d.device || '/if0' AND s.winner = 1),
	(SELECT count(*) FROM states s WHERE s.tenant = d.tenant AND s.type = '` + string(event.TypeCheck) + `' AND s.site = d.site
		AND s.entity > d.device || '/check/' AND s.entity < d.device || '/check0' AND s.winner = 1)
	FROM json_each(?) j CROSS JOIN devices d
	WHERE d.tenant = j.value ->> 0 AND d.site = j.value ->> 1 AND d.device = j.value ->> 2 AND d.` + notDeleted

// devices returns the devices at places, in their order, as many as fit into an
// answer: those at the first places that it read. gone are the places among them where
// there is none that the request asks for any more: the database may be newer than what
// the index said.
func (r *Reader) devices(ctx context.Context, req api.ListRequest, places []store.Place) (out []api.Device, gone []store.Place, read int, err error) {
	rows := make([]*api.Device, len(places))
	err = r.each(ctx, deviceQuery, []any{keysOf(places)}, func(scan func(...any) error) error {
		var d api.Device
		var f facetRow
		var at int
		var seen int64
		if err := scan(append(append([]any{&at, &d.Tenant, &d.Site, &d.ID, &seen}, f.into()...), &d.Interfaces, &d.Checks)...); err != nil {
			return err
		}
		known := f.facets()
		d.Name, d.Address, d.Poller, d.Status = known.NameNow(d.ID), known.AddressNow(), known.PollerNow(), known.StatusNow()
		d.Message, d.Description = f.message, f.description
		d.LastSeen, d.Since = timePtr(seen), timePtr(f.since)
		if known.Shown() && req.Matches(d) {
			rows[at] = &d
		}
		return nil
	})
	out = []api.Device{}
	size := 0
	for i, d := range rows {
		switch {
		case d == nil:
			gone = append(gone, places[i])
		case size > store.PageBytes:
			return out, gone, i, err
		default:
			out = append(out, *d)
			size += len(d.Name) + len(d.Message) + len(d.Description) + 300
		}
	}
	return out, gone, len(places), err
}

// Interfaces returns one page of interfaces by tenant, site and id.
func (r *Reader) Interfaces(ctx context.Context, req api.ListRequest) (api.Page[api.Interface], error) {
	if req.Poller != "" {
		return api.Page[api.Interface]{Items: []api.Interface{}}, onlyDevices()
	}
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
	err := api.CheckStatus(req.Status, api.CheckStatuses)
	if req.Poller != "" {
		err = onlyDevices()
	}
	if err != nil {
		return api.Page[api.Check]{Items: []api.Check{}}, err
	}
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

func onlyDevices() error {
	return fault.WithHint(fault.New(fault.Invalid, "only devices are listed by poller"), "leave the poller out, or list devices")
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
