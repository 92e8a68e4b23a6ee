package primary

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/testwait"
	"midplane/telemetry"
)

// run starts a primary; the function stops it and fails the test if it ended badly.
func run(t *testing.T, cfg Config, tel telemetry.Telemetry) (*Primary, func()) {
	t.Helper()
	if tel.Log.Handler() == slog.DiscardHandler {
		tel.Log = slog.New(slog.NewTextHandler(t.Output(), nil)) // shown when the test fails
	}
	p := ok(New(cfg, tel))(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(stop)
	ready, cancelReady := context.WithTimeout(ctx, 20*time.Second)
	defer cancelReady()
	if err := p.Ready(ready); err != nil {
		t.Fatal(err)
	}
	return p, stop
}

func ask[T any](t *testing.T, q *api.Query, verb string, req any) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	var out T
	if err := q.Do(ctx, verb, req, &out); err != nil {
		t.Fatalf("%s: %v", verb, err)
	}
	return out
}

func events(t *testing.T, q *api.Query, req api.EventRequest) []api.Event {
	t.Helper()
	return ask[api.Page[api.Event]](t, q, api.EventList, req).Items
}

// From nothing to a device on the screen, with nothing but the roles' permissions.
func TestReadsAndAnswers(t *testing.T) {
	w := newWorld(t)
	acme := w.add("acme")
	spans := tracetest.NewInMemoryExporter()
	tel := telemetry.Nop()
	tel.Tracer = sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)).Tracer("test")
	_, stop := run(t, w.config("p1"), tel)
	q := w.query()

	const sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	acme.put(t, event.KindState, "r1", event.TypeReachability, event.Reachability{Device: "r1", Status: "up", Method: "ping"})
	acme.put(t, event.KindState, "r1/if/1", event.TypeInterface, event.Interface{Device: "r1", Index: "1", Name: "lo", AdminStatus: "up", OperStatus: "up"})
	acme.put(t, event.KindMetric, "r1", event.TypePing, event.Ping{RTT: 1.5})
	acme.put(t, event.KindEvent, "r1", event.TypeReachabilityChanged, event.Changed{Device: "r1", From: "unknown", To: "up", Message: "r1 answers"},
		event.HeaderTraceParent, sampled)
	var got []api.Event
	testwait.True(t, "the event is there", func() bool { got = events(t, q, api.EventRequest{Tenant: "acme"}); return len(got) == 1 })
	if e := got[0]; e.TraceID != sampled[3:35] || e.ID != "syd-01/1/EVENTS/1" || e.Producer != "syd-01" || e.Message == "" || e.Message == e.Type || e.Site != "syd" {
		t.Errorf("%+v", e)
	}
	testwait.True(t, "the device is there", func() bool {
		d := ask[api.Page[api.Device]](t, q, api.DeviceList, api.ListRequest{}).Items
		return len(d) == 1 && d[0].Status == "up" && d[0].Interfaces == 1
	})
	testwait.True(t, "its metric is there", func() bool {
		d := ask[api.DeviceDetail](t, q, api.DeviceGet, api.DeviceRef{Tenant: "acme", Site: "syd", Device: "r1"})
		return len(d.Metrics) == 2 && len(d.Interfaces) == 1 && len(d.Events) == 1 && d.Events[0].Message != ""
	})
	if n := len(ask[api.Page[api.Interface]](t, q, api.InterfaceList, api.ListRequest{}).Items); n != 1 {
		t.Errorf("%d interfaces", n)
	}
	if n := len(ask[api.Page[api.Check]](t, q, api.CheckList, api.ListRequest{}).Items); n != 0 {
		t.Errorf("%d checks", n)
	}
	if err := q.Do(context.Background(), api.DeviceGet, api.DeviceRef{Tenant: "acme", Site: "syd", Device: "r9"}, nil); !fault.Is(err, fault.NotFound) {
		t.Errorf("an unknown device: %v", err)
	}
	if err := q.Do(context.Background(), api.DeviceList, map[string]int{"newer": 1}, nil); err != nil {
		t.Errorf("a field of a newer client: %v", err)
	}
	if err := q.Do(context.Background(), api.DeviceList, []int{1}, nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("no request: %v", err)
	}

	// A tenant that comes later needs no restart, and one that goes is hidden.
	w.add("globex").put(t, event.KindEvent, "x", "app.thing.v1", map[string]string{"message": "hello"})
	testwait.True(t, "the new tenant is read", func() bool { got = events(t, q, api.EventRequest{Tenant: "globex"}); return len(got) == 1 })
	if got[0].Message != "hello" {
		t.Errorf("line of an unknown type: %q", got[0].Message)
	}
	testwait.True(t, "cursors are reported", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.reports["globex"].Reading && len(w.reports["acme"].Cursors) == len(event.Streams)
	})
	w.change(func() { w.tenants["globex"].core.Deleted = true })
	testwait.True(t, "a deleted tenant is hidden", func() bool { return len(events(t, q, api.EventRequest{Tenant: "globex"})) == 0 })

	st := ask[api.PrimaryReport](t, q, api.PrimaryStatus, struct{}{})
	if st.Name != "p1" || len(st.Tenants) != 1 || !st.Tenants[0].Reading || st.Tenants[0].Problem != "" || len(st.Alarms) != 0 {
		t.Errorf("%+v", st)
	}
	for _, s := range st.Tenants[0].Streams {
		if s.Lag != 0 {
			t.Errorf("%+v", s)
		}
	}
	stop()
	checkSpans(t, spans.GetSpans(), sampled[3:35])
}

func checkSpans(t *testing.T, spans tracetest.SpanStubs, traceID string) {
	t.Helper()
	var process, fold *tracetest.SpanStub
	for i := range spans {
		switch spans[i].Name {
		case telemetry.SpanProcess:
			process = &spans[i]
		case telemetry.SpanFold:
			fold = &spans[i]
		}
	}
	if len(spans) != 2 || process == nil || fold == nil {
		t.Fatalf("%d spans, want one of the sampled message and one of its transaction", len(spans))
	}
	if process.SpanContext.TraceID().String() != traceID || process.Parent.SpanID().String() != "b7ad6b7169203331" {
		t.Errorf("process is in trace %s below %s", process.SpanContext.TraceID(), process.Parent.SpanID())
	}
	if len(fold.Links) != 1 || fold.Links[0].SpanContext.SpanID() != process.SpanContext.SpanID() {
		t.Errorf("fold links to %+v", fold.Links)
	}
}

func TestFollow(t *testing.T) {
	w := newWorld(t)
	acme := w.add("acme")
	run(t, w.config("p1"), telemetry.Nop())
	q := w.query()
	for i := range 3 {
		acme.put(t, event.KindEvent, "r1", "app.thing.v1", map[string]int{"i": i})
	}
	testwait.True(t, "three events", func() bool { return len(events(t, q, api.EventRequest{})) == 3 })
	page := ask[api.Page[api.Event]](t, q, api.EventFollow, api.EventRequest{Limit: 2})
	if len(page.Items) != 2 || page.Next != "2" {
		t.Fatalf("%+v", page)
	}
	if page = ask[api.Page[api.Event]](t, q, api.EventFollow, api.EventRequest{After: page.Next}); len(page.Items) != 1 || page.Next != "3" {
		t.Fatalf("%+v", page)
	}
	answers := make(chan api.Page[api.Event], 1)
	go func() {
		var page api.Page[api.Event]
		ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
		defer cancel()
		if err := q.Do(ctx, api.EventFollow, api.EventRequest{After: "3", Entity: "r2"}, &page); err != nil {
			t.Error(err)
		}
		answers <- page
	}()
	acme.put(t, event.KindEvent, "r1", "app.thing.v1", map[string]int{}) // does not match
	acme.put(t, event.KindEvent, "r2", "app.thing.v1", map[string]int{})
	if page := <-answers; len(page.Items) != 1 || page.Items[0].Entity != "r2" || page.Next != "5" {
		t.Fatalf("%+v", page)
	}
}

// Stopped and started in the middle of a stream, a primary folds every event once.
func TestRestart(t *testing.T) {
	w := newWorld(t)
	acme := w.add("acme")
	cfg := w.config("p1")
	q := w.query()
	const n = 3000
	for round := range 3 {
		_, stop := run(t, cfg, telemetry.Nop())
		for range n / 3 {
			acme.put(t, event.KindEvent, "r1", "app.thing.v1", map[string]int{})
		}
		if round == 2 {
			testwait.True(t, "all is folded", func() bool {
				st := ask[api.PrimaryReport](t, q, api.PrimaryStatus, struct{}{})
				return len(st.Tenants) == 1 && st.Tenants[0].Streams[0].Cursor == n
			})
			req, seen := api.EventRequest{Limit: 1000}, map[uint64]bool{}
			for {
				page := ask[api.Page[api.Event]](t, q, api.EventList, req)
				for _, e := range page.Items {
					if seen[e.Seq] {
						t.Fatalf("event %d twice", e.Seq)
					}
					seen[e.Seq] = true
				}
				if req.After = page.Next; page.Next == "" {
					break
				}
			}
			if len(seen) != n {
				t.Fatalf("%d events of %d", len(seen), n)
			}
			if a := ask[api.PrimaryReport](t, q, api.PrimaryStatus, struct{}{}).Alarms; len(a) > 0 {
				t.Fatalf("alarms %+v", a)
			}
		}
		stop()
	}
}

func TestNewRefuses(t *testing.T) {
	good := Config{Name: "p1", Dir: "d", Servers: []string{"nats://127.0.0.1:1"}, CoreCreds: "c", QueryCreds: "q"}
	if _, err := New(good, telemetry.Nop()); err != nil {
		t.Fatal(err)
	}
	for _, spoil := range []func(*Config){
		func(c *Config) { c.Name = "P 1" }, func(c *Config) { c.Dir = "" }, func(c *Config) { c.Servers = nil },
		func(c *Config) { c.CoreCreds = "" }, func(c *Config) { c.QueryCreds = "" }, func(c *Config) { c.EventDays = -1 },
	} {
		bad := good
		spoil(&bad)
		if _, err := New(bad, telemetry.Nop()); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// Credentials may be written after the primary was started.
func TestWaitsForCredentials(t *testing.T) {
	w := newWorld(t)
	cfg := w.config("p1")
	later := ok(os.ReadFile(cfg.QueryCreds))(t)
	if err := os.Remove(cfg.QueryCreds); err != nil {
		t.Fatal(err)
	}
	p := ok(New(cfg, telemetry.Nop()))(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	short, cancelShort := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancelShort()
	if err := p.Ready(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("ready without credentials: %v", err)
	}
	if err := os.WriteFile(cfg.QueryCreds, later, 0o600); err != nil {
		t.Fatal(err)
	}
	long, cancelLong := context.WithTimeout(ctx, 20*time.Second)
	defer cancelLong()
	if err := p.Ready(long); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
