package console

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"midplane/console/access"
	"midplane/telemetry"
)

// matrix says what every route answers: without an identity, and to the tokens of admin, operator, viewer, a viewer of acme, a viewer of globex, and
// metrics. Where a placeholder names a tenant, it is acme.
var matrix = map[string][7]int{
	"GET /api/v1/session":                          {401, 200, 200, 200, 200, 200, 403},
	"POST /api/v1/session":                         {400, 400, 400, 400, 400, 400, 400}, // without a body; open to all
	"POST /api/v1/session/link":                    {400, 400, 400, 400, 400, 400, 400},
	"POST /api/v1/session/password":                {401, 400, 400, 400, 400, 400, 403}, // a token has no password
	"DELETE /api/v1/session":                       {401, 400, 400, 400, 400, 400, 403}, // nor a session
	"GET /api/v1/sessions":                         {401, 200, 200, 200, 200, 200, 403},
	"DELETE /api/v1/sessions/{id}":                 {401, 404, 404, 404, 404, 404, 403},
	"GET /api/v1/tenants":                          {401, 200, 200, 200, 200, 200, 403},
	"GET /api/v1/sites":                            {401, 200, 200, 200, 200, 200, 403},
	"GET /api/v1/pollers":                          {401, 200, 200, 200, 200, 200, 403},
	"GET /api/v1/devices":                          {401, 200, 200, 200, 200, 200, 403},
	"GET /api/v1/interfaces":                       {401, 200, 200, 200, 200, 200, 403},
	"GET /api/v1/checks":                           {401, 200, 200, 200, 200, 200, 403},
	"GET /api/v1/events":                           {401, 200, 200, 200, 200, 200, 403},
	"GET /api/v1/streams":                          {401, 200, 200, 200, 200, 200, 403},
	"GET /api/v1/ledger":                           {401, 200, 200, 200, 200, 200, 403},
	"GET /api/v1/replicas":                         {401, 200, 200, 200, 200, 200, 403},
	"GET /api/v1/limits":                           {401, 200, 200, 200, 200, 200, 403},
	"GET /api/v1/schemas":                          {401, 200, 200, 200, 200, 200, 403},
	"GET /api/v1/devices/changes":                  {401, 200, 200, 200, 200, 200, 403},
	"GET /api/v1/devices/{tenant}/{site}/{device}": {401, 200, 200, 200, 200, 403, 403},
	"GET /api/v1/status":                           {401, 200, 200, 200, 200, 200, 403},
	"GET /api/v1/events/stream":                    {401, 200, 200, 200, 200, 200, 403},
	"GET /metrics":                                 {401, 200, 200, 200, 403, 403, 200},
	"GET /version":                                 {401, 200, 200, 200, 200, 200, 403},
	"GET /healthz":                                 {200, 200, 200, 200, 200, 200, 200},
	"GET /readyz":                                  {200, 200, 200, 200, 200, 200, 200},
	"GET /{$}":                                     {200, 200, 200, 200, 200, 200, 200},
	"GET /static/":                                 {200, 200, 200, 200, 200, 200, 200}, // every file
}

var columns = []string{"", "admin", "operator", "viewer", "viewer-acme", "viewer-globex", "metrics"}

// sample puts values into the placeholders of a path.
var sample = strings.NewReplacer("{tenant}", "acme", "{site}", "syd", "{device}", "r1", "{id}", "nothing", "{$}", "")

func newConsole(t *testing.T, p *people, src Source, change ...func(*Config)) *Console {
	t.Helper()
	cfg := Config{Access: p.keeper, Version: "1.2.3", Telemetry: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"checks":"of every tenant"}`)
	})}
	for _, f := range change {
		f(&cfg)
	}
	c, err := New(cfg, src, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestEveryRouteForEverybody holds every route that is registered against the
// matrix; a route that is not in it fails.
func TestEveryRouteForEverybody(t *testing.T) {
	p := newPeople(t)
	url := open(t, Config{Access: p.keeper, Telemetry: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}, newFake(), quick)
	c := newConsole(t, p, newFake())
	table, err := c.table()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, rt := range table {
		name := rt.method + " " + rt.path
		if strings.HasPrefix(rt.path, "/static/") {
			name = "GET /static/"
		}
		seen[name] = true
		want, ok := matrix[name]
		if !ok {
			t.Errorf("%s is not in the matrix: add who may ask it", name)
			continue
		}
		if rt.need == closed {
			t.Errorf("%s declares no need", name)
		}
		for i, who := range columns {
			status, h, body := ask(t, url+sample.Replace(rt.path), func(r *http.Request) {
				r.Method = rt.method
				if rt.passive {
					r.Method = http.MethodHead // the stream does not end
				}
				if rt.method == http.MethodPost {
					r.Header.Set("Content-Type", "application/json")
				}
				anonymous(r)
				if who != "" {
					withToken(p.tokens[who])(r)
				}
			})
			if status != want[i] {
				t.Errorf("%s for %q: %d, want %d: %s", name, who, status, want[i], body)
			}
			if (status == 401) != (h.Get("WWW-Authenticate") != "") {
				t.Errorf("%s for %q: %d with WWW-Authenticate %q", name, who, status, h.Get("WWW-Authenticate"))
			}
		}
	}
	for name := range matrix {
		if !seen[name] {
			t.Errorf("the matrix has %s, which is no route", name)
		}
	}
	for _, path := range []string{"/api/v1/nothing", "/api/", "/debug/pprof/", "/../etc/passwd", "/static/../page.html", "/static/page.html"} {
		if status, _, body := ask(t, url+path, anonymous); status != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// What a need grants, for every identity there can be.
func TestNeeds(t *testing.T) {
	for n, want := range map[need]string{
		closed: "000000", anyone: "111111", reader: "111110", fleet: "111000", scraper: "111001", actor: "110000", manager: "100000", manager + 1: "000000",
	} {
		got := ""
		for _, g := range grants {
			if n.grants(access.Identity{Role: g.role, Tenant: g.tenant}) {
				got += "1"
			} else {
				got += "0"
			}
		}
		// grants has two confined viewers, at 3 and 4
		if want = want[:3] + strings.Repeat(want[3:4], 1) + want[4:]; got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
		if n != anyone && n.grants(access.Identity{}) {
			t.Errorf("%d is granted without an identity", n)
		}
	}
}

// A route that declares no need is closed to all; one that an operator may use
// is not a viewer's.
func TestDenyByDefault(t *testing.T) {
	p := newPeople(t)
	c := newConsole(t, p, newFake())
	for _, tc := range []struct {
		need need
		who  string
		want int
	}{{closed, "admin", 403}, {actor, "viewer", 403}, {actor, "viewer-acme", 403}, {actor, "operator", 200}, {manager, "operator", 403}, {manager, "admin", 200}, {actor, "", 401}} {
		w := record(c.gate.dispatch(map[string]route{"POST": {method: "POST", need: tc.need, serve: func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, 200, done{true}) }}}),
			request(t, "POST", "/", `{}`, withToken(p.tokens[tc.who])))
		if w.Code != tc.want {
			t.Errorf("need %d for %q: %d, want %d", tc.need, tc.who, w.Code, tc.want)
		}
	}
}

func TestReadyzSaysLittle(t *testing.T) {
	p := newPeople(t)
	down := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Inside", "x")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "tenant globex is slow")
	})
	url := open(t, Config{Access: p.keeper, Telemetry: down}, newFake())
	for _, who := range []string{"", "viewer-acme", "metrics"} {
		status, h, body := ask(t, url+"/readyz", withToken(p.tokens[who]))
		if status != 503 || body != `{"status":"not-ready"}`+"\n" || h.Get("X-Inside") != "" {
			t.Errorf("%q: %d %s", who, status, body)
		}
	}
	if status, _, body := ask(t, url+"/readyz", withToken(p.tokens["viewer"])); status != 503 || !strings.Contains(body, "globex") {
		t.Errorf("viewer: %d %s", status, body)
	}
}

// leaky ignores what it is asked for and answers with what is of two tenants.
type leaky struct{ *fake }

func (l leaky) Admin(_ context.Context, verb string, _, resp any) error { return leak(verb, resp) }
func (l leaky) Query(_ context.Context, verb string, _, resp any) error { return leak(verb, resp) }

func leak(verb string, resp any) error {
	body := map[string]string{
		"device.changes": `{"position":"db.7777777777","total":7777777777,"items":[{"id":"globex-1","tenant":"globex"},{"id":"acme-1","tenant":"acme"}],"removed":[{"device":"globex-2","tenant":"globex"},{"device":"acme-2","tenant":"acme"},{"device":"globex-3","tenant":""}]}`,
		"device.list":    `{"total":7777777777,"items":[{"id":"globex-1","tenant":"globex"},{"id":"acme-1","tenant":"acme"},{"id":"globex-2","tenant":""}]}`,
		"device.get":     `{"device":{"id":"globex-r1","tenant":"globex"}}`,
		"node.status":    `{"nodes":[{"id":"n1","live":true,"tenants":7777777777,"revision":7777777777,"version":"globex"}],"leader":"globex","revision":7777777777,"problems":[{"tenant":"globex","message":"globex"},{"message":"globex is slow"},{"tenant":"acme","message":"acme is slow"}],"primaries":[{"id":"globex"}]}`,
		"primary.status": `{"name":"p1","version":"globex","tenants":[{"tenant":"globex"},{"tenant":"acme"}],"alarms":[{"message":"globex lost"}]}`,
		"tenant.list":    `{"items":[{"id":"globex","tenant":"globex"},{"id":"acme","tenant":"acme"}]}`,
	}[verb]
	if body == "" { // rows of both, and one without an owner
		body = `{"items":[{"id":"globex-1","tenant":"globex","producer":"globex-1","position":1},{"id":"acme-1","tenant":"acme","producer":"acme-1","position":2},{"id":"globex-2","tenant":"","entity":"globex"}]}`
	}
	return json.NewDecoder(bytes.NewReader([]byte(body))).Decode(resp)
}

// TestConfinedViewerSeesNothingElse: by no path, no parameter and no stream
// does a viewer of acme get anything of globex, even when a door answers more
// than it was asked.
func TestConfinedViewerSeesNothingElse(t *testing.T) {
	p := newPeople(t)
	src := newFake()
	url := open(t, Config{Access: p.keeper, Telemetry: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "globex") })}, src)
	acme := withToken(p.tokens["viewer-acme"])
	for _, path := range []string{
		"/api/v1/tenants?tenant=globex", "/api/v1/sites?tenant=globex", "/api/v1/pollers?tenant=globex", "/api/v1/devices?tenant=globex&limit=1",
		"/api/v1/interfaces?tenant=globex", "/api/v1/checks?tenant=globex", "/api/v1/events?tenant=globex&newest=true", "/api/v1/streams?tenant=globex",
		"/api/v1/ledger?tenant=globex", "/api/v1/limits?tenant=globex", "/api/v1/limits?tenant=globex&producer=feed", "/api/v1/schemas?tenant=globex", "/api/v1/events/stream?tenant=globex", "/api/v1/devices/globex/hq/r1", "/api/v1/devices/nosuch/hq/r1", "/metrics",
		"/api/v1/devices?tenant=nosuch", "/api/v1/devices/changes?tenant=globex", "/api/v1/devices/changes?tenant=nosuch&since=db.1", "/api/v1/devices?tenant=globex&q=r&status=down",
	} {
		status, _, body := ask(t, url+path, acme)
		if status != http.StatusForbidden || strings.Contains(body, "globex") || strings.Contains(body, "nosuch") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	for _, path := range []string{"/api/v1/devices?tenant=acme&tenant=globex", "/api/v1/devices?Tenant=globex", "/api/v1/status?tenant=globex", "/api/v1/devices?tenant=%67lobex%00"} {
		if status, _, body := ask(t, url+path, acme); status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if asked := src.requests(); len(asked) > 0 {
		t.Errorf("refused, but the source was asked: %v", asked)
	}
	// Nothing is asked of a door but of the own tenant.
	for _, k := range kinds {
		for _, query := range []string{"", "?tenant=acme", "?limit=5", "?tenant="} {
			ask(t, url+"/api/v1/"+k.name+query, acme)
		}
	}
	for _, query := range []string{"devices?status=down&q=r", "checks?status=critical", "interfaces?q=r", "devices/changes", "devices/changes?since=db.1&q=r", "devices/changes?tenant="} {
		ask(t, url+"/api/v1/"+query, acme)
	}
	for _, asked := range src.requests() {
		if !strings.Contains(asked, `"tenant":"acme"`) {
			t.Errorf("asked %s", asked)
		}
	}

	url = open(t, Config{Access: p.keeper, Version: "1"}, leaky{newFake()}, quick)
	for _, k := range kinds {
		for _, query := range []string{"", "?limit=5"} {
			status, _, body := ask(t, url+"/api/v1/"+k.name+query, acme)
			own := "acme"
			if k.name == "schemas" {
				body = strings.Replace(body, "globex-2", "", 1) // without an owner: Midplane's own
			}
			if status != http.StatusOK || strings.Contains(body, "globex") || !strings.Contains(body, own) {
				t.Errorf("%s%s: %d %s", k.name, query, status, body)
			}
		}
	}
	if status, _, body := ask(t, url+"/api/v1/devices/changes", acme); status != http.StatusOK || strings.Contains(body, "globex") || strings.Contains(body, "7777777777") ||
		!strings.Contains(body, "acme-1") || !strings.Contains(body, "acme-2") {
		t.Errorf("changes: %d %s", status, body)
	}
	if status, _, body := ask(t, url+"/api/v1/devices?limit=5&q=r", acme); status != http.StatusOK || strings.Contains(body, "7777777777") {
		t.Errorf("list: %d %s", status, body)
	}
	if status, _, body := ask(t, url+"/api/v1/devices/acme/syd/r1", acme); status != http.StatusNotFound || strings.Contains(body, "globex") {
		t.Errorf("device: %d %s", status, body)
	}
	status, _, body := ask(t, url+"/api/v1/status", acme)
	if status != http.StatusOK || strings.Contains(body, "globex") || strings.Contains(body, "7777777777") || !strings.Contains(body, "acme is slow") || !strings.Contains(body, `"live":true`) {
		t.Errorf("status: %d %s", status, body)
	}
	next, leave := listen(t, url+"/api/v1/events/stream", "Authorization", "Bearer "+p.tokens["viewer-acme"])
	for range 3 {
		if m := next("event"); strings.Contains(m.data, "globex") || !strings.Contains(m.data, "acme-1") {
			t.Errorf("stream: %s", m.data)
		}
	}
	leave()
	// An admin gets it all.
	if _, _, body := ask(t, url+"/api/v1/status", withToken(p.tokens["admin"])); !strings.Contains(body, "globex lost") {
		t.Errorf("admin: %s", body)
	}
}

// A confined viewer learns that something failed, without what concerns others.
func TestConfinedViewerHearsNoDetails(t *testing.T) {
	p := newPeople(t)
	src := newFake()
	src.fail("node.status", errTest)
	url := open(t, Config{Access: p.keeper}, src)
	acme := withToken(p.tokens["viewer-acme"])
	if _, _, body := ask(t, url+"/api/v1/status", acme); strings.Contains(body, "hums") || !strings.Contains(body, "the cluster does not answer") {
		t.Errorf("%s", body)
	}
	src.fail("primary.status", errTest)
	if status, _, body := ask(t, url+"/api/v1/status", acme); status != 500 || strings.Contains(body, "hums") {
		t.Errorf("%d %s", status, body)
	}
}
