package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/primary/store"
)

// End returns the last position of the event log.
func (r *Reader) End(ctx context.Context) (uint64, error) {
	var pos uint64
	err := r.db.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'").Scan(&pos)
	return pos, classify(err, "read the event log")
}

// Events returns one page of the event log, oldest first, without the line for
// people. Next is "" on the last page.
func (r *Reader) Events(ctx context.Context, req api.EventRequest) (api.Page[api.Event], error) {
	page := api.Page[api.Event]{Items: []api.Event{}}
	limit, err := store.Limit(req.Limit)
	if err != nil {
		return page, err
	}
	query, args, err := r.eventQuery(ctx, req)
	if err != nil {
		return page, err
	}
	order := " ORDER BY pos LIMIT ?"
	if req.Newest {
		order = " ORDER BY pos DESC LIMIT ?"
	}
	rows, err := r.db.QueryContext(ctx, query+order, append(args, limit+1)...)
	if err != nil {
		return page, classify(err, "read the event log")
	}
	defer rows.Close()
	size := 0
	for rows.Next() {
		if len(page.Items) == limit || size > store.PageBytes {
			if !req.Newest { // of the newest there is no further page
				page.Next = strconv.FormatUint(page.Items[len(page.Items)-1].Position, 10)
			}
			break
		}
		e, err := scanEvent(rows)
		if err != nil {
			return page, classify(err, "read the event log")
		}
		size += len(e.Data) + 400
		page.Items = append(page.Items, e)
	}
	if req.Newest {
		slices.Reverse(page.Items)
	}
	return page, classify(rows.Err(), "read the event log")
}

func scanEvent(rows *sql.Rows) (api.Event, error) {
	var e api.Event
	var level int
	var at, received int64
	var data []byte
	if err := rows.Scan(&e.Position, &e.Tenant, &e.Site, &e.Entity, &level, &e.Type, &e.ID, &at, &received, &e.Producer, &e.TraceID, &e.Seq, &data); err != nil {
		return e, err
	}
	e.Time, e.Received, e.Stream = timeOf(at), timeOf(received), event.StreamEvents
	if level >= 0 && level < len(event.Severities) {
		e.Severity = event.Severities[level]
	}
	if len(data) <= store.MaxData {
		e.Data = data
	}
	return e, nil
}

// eventQuery builds the filter. The index is named, since only we know which
// is narrow: without it SQLite may sort a tenant's whole log for one page.
func (r *Reader) eventQuery(ctx context.Context, req api.EventRequest) (string, []any, error) {
	from, err := r.eventsFrom(ctx, req)
	if err != nil {
		return "", nil, err
	}
	index := "NOT INDEXED"
	where, args := []string{"pos > ?"}, []any{int64(from)}
	and := func(cond string, values ...any) { where, args = append(where, cond), append(args, values...) }
	if req.Tenant != "" {
		index = "INDEXED BY events_tenant"
		and("tenant = ?", req.Tenant)
	}
	if req.Entity != "" {
		e := event.Entity(req.Entity)
		and("device = ?", string(e.Device()))
		if e.Device() != e {
			and("entity = ?", req.Entity)
		}
		if req.Tenant != "" {
			index = "INDEXED BY events_device"
		}
	}
	if req.Site != "" {
		and("site = ?", req.Site)
	}
	if req.Severity != "" {
		level := req.Severity.Level()
		if level < 0 {
			return "", nil, fault.WithHint(fault.New(fault.Invalid, "severity %q is not one of RFC 5424", string(req.Severity)),
				"emergency, alert, critical, error, warning, notice, info or debug")
		}
		and("severity <= ?", level)
	}
	if t := strings.TrimSuffix(req.Type, "."); t != "" {
		and("(type = ? OR type >= ? AND type < ?)", t, t+".", t+"/") // '/' follows '.'
	}
	if req.Since != nil {
		and("time >= ?", req.Since.UnixNano())
	}
	return `SELECT pos, tenant, site, entity, severity, type, id, time, received, producer, trace, stream_seq, data FROM events ` +
		index + ` WHERE tenant NOT IN (SELECT tenant FROM tenants WHERE deleted = 1) AND ` + strings.Join(where, " AND "), args, nil
}

// eventsFrom returns the position after which to look.
func (r *Reader) eventsFrom(ctx context.Context, req api.EventRequest) (from uint64, err error) {
	switch req.After {
	case "":
	case store.AfterNow:
		return r.End(ctx)
	default:
		if from, err = strconv.ParseUint(req.After, 10, 63); err != nil {
			return 0, fault.WithHint(fault.New(fault.Invalid, "%q is not a position of the event log", req.After),
				`pass the "next" of the page before, or "now"`)
		}
	}
	if req.Since != nil {
		var before uint64
		err := r.db.QueryRowContext(ctx, "SELECT coalesce((SELECT pos FROM folded WHERE at < ? ORDER BY at DESC, pos DESC LIMIT 1), 0)",
			req.Since.Add(-store.Skew).UnixNano()).Scan(&before)
		if err != nil {
			return 0, classify(err, "read the event log")
		}
		from = max(from, before)
	}
	return from, nil
}
