//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"midplane/api"
)

var browser = &http.Client{Timeout: 20 * time.Second}

// list reads one whole kind from the HTTP API of the primary; query is
// name=value pairs.
func list[T any](w world, kind string, query ...string) ([]T, error) {
	values := url.Values{}
	for _, q := range query {
		name, value, _ := strings.Cut(q, "=")
		values.Set(name, value)
	}
	req, err := http.NewRequest(http.MethodGet, w.page()+"/api/v1/"+kind+"?"+values.Encode(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+w.token())
	resp, err := browser.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %v: %s: %s", kind, query, resp.Status, body)
	}
	var out []T
	if err := json.Unmarshal(body, &out); err != nil {
		return nil, fmt.Errorf("%s %v: %w", kind, query, err)
	}
	return out, nil
}

// newToken makes a machine's token in the data folder of the primary.
func newToken(t *testing.T, w world) string {
	t.Helper()
	return strings.TrimSpace(w.midplane(t, "console", "token", "create", "e2e", "--role", "viewer", "--data", w.data()))
}

// allUp complains unless exactly the named devices are at the tenant's site and
// up, and were seen after a moment.
func allUp(w world, tenant string, after time.Time, names ...string) error {
	rows, err := list[api.Device](w, "devices", "tenant="+tenant, "site="+sites[tenant])
	if err != nil {
		return err
	}
	have := map[string]api.Device{}
	for _, r := range rows {
		if r.Tenant != tenant {
			return fmt.Errorf("asked for devices of %s, got one of %s", tenant, r.Tenant)
		}
		have[r.ID] = r
	}
	if len(rows) != len(names) {
		return fmt.Errorf("%s has %d devices, want %v", tenant, len(rows), names)
	}
	for _, name := range names {
		if d := have[name]; d.Status != "up" || d.LastSeen == nil || d.LastSeen.Before(after) {
			return fmt.Errorf("device %s/%s is %q, seen %v", tenant, name, d.Status, d.LastSeen)
		}
	}
	return nil
}

// current complains unless every stream of a tenant has a leader and two
// replicas that have everything.
func current(w world, tenant string) error {
	rows, err := list[api.Stream](w, "streams", "tenant="+tenant)
	if err != nil {
		return err
	}
	if len(rows) != 4 {
		return fmt.Errorf("%s has %d streams", tenant, len(rows))
	}
	for _, s := range rows {
		if s.Leader == "" || len(s.Replicas) != 2 || strings.Contains(strings.Join(s.Replicas, ""), "(") {
			return fmt.Errorf("stream %s/%s: led by %q, replicas %v", tenant, s.ID, s.Leader, s.Replicas)
		}
	}
	return nil
}

// leader returns who leads a stream.
func leader(w world, tenant, stream string) (string, error) {
	rows, err := list[api.Stream](w, "streams", "tenant="+tenant)
	if err != nil {
		return "", err
	}
	for _, s := range rows {
		if s.ID == stream && s.Leader != "" {
			return s.Leader, nil
		}
	}
	return "", fmt.Errorf("%s/%s has no leader", tenant, stream)
}
