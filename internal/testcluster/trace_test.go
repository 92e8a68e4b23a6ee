package testcluster_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"midplane/internal/testcluster"
	"midplane/poller/collect"
	"midplane/poller/collect/all"
	"midplane/telemetry"
	"midplane/telemetry/export"
	"midplane/tenants"
)

// receiver is an OTLP/HTTP backend.
type receiver struct {
	mu    sync.Mutex
	spans []*tracev1.Span
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	var in collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rs := range in.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			r.spans = append(r.spans, ss.Spans...)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// names of the spans of a trace, and whether a fold is linked to it.
func (r *receiver) trace(id string) (names map[string]bool, linked bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	names = map[string]bool{}
	for _, s := range r.spans {
		if hex(s.TraceId) == id {
			names[s.Name] = true
		}
		for _, l := range s.Links {
			linked = linked || s.Name == telemetry.SpanFold && hex(l.TraceId) == id
		}
	}
	return names, linked
}

func hex(b []byte) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 2*len(b))
	for _, c := range b {
		out = append(out, digits[c>>4], digits[c&15])
	}
	return string(out)
}

// One trace leads from a poller's collection through ingress and stream to the
// primary's transaction, and the event shows its id.
func TestOneTraceFromCollectionToFold(t *testing.T) {
	backend := &receiver{}
	srv := httptest.NewServer(backend)
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	exp, err := export.Start(ctx, export.Config{Service: "midplane-test", OTLPEndpoint: srv.URL, LogOutput: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	tel := exp.Telemetry("test")
	c := testcluster.Start(t, testcluster.Options{Tel: &tel, Tenants: []*tenants.Spec{testcluster.Tenant("acme")}})
	// The device is this machine, and its check is answered without a network.
	watch(ctx, t, c, map[string]collect.Collector{"ping": all.Collectors()["host"]}, tel)
	found := firstChange(ctx, t, c)
	want := []string{telemetry.SpanCollect, telemetry.SpanPublish, telemetry.SpanAdmit, telemetry.SpanProcess}
	for {
		names, linked := backend.trace(found.TraceID)
		missing := ""
		for _, n := range want {
			if !names[n] {
				missing += " " + n
			}
		}
		if missing == "" && linked {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("trace %s has %v; missing%s; linked from the fold: %v", found.TraceID, names, missing, linked)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
