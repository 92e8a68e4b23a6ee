package schedule

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/poller/collect"
	"midplane/schemas/catalog"
	"midplane/telemetry"
)

// say decodes the result of a check, which must be valid.
func say(t *testing.T, e event.Event) (c event.Check) {
	t.Helper()
	entry, ok := catalog.Set().Lookup(e.Type)
	if !ok {
		t.Fatalf("%s is not in the catalogue", e.Type)
	}
	if v := entry.Validator.Validate(e.Data); v != nil && e.Kind == event.KindState {
		t.Logf("%v", v)
	}
	if err := json.Unmarshal(e.Data, &c); err != nil {
		t.Error(err)
	}
	return c
}

// results runs f once a minute for some minutes and returns what is emitted
// and logged.
func results(t *testing.T, minutes int, c api.PollerCheck, f collect.Collector, b *box) (out []event.Check, log string) {
	t.Helper()
	var text bytes.Buffer
	tel := telemetry.Nop()
	tel.Log = slog.New(slog.NewTextHandler(&text, nil))
	synctest.Test(t, func(t *testing.T) {
		s, stop := begin(tel, f, b)
		s.Apply(config(c))
		time.Sleep(time.Duration(minutes)*time.Minute - 30*time.Second)
		stop()
	})
	for _, e := range b.got {
		if e.Type == event.TypeCheck {
			entry, _ := catalog.Set().Lookup(e.Type)
			if v := entry.Validator.Validate(e.Data); v != nil {
				t.Errorf("%v\n%s", v, e.Data)
			}
			out = append(out, say(t, e))
		}
	}
	return out, text.String()
}

func TestEveryRunLeavesAResult(t *testing.T) {
	own := func(ctx context.Context, t collect.Target, emit collect.Emit) error {
		return emit(ctx, collect.State(t.Entity(), event.TypeCheck, event.Check{Device: t.Device, Name: t.Check, Collector: "fake", Target: "x", Status: event.CheckCritical, Message: "mine"}))
	}
	fails := func(context.Context, collect.Target, collect.Emit) error {
		return fault.WithHint(fault.New(fault.Denied, "may not ping"), "give it the capability")
	}
	for name, tt := range map[string]struct {
		collector string
		do        func(context.Context, collect.Target, collect.Emit) error
		want      event.Check
	}{
		"its own, when it says one":      {"fake", own, event.Check{Status: event.CheckCritical, Target: "x", Message: "mine"}},
		"ok, when it says none":          {"fake", nil, event.Check{Status: event.CheckOK, Target: "127.0.0.1"}},
		"unknown, when it cannot look":   {"fake", fails, event.Check{Status: event.CheckUnknown, Target: "127.0.0.1", Message: "may not ping (give it the capability)"}},
		"unknown, when it panics":        {"fake", func(context.Context, collect.Target, collect.Emit) error { panic("at the disco") }, event.Check{Status: event.CheckUnknown, Target: "127.0.0.1", Message: "collector fake panicked: at the disco"}},
		"unknown, when there is no such": {"telnet", nil, event.Check{Status: event.CheckUnknown, Target: "127.0.0.1", Message: `no collector is named "telnet" (this poller has fake)`}},
		"unknown, when it does not end":  {"fake", takes(time.Hour), event.Check{Status: event.CheckUnknown, Target: "127.0.0.1", Message: "check r1/check/a was not done within 10s: context deadline exceeded"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := one("a", time.Minute, nil)
			c.Collector = tt.collector
			got, log := results(t, 3, c, newFake(tt.do), &box{})
			if len(got) < 2 || len(got) > 4 { // the first comes at once, the others at their place
				t.Fatalf("%d results in 3 minutes", len(got))
			}
			tt.want.Device, tt.want.Name, tt.want.Collector = "r1", "a", tt.collector
			for _, c := range got {
				if c != tt.want {
					t.Errorf("got  %+v\nwant %+v", c, tt.want)
				}
			}
			want := 0
			if tt.want.Status == event.CheckUnknown {
				want = 1
			}
			if n := strings.Count(log, "the check does not work"); n != want {
				t.Errorf("logged %d times:\n%s", n, log)
			}
		})
	}
}

func TestAnErrorIsLoggedOnceUntilItChanges(t *testing.T) {
	run := 0
	f := newFake(func(context.Context, collect.Target, collect.Emit) error {
		run++
		switch {
		case run <= 3:
			return errors.New("first trouble")
		case run <= 6:
			return errors.New("second trouble")
		}
		return nil
	})
	got, log := results(t, 12, one("a", time.Minute, nil), f, &box{})
	if strings.Count(log, "first trouble") != 1 || strings.Count(log, "second trouble") != 1 || strings.Count(log, "works again") != 1 {
		t.Errorf("%s", log)
	}
	if last := got[len(got)-1]; last.Status != event.CheckOK {
		t.Errorf("%+v", last)
	}
}

// What the outbox does not take is the outbox's trouble, not the check's.
func TestWhatCannotBeKeptIsNotUnknown(t *testing.T) {
	b := &box{err: fault.New(fault.Exhausted, "the outbox is full")}
	f := newFake(func(ctx context.Context, t collect.Target, emit collect.Emit) error {
		return emit(ctx, collect.Metric(t.Device, event.TypePing, event.Ping{}))
	})
	got, log := results(t, 3, one("a", time.Minute, nil), f, b)
	if len(got) != 0 || strings.Count(log, "cannot be kept: the outbox is full") != 1 {
		t.Errorf("%v\n%s", got, log)
	}
}

func TestMessagesCarryTheTraceOfTheirRun(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	tel := telemetry.Nop()
	tel.Tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test")
	b := &box{}
	synctest.Test(t, func(t *testing.T) {
		f := newFake(func(ctx context.Context, t collect.Target, emit collect.Emit) error {
			return emit(ctx, collect.Metric(t.Device, event.TypePing, event.Ping{}))
		})
		s, stop := begin(tel, f, b)
		s.Apply(config(one("a", time.Hour, nil)))
		time.Sleep(time.Minute)
		stop()
	})
	ended := spans.Ended()
	if len(ended) != 1 || ended[0].Name() != telemetry.SpanCollect || len(b.got) != 2 {
		t.Fatalf("%d spans, %d messages", len(ended), len(b.got))
	}
	for _, e := range b.got {
		if e.TraceID() != ended[0].SpanContext().TraceID().String() {
			t.Errorf("%s has trace %q", e.Type, e.TraceParent)
		}
	}
}

func TestOneCheckOwnsReachability(t *testing.T) {
	check := func(collector, reachability string) api.PollerCheck {
		c := api.PollerCheck{Name: collector + reachability, Collector: collector, Params: map[string]string{}}
		if reachability != "" {
			c.Params[collect.ParamReachability] = reachability
		}
		return c
	}
	for name, tt := range map[string]struct {
		checks []api.PollerCheck
		owner  event.Entity
	}{
		"ping before all":                {[]api.PollerCheck{check("http", ""), check("snmp", ""), check("ping", "")}, "d/check/ping"},
		"the machine itself":             {[]api.PollerCheck{check("tcp", ""), check("host", "")}, "d/check/host"},
		"snmp without ping":              {[]api.PollerCheck{check("tcp", ""), check("snmp", "")}, "d/check/snmp"},
		"the one that is marked":         {[]api.PollerCheck{check("ping", ""), check("tcp", "true")}, "d/check/tcptrue"},
		"the first of two marked":        {[]api.PollerCheck{check("snmp", "true"), check("tcp", "true")}, "d/check/snmptrue"},
		"marked, and not in any list":    {[]api.PollerCheck{check("tcp", "false"), check("dns", "true")}, "d/check/dnstrue"},
		"a node before marks, [dns tcp]": {[]api.PollerCheck{check("dns", ""), check("tcp", "")}, "d/check/tcp"},
		"marked beside one before marks": {[]api.PollerCheck{check("dns", "true"), check("tcp", "")}, "d/check/dnstrue"},
		"all forbidden by the node":      {[]api.PollerCheck{check("ping", "false"), check("dns", "false")}, ""},
		"not the one that is forbidden":  {[]api.PollerCheck{check("ping", "false"), check("http", "")}, "d/check/http"},
		"none":                           {[]api.PollerCheck{check("ping", "false")}, ""},
		"a collector that cannot tell":   {[]api.PollerCheck{check("syslog", "")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, problems := checksOf(api.PollerConfig{Devices: []api.PollerDevice{{ID: "d", Checks: tt.checks}}})
			if len(problems) != 0 || len(got) != len(tt.checks) {
				t.Fatalf("%v %v", got, problems)
			}
			for entity, c := range got {
				want := strconv.FormatBool(entity == tt.owner)
				if got := c.target.Params[collect.ParamReachability]; got != want {
					t.Errorf("%s owns: %q, want %q", entity, got, want)
				}
			}
		})
	}
}

func TestChecksThatCannotBeRunAreNamed(t *testing.T) {
	cfg := config(one("a", 0, nil), one("a", 0, nil), one("", 0, nil), one(strings.Repeat("x", 200), 0, nil), one("b", time.Nanosecond, nil))
	got, problems := checksOf(cfg)
	if len(got) != 2 || len(problems) != 3 {
		t.Errorf("%d checks, problems %q", len(got), problems)
	}
	if a, b := got["r1/check/a"], got["r1/check/b"]; a.interval != defaultInterval || b.interval != minInterval {
		t.Errorf("intervals %s and %s", a.interval, b.interval)
	}
}
