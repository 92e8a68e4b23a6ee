package sqlite

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
	"midplane/primary/store"
)

// pointBytes is what one point is as JSON, about.
const pointBytes = 56

// Device returns everything that is known of one device, without the line for
// people of its events. The error is NotFound.
func (r *Reader) Device(ctx context.Context, ref api.DeviceRef) (api.DeviceDetail, error) {
	d := api.DeviceDetail{Interfaces: []api.Interface{}, Checks: []api.Check{}, Metrics: []api.Series{}, Events: []api.Event{}}
	found, _, _, err := r.devices(ctx, api.ListRequest{}, []store.Place{{Tenant: ref.Tenant, Site: ref.Site, ID: ref.Device}})
	if err != nil {
		return d, err
	}
	if len(found) == 0 {
		return d, fault.WithHint(fault.New(fault.NotFound, "no device %s/%s/%s", ref.Tenant, ref.Site, ref.Device), "see: midplane get devices")
	}
	d.Device = found[0]
	if d.Inventory, err = r.inventory(ctx, ref); err != nil {
		return d, err
	}
	part := func(kind string) api.ListRequest {
		return api.ListRequest{Prefix: ref.Tenant + "/" + ref.Site + "/" + ref.Device + kind, Limit: store.DeviceParts}
	}
	ifs, err := r.Interfaces(ctx, part("/if/"))
	if err != nil {
		return d, err
	}
	for _, i := range ifs.Items {
		if i.Device == ref.Device {
			d.Interfaces = append(d.Interfaces, i)
		}
	}
	checks, err := r.Checks(ctx, part("/check/"))
	if err != nil {
		return d, err
	}
	for _, c := range checks.Items {
		if c.Device == ref.Device {
			d.Checks = append(d.Checks, c)
		}
	}
	if d.Metrics, err = r.seriesOf(ctx, ref); err != nil {
		return d, err
	}
	events, err := r.Events(ctx, api.EventRequest{Tenant: ref.Tenant, Site: ref.Site, Entity: ref.Device, Limit: store.DeviceEvents, Newest: true})
	if err != nil {
		return d, err
	}
	d.Events = events.Items
	for i := range d.Events {
		if len(d.Events[i].Data) > store.DeviceData {
			d.Events[i].Data = nil
		}
	}
	slices.Reverse(d.Events) // newest first
	return d, nil
}

func (r *Reader) inventory(ctx context.Context, ref api.DeviceRef) (json.RawMessage, error) {
	var data []byte
	err := r.db.QueryRowContext(ctx, "SELECT data FROM states WHERE tenant = ? AND type = ? AND site = ? AND entity = ? AND winner = 1",
		ref.Tenant, string(event.TypeInventory), ref.Site, ref.Device).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) || len(data) > store.MaxData {
		return nil, nil
	}
	return data, classify(err, "read the inventory")
}

// chain is the samples of the series in own that stand in recent.
const chain = `chain(series, time, "values", before) AS (
		SELECT own.id, r.time, r."values", r.before FROM own CROSS JOIN newest n ON n.series = own.id CROSS JOIN recent r ON r.id = n.sample
		UNION ALL SELECT c.series, r.time, r."values", r.before FROM chain c CROSS JOIN recent r ON r.id = c.before)`

const seriesQuery = `WITH RECURSIVE own(id, entity, type) AS (SELECT id, entity, type FROM series
		WHERE tenant = ?1 AND site = ?2 AND (entity = ?3 OR entity > ?3 || '/' AND entity < ?3 || '0')), ` + chain + `
	SELECT own.entity, own.type, p.time, p."values" FROM (SELECT series, time, "values" FROM chain
		UNION ALL SELECT s.series, s.time, s."values" FROM own CROSS JOIN samples s ON s.series = own.id) p JOIN own ON own.id = p.series` + seriesOrder

const seriesOrder = ` ORDER BY own.entity, own.type, own.id, p.time DESC`

// seriesOf returns the series of a device and its parts, each with its latest
// value and its last hour as far as an answer can carry it.
func (r *Reader) seriesOf(ctx context.Context, ref api.DeviceRef) ([]api.Series, error) {
	rows, err := r.db.QueryContext(ctx, seriesQuery, ref.Tenant, ref.Site, ref.Device)
	if err != nil {
		return nil, classify(err, "read metrics")
	}
	defer rows.Close()
	all := seriesList{at: map[seriesName]int{}}
	for rows.Next() {
		var t int64
		sm := fold.Sample{SeriesKey: fold.SeriesKey{Site: event.Site(ref.Site)}}
		if err := rows.Scan(&sm.Entity, &sm.Type, &t, &sm.Values); err != nil {
			return nil, classify(err, "read metrics")
		}
		if string(sm.Entity.Device()) != ref.Device {
			continue
		}
		sm.Time = timeOf(t)
		for _, one := range sm.Unpack() {
			if err := all.add(&one); err != nil {
				return nil, err
			}
		}
	}
	return all.done(), classify(rows.Err(), "read metrics")
}

type seriesName struct {
	entity event.Entity
	typ    event.Type
	name   string
}

// seriesList gathers series from samples, of which each type comes newest first.
type seriesList struct {
	at   map[seriesName]int
	list []api.Series
	size int
}

func (l *seriesList) add(sm *fold.Sample) error {
	var fields map[string]float64
	if err := json.Unmarshal(sm.Values, &fields); err != nil {
		return err
	}
	for name, v := range fields {
		if sm.Type == event.TypeSeen && name == "runs" {
			continue // counts for programs; how long the runs took is for people too
		}
		k := seriesName{sm.Entity, sm.Type, name}
		i, seen := l.at[k]
		if !seen {
			if len(l.list) == store.DeviceSeries {
				continue
			}
			i = len(l.list)
			l.at[k] = i
			l.list = append(l.list, api.Series{Entity: string(sm.Entity), Type: string(sm.Type), Name: name, Points: []api.Point{}})
		}
		s := &l.list[i]
		if sm.Time.After(s.Time) {
			s.Value, s.Time = v, sm.Time
		}
		if l.size < store.DevicePoints {
			s.Points = append(s.Points, api.Point{Time: sm.Time, Value: v})
			l.size += pointBytes
		}
	}
	return nil
}

// done returns the series in order, each with its points in order.
func (l *seriesList) done() []api.Series {
	for i := range l.list {
		s := &l.list[i]
		s.Points = slices.DeleteFunc(s.Points, func(p api.Point) bool { return p.Time.Before(s.Time.Add(-fold.Window)) })
		slices.SortStableFunc(s.Points, func(a, b api.Point) int { return a.Time.Compare(b.Time) })
	}
	slices.SortFunc(l.list, func(a, b api.Series) int {
		return slices.Compare([]string{a.Entity, a.Type, a.Name}, []string{b.Entity, b.Type, b.Name})
	})
	return append([]api.Series{}, l.list...)
}
