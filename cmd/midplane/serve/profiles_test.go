package serve

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"midplane/cmd/midplane/shell"
	"midplane/fault"
	"midplane/internal/run"
)

func TestProfilesAreServedToLoopbackOnly(t *testing.T) {
	for addr, fine := range map[string]bool{
		"": true, "127.0.0.1:6060": true, "127.9.9.9:0": true, "[::1]:6060": true, "localhost:6060": true,
		":6060": false, "0.0.0.0:6060": false, "[::]:6060": false, "10.0.0.1:6060": false, "example.net:6060": false, "6060": false, "localhost.example.net:6060": false,
	} {
		err := checkProfiles(addr)
		if fine != (err == nil) || !fine && (!fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" || !strings.Contains(err.Error(), "--pprof")) {
			t.Errorf("%q: %v, hint %q", addr, err, fault.HintOf(err))
		}
	}
}

// The profiles are there, the address is logged once, another name is refused,
// and all of it ends with the daemon.
func TestProfilesLiveAsLongAsTheDaemon(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var log bytes.Buffer
	var g run.Group
	if err := g.Start(ctx, profilesPart("127.0.0.1:0", slog.New(slog.NewTextHandler(&log, nil)))); err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`address=(http://127\.0\.0\.1:\d+/debug/pprof/)`).FindAllStringSubmatch(log.String(), -1)
	if len(found) != 1 {
		t.Fatalf("logged: %s", log.String())
	}
	base := found[0][1]
	get := func(path, host string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	if status, body := get("", ""); status != http.StatusOK || !strings.Contains(body, "goroutine") {
		t.Errorf("index: %d %s", status, body)
	}
	if status, body := get("heap", ""); status != http.StatusOK || len(body) == 0 {
		t.Errorf("heap: %d, %d bytes", status, len(body))
	}
	if status, body := get("profile?seconds=1", ""); status != http.StatusOK || len(body) == 0 {
		t.Errorf("profile: %d, %d bytes", status, len(body))
	}
	if status, body := get("cmdline", ""); status != http.StatusNotFound {
		t.Errorf("cmdline: %d %s", status, body)
	}
	if status, _ := get("heap", "rebound.example.net:80"); status != http.StatusForbidden {
		t.Errorf("by another name: %d", status)
	}
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	if resp, err := http.Get(base); err == nil {
		_ = resp.Body.Close()
		t.Errorf("the daemon has ended, and profiles are served: %s", resp.Status)
	}
}

// The other HTTP of a server has no profiles.
func TestProfilesAreNowhereElse(t *testing.T) {
	exp, err := startExport(t.Context(), shell.New("test", nil, io.Discard, io.Discard), daemonFlags{LogLevel: "info", LogFormat: "text"}, "test", "")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	exp.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, profilesPath, nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if _, err := startExport(t.Context(), shell.New("test", nil, io.Discard, io.Discard), daemonFlags{Profiles: "0.0.0.0:1"}, "test", ""); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
}
