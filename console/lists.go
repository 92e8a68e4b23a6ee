package console

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"midplane/api"
	"midplane/fault"
)

// askWithin bounds one question to a door.
const askWithin = 10 * time.Second

// page is one page of any kind, its rows encoded.
type page = api.Page[json.RawMessage]

// views answers the routes that show what the two doors know.
type views struct {
	src       Source
	gate      *gate
	positions positions
	log       *slog.Logger
}

// kind is one thing that can be listed.
type kind struct {
	name  string
	allow []string // query parameters
	ask   func(ctx context.Context, v *views, p params, limit int, after string) (page, error)
}

var (
	plain     = []string{"tenant", "limit", "after"}
	placed    = []string{"tenant", "site", "limit", "after"}
	looked    = []string{"tenant", "site", "status", "poller", "q", "order", "limit", "after"}
	parts     = []string{"tenant", "site", "status", "q", "limit", "after"}
	accounted = []string{"tenant", "site", "producer", "limit", "after"}
	limited   = []string{"tenant", "producer", "limit", "after"}
	logged    = []string{"tenant", "site", "severity", "type", "entity", "since", "newest", "limit", "after"}
)

// kinds are those of "midplane get".
var kinds = []kind{
	{"tenants", plain, admin(api.TenantList, func(t api.Tenant) string { return t.ID })},
	{"sites", placed, admin(api.SiteList, func(s api.Site) string { return s.Tenant })},
	{"pollers", placed, admin(api.PollerList, func(p api.Poller) string { return p.Tenant })},
	{"devices", looked, query(api.DeviceList, func(d api.Device) string { return d.Tenant })},
	{"interfaces", parts, query(api.InterfaceList, func(i api.Interface) string { return i.Tenant })},
	{"checks", parts, query(api.CheckList, func(c api.Check) string { return c.Tenant })},
	{"events", logged, events},
	{"streams", plain, admin(api.StreamList, func(s api.Stream) string { return s.Tenant })},
	{"replicas", plain, admin(api.ReplicaList, func(r api.Replica) string { return r.Tenant })},
	{"ledger", accounted, ledger},
	{"limits", limited, admin(api.LimitList, func(l api.Limit) string { return l.Tenant })},
	{"schemas", plain, admin(api.SchemaList, func(s api.Schema) string { return cmp.Or(s.Tenant, everybodys) })},
}

type asker = func(ctx context.Context, v *views, p params, limit int, after string) (page, error)

// owner says whose a row is.
type owner[T any] = func(T) string

func admin[T any](verb string, of owner[T]) asker {
	return func(ctx context.Context, v *views, p params, limit int, after string) (page, error) {
		return rows(ctx, v, v.src.Admin, verb, p.list(limit, after), of)
	}
}

func query[T any](verb string, of owner[T]) asker {
	return func(ctx context.Context, v *views, p params, limit int, after string) (page, error) {
		return rows(ctx, v, v.src.Query, verb, p.list(limit, after), of)
	}
}

func events(ctx context.Context, v *views, p params, limit int, after string) (page, error) {
	after, err := v.positions.real(ctx, after)
	if err != nil {
		return page{}, err
	}
	got, err := rows(ctx, v, v.src.Query, api.EventList, p.events(limit, after), func(e api.Event) string { return e.Tenant })
	if err == nil {
		got.Next, err = v.positions.shown(ctx, got.Next)
	}
	return got, err
}

// ledger adds what pollers report of what they have not sent. Without an answer it is
// not known.
func ledger(ctx context.Context, v *views, p params, limit int, after string) (page, error) {
	do := func(ctx context.Context, verb string, req, resp any) error {
		if err := v.src.Query(ctx, verb, req, resp); err != nil {
			return err
		}
		pollers, err := api.All[api.Poller](ctx, v.src.Admin, api.PollerList, api.ListRequest{Tenant: p.tenant, Site: p.site})
		if got, ok := resp.(*api.Page[api.Account]); ok && err == nil {
			api.AddUnsent(got.Items, pollers)
		}
		return nil
	}
	return rows(ctx, v, do, api.LedgerList, p.list(limit, after), func(a api.Account) string { return a.Tenant })
}

// rows asks for one page. Rows go through their type, so that every field is
// there also when another version answered, and a list is never null.
func rows[T any](ctx context.Context, v *views, do func(context.Context, string, any, any) error, verb string, req any, of owner[T]) (page, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	var got api.Page[T]
	if err := do(ctx, verb, req, &got); err != nil {
		return page{}, err
	}
	out := page{Items: make([]json.RawMessage, 0, len(got.Items)), Next: got.Next, Total: got.Total}
	for i := range got.Items {
		if !mine(ctx, of(got.Items[i])) {
			out.Total = 0 // it counts others' rows
			continue
		}
		if err := v.positions.hide(ctx, &got.Items[i]); err != nil {
			return page{}, err
		}
		neverNull(&got.Items[i])
		row, err := json.Marshal(&got.Items[i])
		if err != nil {
			return page{}, fault.Wrap(fault.Other, err, "encode row %d of %s", i, verb)
		}
		out.Items = append(out.Items, row)
	}
	return out, nil
}

// serve answers GET /api/v1/<kind>: one page as a document when limit or after
// is given, otherwise the whole list as an array.
func (v *views) serve(k kind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, err := readParams(r.URL, time.Now(), k.allow...)
		if err == nil {
			err = v.gate.confine(r, &p.tenant)
		}
		if err != nil {
			writeError(w, err)
			return
		}
		first, err := k.ask(r.Context(), v, p, p.limit, p.after)
		switch {
		case err != nil:
			writeError(w, err)
		case p.paged:
			writeJSON(w, http.StatusOK, first)
		default:
			v.serveAll(w, r, k, p, first)
		}
	}
}

// serveAll writes page after page as it arrives, so that a long list never is
// in memory as a whole. When a later page fails the status is already sent: the
// connection is cut, and the half list cannot be taken for a whole one.
func (v *views) serveAll(w http.ResponseWriter, r *http.Request, k kind, p params, got page) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	before, after := "[", ""
	for {
		for _, row := range got.Items {
			if _, err := w.Write(append([]byte(before), row...)); err != nil {
				return // who asked is gone
			}
			before = ",\n"
		}
		if got.Next == "" || r.Method == http.MethodHead {
			break
		}
		err := error(fault.New(fault.Other, "the list of %s does not end: page %q follows itself", k.name, after))
		if got.Next != after {
			after = got.Next
			got, err = k.ask(r.Context(), v, p, 0, after)
		}
		if err != nil {
			v.log.WarnContext(r.Context(), "a list was cut off", "kind", k.name, "error", err.Error())
			panic(http.ErrAbortHandler)
		}
	}
	if before == "[" {
		_, _ = w.Write([]byte("["))
	}
	_, _ = w.Write([]byte("]\n"))
}
