//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"midplane/api"
)

// get asks the page as the user that a token belongs to, "" for none.
func get(w world, token, path string) (int, string, error) {
	req, err := http.NewRequest(http.MethodGet, w.page()+path, nil)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := browser.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// guarded: no one gets in without an identity, a viewer of one tenant sees
// nothing of the other, a token that is revoked is dead at once, and the audit
// log knows of all of it.
func (s *story) guarded(t *testing.T) {
	acme := strings.TrimSpace(s.midplane(t, "console", "token", "create", "acme-only", "--role", "viewer", "--tenant", "acme", "--data", s.data()))
	prom := strings.TrimSpace(s.midplane(t, "console", "token", "create", "prom", "--role", "metrics", "--data", s.data()))
	for _, tc := range []struct {
		who, token, path string
		want             int
	}{
		{"no identity", "", "/api/v1/devices", 401}, {"no identity", "", "/metrics", 401}, {"no identity", "", "/healthz", 200}, {"no identity", "", "/", 200},
		{"a made-up token", "mpc_0000000000000000000000000000000000000000000", "/api/v1/devices", 401},
		{"acme", acme, "/api/v1/devices", 200}, {"acme", acme, "/api/v1/tenants", 200}, {"acme", acme, "/api/v1/status", 200}, {"acme", acme, "/api/v1/events", 200},
		{"acme", acme, "/api/v1/devices?tenant=globex", 403}, {"acme", acme, "/api/v1/devices/globex/hq/n3", 403}, {"acme", acme, "/metrics", 403},
		{"metrics", prom, "/metrics", 200}, {"metrics", prom, "/api/v1/devices", 403},
	} {
		status, body, err := get(s, tc.token, tc.path)
		if err != nil || status != tc.want {
			t.Errorf("%s asks %s: %d, want %d (%v): %.200s", tc.who, tc.path, status, tc.want, err, body)
		}
		if tc.who == "acme" && strings.Contains(body, "globex") {
			t.Errorf("acme sees globex at %s: %.400s", tc.path, body)
		}
	}
	s.midplane(t, "console", "token", "revoke", "acme-only", "--data", s.data())
	if status, _, err := get(s, acme, "/api/v1/devices"); err != nil || status != 401 {
		t.Errorf("a revoked token: %d %v", status, err)
	}
	eventually(t, 3*time.Minute, "the audit log knows of tokens and refusals", func() error {
		var rows []api.AuditRecord
		if err := json.Unmarshal([]byte(s.midplane(t, "get", "audit", "-o", "json")), &rows); err != nil {
			return err
		}
		missing := map[string]bool{"console.token.create acme-only": true, "console.token.revoke acme-only": true, "console.route.deny GET /api/v1/devices": true}
		for _, r := range rows {
			delete(missing, r.Verb+" "+r.Target)
			if strings.Contains(fmt.Sprint(r), acme) {
				t.Fatal("a token is in the audit log")
			}
		}
		if len(missing) > 0 {
			return fmt.Errorf("missing %v", missing)
		}
		return nil
	})
}
