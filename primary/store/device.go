package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/primary/fold"
)

const (
	deviceEvents = 20        // newest events of a device
	deviceParts  = 500       // interfaces and checks of a device, each
	deviceSeries = 400       // series of a device
	pointsBytes  = 256 << 10 // all points of a device; the rest shows its latest value only
	pointBytes   = 56        // of one point as JSON, about
)

// Device returns everything that is known of one device, without the line for
// people of its events. The error is NotFound.
func (s *Store) Device(ctx context.Context, ref api.DeviceRef) (api.DeviceDetail, error) {
	d := api.DeviceDetail{Interfaces: []api.Interface{}, Checks: []api.Check{}, Metrics: []api.Series{}, Events: []api.Event{}}
	found, err := s.devices(ctx, " AND tenant = ? AND site = ? AND device = ?", ref.Tenant, ref.Site, ref.Device)
	if err != nil {
		return d, err
	}
	if len(found) == 0 {
		return d, fault.WithHint(fault.New(fault.NotFound, "no device %s/%s/%s", ref.Tenant, ref.Site, ref.Device), "see: midplane get devices")
	}
	d.Device = found[0]
	if d.Inventory, err = s.inventory(ctx, ref); err != nil {
		return d, err
	}
	// Its parts stand together in the lists: read on from the device itself.
	part := func(kind string) api.ListRequest {
		return api.ListRequest{Tenant: ref.Tenant, Site: ref.Site, Limit: deviceParts, After: place{ref.Tenant, ref.Site, ref.Device + kind}.token()}
	}
	ifs, err := s.Interfaces(ctx, part("/if/"))
	if err != nil {
		return d, err
	}
	for _, i := range ifs.Items {
		if i.Device == ref.Device {
			d.Interfaces = append(d.Interfaces, i)
		}
	}
	checks, err := s.Checks(ctx, part("/check/"))
	if err != nil {
		return d, err
	}
	for _, c := range checks.Items {
		if c.Device == ref.Device {
			d.Checks = append(d.Checks, c)
		}
	}
	if d.Metrics, err = s.seriesOf(ctx, ref); err != nil {
		return d, err
	}
	events, err := s.Events(ctx, api.EventRequest{Tenant: ref.Tenant, Site: ref.Site, Entity: ref.Device, Limit: deviceEvents, Newest: true})
	if err != nil {
		return d, err
	}
	d.Events = events.Items
	for i := range d.Events {
		if len(d.Events[i].Data) > 4<<10 {
			d.Events[i].Data = nil
		}
	}
	slices.Reverse(d.Events) // newest first
	return d, nil
}

func (s *Store) inventory(ctx context.Context, ref api.DeviceRef) (json.RawMessage, error) {
	var data []byte
	err := s.reads.QueryRowContext(ctx, "SELECT data FROM states WHERE tenant = ? AND type = ? AND site = ? AND entity = ? AND winner = 1",
		ref.Tenant, string(event.TypeInventory), ref.Site, ref.Device).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) || len(data) > maxData {
		return nil, nil
	}
	return data, classify(err, "read the inventory")
}

// seriesOf returns the series of a device and its parts, each with its latest
// value and its last hour as far as an answer can carry it.
func (s *Store) seriesOf(ctx context.Context, ref api.DeviceRef) ([]api.Series, error) {
	out := []api.Series{}
	rows, err := s.reads.QueryContext(ctx, `SELECT entity, type, time, "values" FROM series JOIN samples ON series = id
		WHERE tenant = ? AND site = ? AND (entity = ?3 OR entity > ?3 || '/' AND entity < ?3 || '0')
		ORDER BY entity, type, id, time DESC`, ref.Tenant, ref.Site, ref.Device)
	if err != nil {
		return out, classify(err, "read metrics")
	}
	defer rows.Close()
	type key struct{ entity, typ, name string }
	at := map[key]int{}
	newest := map[key]int64{}
	size := 0
	for rows.Next() {
		var entity, typ string
		var t int64
		var values []byte
		if err := rows.Scan(&entity, &typ, &t, &values); err != nil {
			return out, classify(err, "read metrics")
		}
		if string(event.Entity(entity).Device()) != ref.Device {
			continue
		}
		var fields map[string]float64
		if err := json.Unmarshal(values, &fields); err != nil {
			return out, err
		}
		for name, v := range fields {
			k := key{entity, typ, name}
			i, seen := at[k]
			if !seen {
				if len(out) == deviceSeries {
					continue
				}
				i = len(out)
				at[k], newest[k] = i, t
				out = append(out, api.Series{Entity: entity, Type: typ, Name: name, Value: v, Time: timeOf(t), Points: []api.Point{}})
			}
			if size < pointsBytes && t >= newest[k]-fold.Window.Nanoseconds() {
				out[i].Points = append(out[i].Points, api.Point{Time: timeOf(t), Value: v})
				size += pointBytes
			}
		}
	}
	for i := range out {
		slices.Reverse(out[i].Points)
	}
	slices.SortFunc(out, func(a, b api.Series) int {
		return slices.Compare([]string{a.Entity, a.Type, a.Name}, []string{b.Entity, b.Type, b.Name})
	})
	return out, classify(rows.Err(), "read metrics")
}
