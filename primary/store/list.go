package store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
)

// pageBytes is where a page ends although more rows were asked for: an answer
// must fit into one NATS message of 1 MiB.
const pageBytes = 512 << 10

// limitOf returns the page size that a request's Limit means.
func limitOf(n int) (int, error) {
	switch {
	case n < 0:
		return 0, fault.New(fault.Invalid, "limit %d is negative", n)
	case n == 0:
		return api.DefaultPage, nil
	}
	return min(n, api.MaxPage), nil
}

// place is where a page of a list by tenant, site and id ended.
type place struct{ tenant, site, id string }

func (p place) token() string {
	return base64.RawURLEncoding.EncodeToString([]byte(p.tenant + "\x00" + p.site + "\x00" + p.id))
}

func parsePlace(token string) (p place, err error) {
	if token == "" {
		return p, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	parts := strings.Split(string(b), "\x00")
	if err != nil || len(parts) != 3 {
		return p, fault.WithHint(fault.New(fault.Invalid, "%q is not where a page ended", token), `pass the "next" of the page before`)
	}
	return place{parts[0], parts[1], parts[2]}, nil
}

// Devices returns one page of devices by tenant, site and id. What was removed
// and what belongs to a deleted tenant is hidden.
func (s *Store) Devices(ctx context.Context, req api.ListRequest) (api.Page[api.Device], error) {
	page := api.Page[api.Device]{Items: []api.Device{}}
	limit, err := limitOf(req.Limit)
	if err != nil {
		return page, err
	}
	after, err := parsePlace(req.After)
	if err != nil {
		return page, err
	}
	where := " AND (tenant, site, device) > (?, ?, ?)"
	args := []any{after.tenant, after.site, after.id}
	if req.Tenant != "" {
		where, args = where+" AND tenant = ?", append(args, req.Tenant)
	}
	if req.Site != "" {
		where, args = where+" AND site = ?", append(args, req.Site)
	}
	page.Items, err = s.devices(ctx, where+" ORDER BY tenant, site, device LIMIT ?", append(args, limit+1)...)
	if err == nil && len(page.Items) > limit {
		page.Items = page.Items[:limit]
		last := page.Items[limit-1]
		page.Next = place{last.Tenant, last.Site, last.ID}.token()
	}
	return page, err
}

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

func (s *Store) devices(ctx context.Context, where string, args ...any) ([]api.Device, error) {
	rows, err := s.reads.QueryContext(ctx, deviceQuery+where, args...)
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
func (s *Store) Interfaces(ctx context.Context, req api.ListRequest) (api.Page[api.Interface], error) {
	return list(ctx, s, event.TypeInterface, req, func(r stateRow) api.Interface {
		var p event.Interface
		_ = json.Unmarshal(r.data, &p) // its schema was enforced, or the tenant chose "warn": show what there is
		device, _, index := split(r.entity)
		return api.Interface{
			ID: r.entity, Tenant: r.tenant, Site: r.site, Device: device, Index: first(p.Index, index), Name: p.Name, Alias: p.Alias,
			AdminStatus: p.AdminStatus, OperStatus: p.OperStatus, Speed: p.Speed, MAC: p.MAC, LastSeen: timePtr(r.seen),
		}
	})
}

// Checks returns one page of checks by tenant, site and id.
func (s *Store) Checks(ctx context.Context, req api.ListRequest) (api.Page[api.Check], error) {
	return list(ctx, s, event.TypeCheck, req, func(r stateRow) api.Check {
		var p event.Check
		_ = json.Unmarshal(r.data, &p) // as above
		device, _, name := split(r.entity)
		return api.Check{
			ID: r.entity, Tenant: r.tenant, Site: r.site, Device: device, Name: first(p.Name, name), Collector: p.Collector, Target: p.Target,
			Status: first(p.Status, event.CheckUnknown), Message: p.Message, Latency: p.Latency, NotAfter: p.NotAfter, LastSeen: timePtr(r.seen),
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
