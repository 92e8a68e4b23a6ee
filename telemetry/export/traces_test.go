package export

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"

	"midplane/event"
	"midplane/fault"
	"midplane/telemetry"
)

// receiver is an OTLP/HTTP receiver of traces.
type receiver struct {
	*httptest.Server
	got    chan *collector.ExportTraceServiceRequest
	status int
}

func newReceiver(t *testing.T, status int) *receiver {
	r := &receiver{got: make(chan *collector.ExportTraceServiceRequest, 8), status: status}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/v1/traces" || req.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("asked %s as %s", req.URL.Path, req.Header.Get("Content-Type"))
		}
		body := io.Reader(req.Body)
		if req.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(body)
			if err != nil {
				t.Errorf("gzip: %v", err)
				return
			}
			body = z
		}
		data, err := io.ReadAll(body)
		var request collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(data, &request)
		}
		if err != nil {
			t.Errorf("read the export: %v", err)
		}
		r.got <- &request
		w.WriteHeader(r.status)
	}))
	t.Cleanup(r.Close)
	return r
}

func texts(attrs []*common.KeyValue) map[string]string {
	out := map[string]string{}
	for _, a := range attrs {
		out[a.Key] = a.Value.GetStringValue()
	}
	return out
}

func TestSpanArrives(t *testing.T) {
	for name, configure := range map[string]func(t *testing.T, cfg *Config, url string){
		"url": func(_ *testing.T, cfg *Config, url string) { cfg.OTLPEndpoint = url },
		"host port": func(_ *testing.T, cfg *Config, url string) {
			cfg.OTLPEndpoint, cfg.OTLPInsecure = url[len("http://"):], true
		},
		"environment": func(t *testing.T, cfg *Config, url string) {
			cfg.OTLPProtocol = ""
			t.Setenv(envEndpoint, url)
			t.Setenv(envProtocol, ProtocolHTTP)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, http.StatusOK)
			cfg := Config{Service: "midplane-node", Version: "1.2.3", Instance: "n1", OTLPProtocol: ProtocolHTTP, LogOutput: io.Discard}
			configure(t, &cfg, r.URL)
			e, err := Start(context.Background(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			ctx, span := e.Telemetry("ingress").Tracer.Start(context.Background(), telemetry.SpanAdmit,
				trace.WithSpanKind(trace.SpanKindConsumer),
				trace.WithAttributes(telemetry.AttrTenant.String("acme"), telemetry.System))
			parent, _ := telemetry.Inject(ctx)
			span.End()
			if err := e.Stop(context.Background()); err != nil { // flushes
				t.Fatal(err)
			}
			if !event.TraceSampled(parent) {
				t.Errorf("traceparent %q is not sampled", parent)
			}
			request := <-r.got
			rs := request.ResourceSpans[0]
			about := texts(rs.Resource.Attributes)
			if about["service.name"] != "midplane-node" || about["service.version"] != "1.2.3" || about["service.instance.id"] != "n1" {
				t.Errorf("resource %v", about)
			}
			if scope := rs.ScopeSpans[0].Scope.Name; scope != "ingress" {
				t.Errorf("scope %q", scope)
			}
			got := rs.ScopeSpans[0].Spans[0]
			if got.Name != telemetry.SpanAdmit || !strings.Contains(parent, trace.TraceID(got.TraceId).String()) {
				t.Errorf("span %q of trace %x, sent %q", got.Name, got.TraceId, parent)
			}
			want := map[string]string{"midplane.tenant": "acme", "messaging.system": "nats"}
			if diff := cmp.Diff(want, texts(got.Attributes)); diff != "" {
				t.Errorf("attributes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWithoutEndpointSpansHaveIDs(t *testing.T) {
	t.Setenv(envEndpoint, "")
	t.Setenv(envTracesEndpoint, "")
	tracer := start(t, Config{}).Telemetry("forwarder").Tracer
	ctx, span := tracer.Start(context.Background(), telemetry.SpanPublish)
	parent, _ := telemetry.Inject(ctx)
	if event.TraceID(parent) == "" || event.TraceSampled(parent) || span.IsRecording() {
		t.Fatalf("traceparent %q, recording %v", parent, span.IsRecording())
	}
	// A decision made elsewhere travels on, with its trace id.
	const foreign = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	ctx, _ = tracer.Start(telemetry.Extract(context.Background(), foreign, ""), telemetry.SpanAdmit)
	child, _ := telemetry.Inject(ctx)
	if event.TraceID(child) != event.TraceID(foreign) || !event.TraceSampled(child) || child == foreign {
		t.Fatalf("child %q of %q", child, foreign)
	}
}

func TestRatioIsParentBased(t *testing.T) {
	r := newReceiver(t, http.StatusOK)
	tracer := start(t, Config{OTLPEndpoint: r.URL, OTLPProtocol: ProtocolHTTP, SampleRatio: 1e-12}).Telemetry("x").Tracer
	if _, span := tracer.Start(context.Background(), "root"); span.SpanContext().IsSampled() || !span.SpanContext().IsValid() {
		t.Error("a new trace was sampled against the ratio, or has no id")
	}
	const foreign = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	_, span := tracer.Start(telemetry.Extract(context.Background(), foreign, ""), "child")
	span.End()
	if !span.SpanContext().IsSampled() {
		t.Error("the decision of the parent was not kept")
	}
}

// A receiver that refuses is logged once, and nothing else fails.
func TestFailedExportIsLoggedOnce(t *testing.T) {
	r := newReceiver(t, http.StatusBadRequest)
	var log bytes.Buffer
	e, err := Start(context.Background(), Config{Service: "s", OTLPEndpoint: r.URL, OTLPProtocol: ProtocolHTTP, LogOutput: &log})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, span := e.Telemetry("x").Tracer.Start(context.Background(), "one")
		span.End()
		if err := e.traces.ForceFlush(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), "traces cannot be exported"); n != 1 {
		t.Fatalf("logged %d times:\n%s", n, log.String())
	}
}

func TestGRPCStartsWithoutAReceiver(t *testing.T) {
	e := start(t, Config{OTLPEndpoint: "127.0.0.1:1", OTLPProtocol: ProtocolGRPC, OTLPInsecure: true})
	if _, span := e.Telemetry("x").Tracer.Start(context.Background(), "one"); !span.SpanContext().IsSampled() {
		t.Fatal("not sampled although an endpoint is set")
	}
}

func TestBadConfig(t *testing.T) {
	t.Setenv(envEndpoint, "")
	for name, cfg := range map[string]Config{
		"no service":   {},
		"ratio":        {Service: "s", SampleRatio: 1.5},
		"negative":     {Service: "s", SampleRatio: -1},
		"level":        {Service: "s", LogLevel: "loud"},
		"format":       {Service: "s", LogFormat: "xml"},
		"protocol":     {Service: "s", OTLPEndpoint: "c:4317", OTLPProtocol: "smoke"},
		"credentials":  {Service: "s", OTLPEndpoint: "http://me:hunter2@c:4317"},
		"scheme":       {Service: "s", OTLPEndpoint: "ftp://c:4317"},
		"query":        {Service: "s", OTLPEndpoint: "http://c:4317/?a=b"},
		"not a url":    {Service: "s", OTLPEndpoint: "http://c:hunter2"},
		"only a slash": {Service: "s", OTLPEndpoint: "http:///v1"},
	} {
		cfg.LogOutput = io.Discard
		e, err := Start(context.Background(), cfg)
		if !fault.Is(err, fault.Invalid) || e != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if strings.Contains(err.Error()+fault.HintOf(err), "hunter2") {
			t.Errorf("%s: the error shows the password: %v", name, err)
		}
	}
}
