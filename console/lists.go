package console

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"midplane/api"
	"midplane/fault"
)

// askWithin bounds one question to a door.
const askWithin = 10 * time.Second

// page is one page of any kind, its rows encoded.
type page = api.Page[json.RawMessage]

// kind is one thing that can be listed.
type kind struct {
	name  string
	allow []string // query parameters
	ask   func(ctx context.Context, src Source, p params, limit int, after string) (page, error)
}

var (
	plain  = []string{"tenant", "limit", "after"}
	placed = []string{"tenant", "site", "limit", "after"}
	logged = []string{"tenant", "site", "severity", "type", "entity", "since", "newest", "limit", "after"}
)

// kinds are those of "midplane get".
var kinds = []kind{
	{"tenants", plain, admin[api.Tenant](api.TenantList)},
	{"sites", placed, admin[api.Site](api.SiteList)},
	{"pollers", placed, admin[api.Poller](api.PollerList)},
	{"devices", placed, query[api.Device](api.DeviceList)},
	{"interfaces", placed, query[api.Interface](api.InterfaceList)},
	{"checks", placed, query[api.Check](api.CheckList)},
	{"events", logged, events},
	{"streams", plain, admin[api.Stream](api.StreamList)},
	{"schemas", plain, admin[api.Schema](api.SchemaList)},
}

type asker = func(ctx context.Context, src Source, p params, limit int, after string) (page, error)

func admin[T any](verb string) asker {
	return func(ctx context.Context, src Source, p params, limit int, after string) (page, error) {
		return rows[T](ctx, src.Admin, verb, p.list(limit, after))
	}
}

func query[T any](verb string) asker {
	return func(ctx context.Context, src Source, p params, limit int, after string) (page, error) {
		return rows[T](ctx, src.Query, verb, p.list(limit, after))
	}
}

func events(ctx context.Context, src Source, p params, limit int, after string) (page, error) {
	return rows[api.Event](ctx, src.Query, api.EventList, p.events(limit, after))
}

// rows asks for one page. Rows go through their type, so that a field is there
// whatever version answered, and a list is never null.
func rows[T any](ctx context.Context, do func(context.Context, string, any, any) error, verb string, req any) (page, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	var got api.Page[T]
	if err := do(ctx, verb, req, &got); err != nil {
		return page{}, err
	}
	out := page{Items: make([]json.RawMessage, len(got.Items)), Next: got.Next}
	for i := range got.Items {
		neverNull(&got.Items[i])
		row, err := json.Marshal(&got.Items[i])
		if err != nil {
			return page{}, fault.Wrap(fault.Other, err, "encode row %d of %s", i, verb)
		}
		out.Items[i] = row
	}
	return out, nil
}

// serve answers GET /api/v1/<kind>: one page as a document when limit or after
// is given, otherwise the whole list as an array.
func (c *Console) serve(k kind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, err := readParams(r.URL, time.Now(), k.allow...)
		if err != nil {
			writeError(w, err)
			return
		}
		first, err := k.ask(r.Context(), c.src, p, p.limit, p.after)
		switch {
		case err != nil:
			writeError(w, err)
		case p.paged:
			writeJSON(w, http.StatusOK, first)
		default:
			c.serveAll(w, r, k, p, first)
		}
	}
}

// serveAll writes page after page as it arrives, so that a long list never is
// in memory as a whole. When a later page fails the status is already sent: the
// connection is cut, and the half list cannot be taken for a whole one.
func (c *Console) serveAll(w http.ResponseWriter, r *http.Request, k kind, p params, got page) {
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
			got, err = k.ask(r.Context(), c.src, p, 0, after)
		}
		if err != nil {
			c.tele.Log.WarnContext(r.Context(), "a list was cut off", "kind", k.name, "error", err.Error())
			panic(http.ErrAbortHandler)
		}
	}
	if before == "[" {
		_, _ = w.Write([]byte("["))
	}
	_, _ = w.Write([]byte("]\n"))
}
