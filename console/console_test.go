package console

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"midplane/fault"
	"midplane/telemetry"
)

// testDir holds the tokens of the tests that do not care.
var testDir string

func TestMain(m *testing.M) {
	var err error
	if testDir, err = os.MkdirTemp("", "midplane-console-"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(testDir)
		os.Exit(code)
	}))
}

// open runs a console on a free port and returns its URL.
func open(t *testing.T, cfg Config, src Source, change ...func(*Console)) string {
	t.Helper()
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	cfg = guarded(t, cfg)
	c, err := New(cfg, src, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	if err := c.Ready(within(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return "http://" + c.Addr()
}

// ask asks url and returns status, headers and body.
func ask(t *testing.T, url string, change ...func(*http.Request)) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	for _, f := range change {
		f(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}

func TestAddresses(t *testing.T) {
	for _, tc := range []struct {
		addr string
		open bool
		ok   bool
	}{
		{"", false, true},
		{"127.0.0.1:8480", false, true},
		{"127.9.9.9:0", false, true},
		{"[::1]:8480", false, true},
		{"localhost:8480", false, true},
		{"LOCALHOST:8480", false, true},
		{":8480", false, false},
		{"0.0.0.0:8480", false, false},
		{"[::]:8480", false, false},
		{"10.1.2.3:8480", false, false},
		{"console.example:8480", false, false},
		{"localhost.example:8480", false, false},
		{":8480", true, true},
		{"console.example:8480", true, true},
		{"8480", true, false},
		{"127.0.0.1:http", false, false},
		{"127.0.0.1:70000", false, false},
		{"127.0.0.1:-1", false, false},
	} {
		_, err := New(guarded(t, Config{Addr: tc.addr, Open: tc.open}), newFake(), telemetry.Nop())
		if tc.ok && err != nil {
			t.Errorf("%q open=%v: %v", tc.addr, tc.open, err)
		}
		if !tc.ok && (!fault.Is(err, fault.Invalid) || fault.HintOf(err) == "") {
			t.Errorf("%q open=%v: %v, hint %q", tc.addr, tc.open, err, fault.HintOf(err))
		}
	}
	for _, host := range []string{"http://x", "x:80", "", "*.x"} {
		if _, err := New(guarded(t, Config{Hosts: []string{host}}), newFake(), telemetry.Nop()); !fault.Is(err, fault.Invalid) {
			t.Errorf("host %q: %v", host, err)
		}
	}
	if _, err := New(guarded(t, Config{}), nil, telemetry.Nop()); !fault.Is(err, fault.Invalid) {
		t.Errorf("no source: %v", err)
	}
}

// A console without users and tokens is refused, and half a certificate too.
func TestAccessIsNeeded(t *testing.T) {
	if _, err := New(Config{}, newFake(), telemetry.Nop()); !fault.Is(err, fault.Invalid) {
		t.Errorf("no access: %v", err)
	}
	if _, err := New(guarded(t, Config{Cert: "x"}), newFake(), telemetry.Nop()); !fault.Is(err, fault.Invalid) {
		t.Errorf("no key: %v", err)
	}
}

func TestTakenPortIsAConflict(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := New(guarded(t, Config{Addr: l.Addr().String()}), newFake(), telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(within(t)); !fault.Is(err, fault.Conflict) || fault.HintOf(err) == "" {
		t.Fatalf("%v", err)
	}
	done, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Ready(done); err == nil {
		t.Fatal("ready although it does not listen")
	}
}

func TestOpenWarns(t *testing.T) {
	for addr, warns := range map[string]bool{"0.0.0.0:0": true, "127.0.0.1:0": false} {
		var log bytes.Buffer
		tele := telemetry.Nop()
		tele.Log = slog.New(slog.NewTextHandler(&log, nil))
		c, err := New(guarded(t, Config{Addr: addr, Open: true}), newFake(), tele)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		if err := c.Ready(within(t)); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(log.String(), "level=WARN"); got != warns {
			t.Errorf("%s: warned %v:\n%s", addr, got, log.String())
		}
	}
}

func TestTelemetryIsMounted(t *testing.T) {
	url := open(t, Config{Telemetry: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "telemetry "+r.URL.Path)
	})}, newFake())
	for _, path := range []string{"/metrics", "/healthz", "/readyz", "/version"} {
		if status, _, body := ask(t, url+path); status != http.StatusOK || body != "telemetry "+path {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _, _ := ask(t, open(t, Config{}, newFake())+"/metrics"); status != http.StatusNotFound {
		t.Errorf("without telemetry: %d", status)
	}
}

// TestNotReadyIsNoNews: /readyz is asked every few seconds and answers why; the
// log need not repeat it.
func TestNotReadyIsNoNews(t *testing.T) {
	var log strings.Builder
	tele := telemetry.Nop()
	tele.Log = slog.New(slog.NewTextHandler(&log, nil))
	c, err := New(guarded(t, Config{Telemetry: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	})}), newFake(), tele)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	c.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://"+DefaultAddr+"/readyz", nil))
	if w.Code != http.StatusServiceUnavailable || log.Len() > 0 {
		t.Fatalf("%d, logged: %s", w.Code, log.String())
	}
}
