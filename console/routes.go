package console

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"midplane/console/access"
	"midplane/fault"
)

// need is what a request must come with to be answered.
type need int

// A route that declares no need is closed to all.
const (
	closed  need = iota
	anyone       // no identity: says nothing of what is watched
	reader       // a viewer; one confined to a tenant gets that tenant's part
	fleet        // a viewer of all tenants
	scraper      // the same, or a metrics token
	actor        // an operator
	manager      // an admin
)

// String says it for the documentation.
func (n need) String() string {
	switch n {
	case anyone:
		return "everybody"
	case reader:
		return "viewer; a confined one gets its tenant's part"
	case fleet:
		return "viewer of all tenants"
	case scraper:
		return "viewer of all tenants, metrics token"
	case actor:
		return "operator"
	case manager:
		return "admin"
	}
	return "no one"
}

// Route is a line of the documentation.
type Route struct{ Method, Path, Needs string }

// Routes lists what a console answers, but for the page's files.
func Routes() ([]Route, error) {
	c := Console{cfg: Config{Telemetry: http.NotFoundHandler()}}
	table, err := c.table()
	var out []Route
	for _, rt := range table {
		if !strings.HasPrefix(rt.path, "/static/") {
			out = append(out, Route{rt.method, strings.TrimSuffix(rt.path, "{$}"), rt.need.String()})
		}
	}
	slices.SortFunc(out, func(a, b Route) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(b.Method, a.Method))
	})
	return out, err
}

// grants says whether an identity has what is needed.
func (n need) grants(who access.Identity) bool {
	whole := who.Tenant == ""
	switch n {
	case anyone:
		return true
	case reader:
		return who.Role == access.Viewer || who.Role == access.Operator || who.Role == access.Admin
	case fleet:
		return whole && reader.grants(who)
	case scraper:
		return whole && (who.Role == access.Metrics || reader.grants(who))
	case actor:
		return whole && (who.Role == access.Operator || who.Role == access.Admin)
	case manager:
		return whole && who.Role == access.Admin
	}
	return false
}

// route is one thing that can be asked. GET answers HEAD too.
type route struct {
	method, path string
	need         need
	serve        http.HandlerFunc
	passive      bool // keeps no session alive: a page asks it by itself, for ever
}

// table lists every route. What is not in it does not exist.
func (c *Console) table() ([]route, error) {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	out := []route{
		{method: get, path: "/api/v1/session", need: reader, serve: c.logins.serveSession},
		{method: post, path: "/api/v1/session", need: anyone, serve: c.logins.serveLogin},
		{method: post, path: "/api/v1/session/link", need: anyone, serve: c.logins.serveLink},
		{method: post, path: "/api/v1/session/password", need: reader, serve: c.logins.servePassword},
		{method: del, path: "/api/v1/session", need: reader, serve: c.logins.serveLogout},
		{method: get, path: "/api/v1/sessions", need: reader, serve: c.logins.serveSessions},
		{method: del, path: "/api/v1/sessions/{id}", need: reader, serve: c.logins.serveEndSession},
		{method: get, path: "/api/v1/devices/changes", need: reader, serve: c.views.serveChanges},
		{method: get, path: "/api/v1/devices/{tenant}/{site}/{device}", need: reader, serve: c.views.serveDevice},
		{method: get, path: "/api/v1/status", need: reader, serve: c.views.serveStatus},
		{method: get, path: "/api/v1/events/stream", need: reader, serve: c.live.serveStream, passive: true},
	}
	for _, k := range kinds {
		out = append(out, route{method: get, path: "/api/v1/" + k.name, need: reader, serve: c.views.serve(k)})
	}
	if t := c.cfg.Telemetry; t != nil {
		out = append(out,
			route{method: get, path: "/metrics", need: scraper, serve: t.ServeHTTP},
			route{method: get, path: "/healthz", need: anyone, serve: t.ServeHTTP},
			route{method: get, path: "/readyz", need: anyone, serve: c.serveReady},
			route{method: get, path: "/version", need: reader, serve: t.ServeHTTP},
		)
	}
	page, err := pageRoutes()
	return append(out, page...), err
}

func (c *Console) routes() (http.Handler, error) {
	table, err := c.table()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	byPath := map[string]map[string]route{}
	for _, rt := range table {
		if byPath[rt.path] == nil {
			byPath[rt.path] = map[string]route{}
			mux.HandleFunc(rt.path, c.gate.dispatch(byPath[rt.path]))
		}
		byPath[rt.path][rt.method] = rt
	}
	mux.HandleFunc("/", notThere)
	return c.watch(c.guard(mux))
}

// dispatch finds the route of a method and lets in a request that may ask it.
func (g *gate) dispatch(methods map[string]route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		rt, ok := methods[method]
		if !ok {
			allow := []string{}
			for m := range methods {
				if allow = append(allow, m); m == http.MethodGet {
					allow = append(allow, http.MethodHead)
				}
			}
			slices.Sort(allow)
			w.Header().Set("Allow", strings.Join(allow, ", "))
			writeStatus(w, http.StatusMethodNotAllowed, fault.WithHint(
				fault.New(fault.Invalid, "method %s is not allowed", r.Method), "use %s", strings.Join(allow, " or ")))
			return
		}
		g.enter(w, r, rt)
	}
}

func notThere(w http.ResponseWriter, r *http.Request) {
	writeError(w, fault.WithHint(fault.New(fault.NotFound, "nothing is at %s", r.URL.Path),
		"the page is at /, the API at /api/v1/; a slash inside a device's id is written %%2F"))
}
