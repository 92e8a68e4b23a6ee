package export

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/metric"

	"midplane/telemetry"
)

// start starts telemetry that ends with the test.
func start(t *testing.T, cfg Config) *Export {
	t.Helper()
	if cfg.Service == "" {
		cfg.Service = "midplane-test"
	}
	if cfg.LogOutput == nil {
		cfg.LogOutput = io.Discard
	}
	e, err := Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return e
}

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

// every metric of names.go as its component makes it, and the name under which
// a dashboard finds it.
var golden = []struct {
	name, unit, kind string
	shown            string
}{
	{telemetry.MetricIngressAccepted, telemetry.UnitMessages, "counter", "midplane_ingress_accepted_total"},
	{telemetry.MetricIngressBytes, telemetry.UnitBytes, "counter", "midplane_ingress_accepted_size_bytes_total"},
	{telemetry.MetricIngressLimited, telemetry.UnitMessages, "counter", "midplane_ingress_limited_total"},
	{telemetry.MetricIngressRefused, telemetry.UnitMessages, "counter", "midplane_ingress_refused_total"},
	{telemetry.MetricIngressDropped, telemetry.UnitMessages, "counter", "midplane_ingress_dropped_total"},
	{telemetry.MetricIngressLatency, telemetry.UnitSeconds, "histogram", "midplane_ingress_latency_seconds"},
	{telemetry.MetricOutboxDepth, telemetry.UnitMessages, "gauge", "midplane_outbox_depth"},
	{telemetry.MetricOutboxAge, telemetry.UnitSeconds, "gauge", "midplane_outbox_oldest_age_seconds"},
	{telemetry.MetricOutboxGivenUp, telemetry.UnitMessages, "counter", "midplane_outbox_given_up_total"},
	{telemetry.MetricCollect, telemetry.UnitSeconds, "histogram", "midplane_collect_duration_seconds"},
	{telemetry.MetricCollectLag, telemetry.UnitSeconds, "histogram", "midplane_collect_lag_seconds"},
	{telemetry.MetricCollectSkipped, "", "counter", "midplane_collect_skipped_total"},
	{telemetry.MetricCollectPolls, "", "counter", "midplane_collect_polls_total"},
	{telemetry.MetricCollectPlaces, "", "gauge", "midplane_collect_places_used"},
	{telemetry.MetricCollectBound, "", "gauge", "midplane_collect_places_bound"},
	{telemetry.MetricOutboxPut, telemetry.UnitMessages, "counter", "midplane_outbox_put_total"},
	{telemetry.MetricOutboxPutBytes, telemetry.UnitBytes, "counter", "midplane_outbox_put_size_bytes_total"},
	{telemetry.MetricForwardPace, "", "gauge", "midplane_forward_pace"},
	{telemetry.MetricForwardShare, "", "gauge", "midplane_forward_share"},
	{telemetry.MetricForwardHeld, "", "gauge", "midplane_forward_held"},
	{telemetry.MetricPrimaryLag, telemetry.UnitMessages, "gauge", "midplane_primary_lag"},
	{telemetry.MetricPrimaryFolded, telemetry.UnitMessages, "counter", "midplane_primary_folded_total"},
	{telemetry.MetricPrimaryAlarms, "", "counter", "midplane_primary_alarms_total"},
	{telemetry.MetricPrimaryCompared, "", "counter", "midplane_primary_compared_total"},
	{telemetry.MetricPrimaryDifferent, "", "gauge", "midplane_primary_different"},
	{telemetry.MetricTenantBytes, telemetry.UnitBytes, "gauge", "midplane_tenant_storage_used_bytes"},
	{telemetry.MetricTenantMessages, telemetry.UnitMessages, "gauge", "midplane_tenant_messages"},
	{telemetry.MetricRegistryRev, "", "gauge", "midplane_registry_revision"},
	{telemetry.MetricConnectionsClosed, "", "counter", "midplane_connections_closed_total"},
	{telemetry.MetricCanaryAge, telemetry.UnitSeconds, "gauge", "midplane_canary_age_seconds"},
	{telemetry.MetricCanaryLeaks, "", "counter", "midplane_canary_leaks_total"},
	{telemetry.MetricProbeDuration, telemetry.UnitSeconds, "gauge", "midplane_probe_duration_seconds"},
	{telemetry.MetricProbeFailures, "", "counter", "midplane_probe_failures_total"},
	{telemetry.MetricConsoleRequest, telemetry.UnitSeconds, "histogram", "midplane_console_request_duration_seconds"},
}

func TestPrometheusNames(t *testing.T) {
	e := start(t, Config{Version: "1.2.3", Instance: "n1"})
	ctx, meter := context.Background(), e.Telemetry("ingress").Meter
	with := metric.WithAttributes(telemetry.AttrTenant.String("acme"), telemetry.AttrReason.String("schema"))
	var want []string
	for _, g := range golden {
		var err error
		switch g.kind {
		case "counter":
			var c metric.Int64Counter
			c, err = meter.Int64Counter(g.name, metric.WithUnit(g.unit))
			c.Add(ctx, 3, with)
		case "gauge":
			var v metric.Int64Gauge
			v, err = meter.Int64Gauge(g.name, metric.WithUnit(g.unit))
			v.Record(ctx, 7, with)
		case "histogram":
			var h metric.Float64Histogram
			h, err = meter.Float64Histogram(g.name, metric.WithUnit(g.unit))
			h.Record(ctx, 0.0007, with)
		}
		if err != nil {
			t.Fatalf("%s: %v", g.name, err)
		}
		want = append(want, g.shown+" "+g.kind)
	}
	want = append(want, "midplane_build_info gauge")
	sort.Strings(want)

	status, body := get(t, e.Handler(), "/metrics")
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	var got []string
	for line := range strings.Lines(body) {
		if rest, ok := strings.CutPrefix(line, "# TYPE midplane_"); ok {
			got = append(got, "midplane_"+strings.TrimSpace(rest))
		}
	}
	sort.Strings(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	for _, line := range []string{
		`midplane_ingress_accepted_total{midplane_reason="schema",midplane_tenant="acme"} 3`,
		`midplane_outbox_depth{midplane_reason="schema",midplane_tenant="acme"} 7`,
		`midplane_ingress_latency_seconds_bucket{midplane_reason="schema",midplane_tenant="acme",le="0.0005"} 0`,
		`midplane_ingress_latency_seconds_bucket{midplane_reason="schema",midplane_tenant="acme",le="0.001"} 1`,
		`midplane_ingress_latency_seconds_count{midplane_reason="schema",midplane_tenant="acme"} 1`,
		`service="midplane-test",version="1.2.3"} 1`,
		"\ngo_goroutines ",
		"\nprocess_resident_memory_bytes ",
	} {
		if !strings.Contains(body, line) {
			t.Errorf("the scrape lacks %q", line)
		}
	}
	if t.Failed() {
		t.Logf("scrape:\n%s", body)
	}
}

// A metric that is named and not in the list above has no checked name.
func TestGoldenIsWhole(t *testing.T) {
	source, err := os.ReadFile("../names.go")
	if err != nil {
		t.Fatal(err)
	}
	checked := map[string]bool{}
	for _, g := range golden {
		checked[g.name] = true
	}
	found := regexp.MustCompile(`Metric\w+\s*=\s*"([^"]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(found) < 10 {
		t.Fatalf("only %d names found", len(found))
	}
	for _, m := range found {
		if !checked[m[1]] {
			t.Errorf("%s is not in the golden list: add it with its unit and the name that Prometheus shows", m[1])
		}
	}
}

// Two components that name the same instrument share one metric; two of one
// name and different scopes would make the whole scrape fail.
func TestComponentsShareAMetric(t *testing.T) {
	e := start(t, Config{})
	for _, component := range []string{"ingress", "forwarder"} {
		c, err := e.Telemetry(component).Meter.Int64Counter(telemetry.MetricIngressAccepted)
		if err != nil {
			t.Fatal(err)
		}
		c.Add(context.Background(), 2)
	}
	status, body := get(t, e.Handler(), "/metrics")
	if status != http.StatusOK || !strings.Contains(body, "\nmidplane_ingress_accepted_total 4\n") {
		t.Fatalf("status %d:\n%s", status, body)
	}
}

func TestHealthReadyVersion(t *testing.T) {
	e := start(t, Config{Version: "1.2.3", Instance: "n1"})
	h := e.Handler()
	broken := errors.New("no leader")
	e.AddReady("jetstream", func(context.Context) error { return broken })
	e.AddReady("database", func(context.Context) error { return nil })

	status, body := get(t, h, "/readyz")
	want := `{"status":"not-ready","checks":[{"name":"database","ok":true},{"name":"jetstream","ok":false,"error":"no leader"}]}` + "\n"
	if status != http.StatusServiceUnavailable || body != want {
		t.Errorf("not ready: %d %s", status, body)
	}
	if status, body = get(t, h, "/healthz"); status != http.StatusOK {
		t.Errorf("alive although not ready: %d %s", status, body)
	}
	e.AddReady("jetstream", func(context.Context) error { return nil })
	if status, body = get(t, h, "/readyz"); status != http.StatusOK || !strings.Contains(body, `"status":"ready"`) {
		t.Errorf("ready: %d %s", status, body)
	}
	if status, body = get(t, h, "/version"); status != http.StatusOK || !strings.Contains(body, `"version":"1.2.3"`) {
		t.Errorf("version: %d %s", status, body)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/readyz", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

func TestReadyWithoutChecksIsAnEmptyList(t *testing.T) {
	status, body := get(t, start(t, Config{}).Handler(), "/readyz")
	if status != http.StatusOK || body != `{"status":"ready","checks":[]}`+"\n" {
		t.Fatalf("%d %s", status, body)
	}
}

// A check that ignores its context must not hold the answer for ever.
func TestHangingCheckIsNotReady(t *testing.T) {
	e := start(t, Config{})
	release := make(chan struct{})
	defer close(release)
	e.AddReady("stuck", func(context.Context) error { <-release; return nil })
	status, body := get(t, e.Handler(), "/readyz")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, `"name":"stuck","ok":false,"error":"no answer within`) {
		t.Fatalf("%d %s", status, body)
	}
}
