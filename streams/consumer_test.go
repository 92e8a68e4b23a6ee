package streams_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"

	"midplane/event"
	"midplane/fault"
	"midplane/streams"
	"midplane/subject"
)

func TestFilters(t *testing.T) {
	sev := func(s ...event.Severity) []event.Severity { return s }
	for _, tc := range []struct {
		kind  event.Kind
		sev   []event.Severity
		types []string
		sites []event.Site
		want  string
	}{
		{event.KindEvent, nil, nil, nil, "event.*.*.*.>"},
		{event.KindEvent, sev("critical", "error"), []string{"net.reachability"}, []event.Site{"syd"},
			"event.syd.critical.*.net.reachability.> event.syd.error.*.net.reachability.>"},
		{event.KindEvent, nil, []string{"net", "net.reachability", "net.x.v1", "network.y.v1"}, nil,
			"event.*.*.*.net.> event.*.*.*.network.y.v1"},
		{event.KindState, nil, []string{"a.v1", "a.v1.b.v1"}, []event.Site{"syd", "mel", "syd"},
			"state.mel.*.a.v1 state.mel.*.a.v1.b.v1 state.syd.*.a.v1 state.syd.*.a.v1.b.v1"},
		{event.KindDead, nil, []string{"net"}, nil, "dead.*.*.*.*.net.>"},
	} {
		got, err := streams.Filters(tc.kind, tc.sev, tc.types, tc.sites)
		if err != nil || strings.Join(got, " ") != tc.want {
			t.Errorf("got %v, %v\nwant %s", got, err, tc.want)
		}
	}
}

func TestFiltersRefuse(t *testing.T) {
	many := make([]event.Site, 300)
	for i := range many {
		many[i] = event.Site("s" + strings.Repeat("x", i%50) + string(rune('a'+i/50)))
	}
	for name, f := range map[string]func() ([]string, error){
		"kind":         func() ([]string, error) { return streams.Filters("x", nil, nil, nil) },
		"severity":     func() ([]string, error) { return streams.Filters("event", []event.Severity{"loud"}, nil, nil) },
		"not an event": func() ([]string, error) { return streams.Filters("state", []event.Severity{"info"}, nil, nil) },
		"wildcard":     func() ([]string, error) { return streams.Filters("event", nil, []string{"net.>"}, nil) },
		"empty":        func() ([]string, error) { return streams.Filters("event", nil, []string{""}, nil) },
		"site":         func() ([]string, error) { return streams.Filters("event", nil, nil, []event.Site{"*"}) },
		"dead by site": func() ([]string, error) { return streams.Filters("dead", nil, nil, []event.Site{"syd"}) },
		"too many":     func() ([]string, error) { return streams.Filters("event", nil, nil, many) },
	} {
		if got, err := f(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// Every wanted message matches exactly one filter, and no other message does.
func TestFiltersMatchOnce(t *testing.T) {
	types := []string{"net", "net.reachability", "net.reachability.v1", "net.reachability.changed.v1", "host.load.v1", "net.v1", "net.v1.x.v1"}
	sites := []event.Site{"syd", "mel", "_"}
	rapid.Check(t, func(t *rapid.T) {
		subset := func(n int, label string) []int {
			return rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), 0, n, rapid.ID[int]).Draw(t, label)
		}
		var sev []event.Severity
		for _, i := range subset(8, "severities") {
			sev = append(sev, event.Severities[i])
		}
		var typ []string
		for _, i := range subset(len(types), "types") {
			typ = append(typ, types[i])
		}
		var site []event.Site
		for _, i := range subset(3, "sites") {
			site = append(site, sites[i])
		}
		filters, err := streams.Filters(event.KindEvent, sev, typ, site)
		if err != nil {
			t.Fatal(err)
		}
		st := subject.Stored{Site: rapid.SampledFrom(sites).Draw(t, "site"), In: subject.In{
			Kind: event.KindEvent, Severity: rapid.SampledFrom(event.Severities[:]).Draw(t, "severity"), Entity: "r1",
			Type: event.Type(rapid.SampledFrom(types[2:]).Draw(t, "type")),
		}}
		want := 0
		if (len(sev) == 0 || slices.Contains(sev, st.Severity)) && (len(site) == 0 || slices.Contains(site, st.Site)) &&
			(len(typ) == 0 || slices.ContainsFunc(typ, func(x string) bool {
				return x == string(st.Type) || event.CheckType(event.Type(x)) != nil && strings.HasPrefix(string(st.Type), x+".")
			})) {
			want = 1
		}
		got := 0
		for _, f := range filters {
			if matches(f, st.String()) {
				got++
			}
		}
		if got != want {
			t.Fatalf("%s matches %d of %v, want %d", st, got, filters, want)
		}
	})
}

func matches(filter, subj string) bool {
	f, s := strings.Split(filter, "."), strings.Split(subj, ".")
	for i, token := range f {
		if token == ">" {
			return len(s) > i
		}
		if i >= len(s) || token != "*" && token != s[i] {
			return false
		}
	}
	return len(f) == len(s)
}

func TestEnsureConsumers(t *testing.T) {
	ctx := testContext(t)
	_, _, js := broker(t)
	if _, err := streams.Ensure(ctx, js, streams.Tenant(limits(), "cap")); err != nil {
		t.Fatal(err)
	}
	filters, err := streams.Filters(event.KindEvent, []event.Severity{"critical", "error"}, []string{"net", "host.load.v1"}, []event.Site{"syd"})
	if err != nil {
		t.Fatal(err)
	}
	outages := streams.Durable("billing", "outages", event.StreamEvents, filters)
	all := streams.Durable("billing", "all", event.StreamEvents, nil)
	foreign := jetstream.ConsumerConfig{Durable: "mine", AckPolicy: jetstream.AckExplicitPolicy}
	if _, err := js.CreateConsumer(ctx, event.StreamEvents, foreign); err != nil {
		t.Fatal(err)
	}
	run := func(want ...jetstream.ConsumerConfig) string {
		t.Helper()
		steps, err := streams.EnsureConsumers(ctx, js, event.StreamEvents, want)
		if err != nil {
			t.Fatal(err)
		}
		return verbs(steps)
	}
	if got := run(outages, all); got != "create consumer EVENTS/billing_outages\ncreate consumer EVENTS/billing_all" {
		t.Fatal(got)
	}
	if got := run(outages, all); got != "" {
		t.Fatalf("the second time: %s", got)
	}
	narrower := outages
	narrower.FilterSubjects = filters[:1]
	if got := run(narrower); got != "delete consumer EVENTS/billing_all\nupdate consumer EVENTS/billing_outages: filter "+
		"[event.syd.critical.*.host.load.v1 event.syd.critical.*.net.> event.syd.error.*.host.load.v1 event.syd.error.*.net.>] → [event.syd.critical.*.host.load.v1]" {
		t.Fatal(got)
	}
	if got := run(narrower); got != "" {
		t.Fatalf("the second time: %s", got)
	}
	c, err := js.Consumer(ctx, event.StreamEvents, "billing_outages")
	if err != nil {
		t.Fatal(err)
	}
	if cfg := c.CachedInfo().Config; cfg.AckWait != streams.AckWait || cfg.MaxDeliver != 10 || cfg.MaxAckPending != 1000 ||
		cfg.AckPolicy != jetstream.AckExplicitPolicy || cfg.DeliverPolicy != jetstream.DeliverAllPolicy {
		t.Fatalf("%+v", cfg)
	}
	if got := run(); got != "delete consumer EVENTS/billing_outages" {
		t.Fatal(got)
	}
	if _, err := js.Consumer(ctx, event.StreamEvents, "mine"); err != nil {
		t.Fatalf("a consumer that is not ours: %v", err)
	}
	if _, err := streams.EnsureConsumers(ctx, js, "NONE", nil); !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
}
