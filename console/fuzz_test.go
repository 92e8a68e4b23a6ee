package console

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"midplane/console/access"
	"midplane/telemetry"
)

const marker = "zq-of-another-tenant-71"

// marked answers every question with rows of acme and of globex; what is of
// globex has the marker.
type marked struct{}

func (marked) Admin(_ context.Context, verb string, _, resp any) error { return mark(verb, resp) }
func (marked) Query(_ context.Context, verb string, _, resp any) error { return mark(verb, resp) }

func mark(verb string, resp any) error {
	body := `{"items":[{"id":"globex","name":"` + marker + `","tenant":"globex"},{"id":"acme","tenant":"acme"}]}`
	switch verb {
	case "device.get":
		body = `{"device":{"id":"` + marker + `","tenant":"globex"}}`
	case "node.status":
		body = `{"leader":"` + marker + `","problems":[{"message":"` + marker + `"},{"tenant":"globex","message":"` + marker + `"}]}`
	case "primary.status":
		body = `{"tenants":[{"tenant":"globex","problem":"` + marker + `"}],"alarms":[{"message":"` + marker + `"}]}`
	}
	return json.Unmarshal([]byte(body), resp)
}

// FuzzConfinedViewer: no question of a viewer of acme is answered with anything
// of globex, and no question without an identity with anything of a tenant.
func FuzzConfinedViewer(f *testing.F) {
	store, err := access.Open(access.Folder(f.TempDir()))
	if err != nil {
		f.Fatal(err)
	}
	token, _, err := store.CreateToken("acme", access.Viewer, "acme", access.TokenLife)
	if err != nil {
		f.Fatal(err)
	}
	c, err := New(Config{Access: access.NewKeeper(store, access.Config{})}, marked{}, telemetry.Nop())
	if err != nil {
		f.Fatal(err)
	}
	for _, k := range kinds {
		f.Add("GET", "/api/v1/"+k.name, "tenant=globex&limit=1&after=x")
		f.Add("GET", "/api/v1/"+k.name, "")
	}
	f.Add("GET", "/api/v1/status", "")
	f.Add("HEAD", "/api/v1/devices/globex/hq/r1", "")
	f.Add("GET", "/api/v1/devices/acme%2Fglobex/hq/r1", "tenant=acme%26tenant%3Dglobex")
	f.Add("DELETE", "/api/v1/sessions/x", "")
	f.Add("POST", "/api/v1/session", "user=ann")
	f.Fuzz(func(t *testing.T, method, path, query string) {
		if strings.Contains(path, "stream") || len(path)+len(query) > 4000 {
			return // a stream does not end
		}
		for _, header := range []string{"", "Bearer " + token} {
			r, err := http.NewRequest(method, "http://127.0.0.1:8480/", nil)
			if err != nil {
				return
			}
			r.URL.RawQuery, r.URL.Path = query, path
			if !strings.HasPrefix(path, "/") {
				return
			}
			r.RemoteAddr = "192.0.2.1:1"
			if header != "" {
				r.Header.Set("Authorization", header)
			}
			w := httptest.NewRecorder()
			c.Handler().ServeHTTP(w, r)
			body := w.Body.String()
			if strings.Contains(body, marker) {
				t.Errorf("%s %q %q for %.8q: %s", method, path, query, header, body)
			}
			if header == "" && w.Code == 200 && strings.HasPrefix(path, "/api/") {
				t.Errorf("%s %q %q is answered without an identity: %s", method, path, query, body)
			}
		}
	})
}
