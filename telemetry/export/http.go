package export

import (
	"context"
	"encoding/json"
	"net/http"
	"runtime"
	"runtime/debug"
	"sort"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// readyWithin bounds one ready check: a check that hangs is not ready.
const readyWithin = 3 * time.Second

type readyCheck struct {
	name string
	do   func(context.Context) error
}

// AddReady adds a check to /readyz, in place of an earlier check of the same name.
// do must be safe for concurrent use.
func (e *Export) AddReady(name string, do func(context.Context) error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.checks {
		if e.checks[i].name == name {
			e.checks[i].do = do
			return
		}
	}
	e.checks = append(e.checks, readyCheck{name, do})
}

// Handler serves /metrics (Prometheus and OpenMetrics), /healthz (200 while the
// process runs), /readyz (200 when every check passes, else 503, with each check
// by name) and /version.
func (e *Export) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(e.registry, promhttp.HandlerOpts{
		ErrorLog:          scrapeLog{e},
		ErrorHandling:     promhttp.ContinueOnError, // one bad metric must not hide the others
		EnableOpenMetrics: true,                     // exemplars lead from a bucket to a trace
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", e.serveReady)
	mux.HandleFunc("GET /version", e.serveVersion)
	return mux
}

// Readiness is the body of /readyz.
type Readiness struct {
	Status string        `json:"status"` // ready or not-ready
	Checks []CheckResult `json:"checks"`
}

// CheckResult is one check of /readyz.
type CheckResult struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

func (e *Export) serveReady(w http.ResponseWriter, r *http.Request) {
	ready := e.ready(r.Context())
	status := http.StatusOK
	if ready.Status != "ready" {
		status = http.StatusServiceUnavailable
	}
	answer(w, status, ready)
}

// ready runs every check at once, so that one slow check does not delay the others.
func (e *Export) ready(ctx context.Context) Readiness {
	e.mu.Lock()
	checks := append([]readyCheck{}, e.checks...)
	e.mu.Unlock()
	sort.Slice(checks, func(i, j int) bool { return checks[i].name < checks[j].name })

	out := Readiness{Status: "ready", Checks: make([]CheckResult, len(checks))}
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	var all sync.WaitGroup
	for i, c := range checks {
		all.Go(func() { out.Checks[i] = c.run(ctx) })
	}
	all.Wait()
	for _, c := range out.Checks {
		if !c.OK {
			out.Status = "not-ready"
		}
	}
	return out
}

// run runs one check, and does not wait for a check that ignores its context.
func (c readyCheck) run(ctx context.Context) CheckResult {
	done := make(chan error, 1)
	go func() { done <- c.do(ctx) }()
	select {
	case err := <-done:
		if err != nil {
			return CheckResult{Name: c.name, Error: err.Error()}
		}
		return CheckResult{Name: c.name, OK: true}
	case <-ctx.Done():
		return CheckResult{Name: c.name, Error: "no answer within " + readyWithin.String()}
	}
}

// Version is the body of /version.
type Version struct {
	Service  string `json:"service"`
	Version  string `json:"version"`
	Instance string `json:"instance,omitempty"`
	Go       string `json:"go"`
	Revision string `json:"revision,omitempty"` // of the source
	Modified bool   `json:"modified,omitempty"` // the source had changes
}

func (e *Export) serveVersion(w http.ResponseWriter, _ *http.Request) {
	v := Version{Service: e.cfg.Service, Version: e.cfg.Version, Instance: e.cfg.Instance, Go: runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Revision = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	answer(w, http.StatusOK, v)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}

// scrapeLog logs what a scrape could not gather.
type scrapeLog struct{ e *Export }

// Println implements promhttp.Logger.
func (s scrapeLog) Println(v ...any) {
	s.e.log.Warn("a metric could not be gathered", "component", "telemetry", "error", v)
}
