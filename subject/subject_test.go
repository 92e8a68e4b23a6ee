package subject

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"midplane/event"
)

func genIn(t *rapid.T) In {
	in := In{
		Producer: event.Producer(rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?`).Draw(t, "producer")),
		Kind:     rapid.SampledFrom(event.Kinds[:]).Draw(t, "kind"),
		Entity:   event.Entity(rapid.StringMatching(`[ -~äß]{1,40}`).Draw(t, "entity")),
		Type:     event.Type(rapid.StringMatching(`[a-z][a-z0-9-]{0,8}(\.[a-z][a-z0-9]{0,8}){0,3}\.v[1-9]`).Draw(t, "type")),
	}
	switch in.Kind {
	case event.KindEvent:
		in.Severity = rapid.SampledFrom(event.Severities[:]).Draw(t, "severity")
	case event.KindDead:
		in.DeadStream = rapid.SampledFrom(event.Streams[:]).Draw(t, "stream")
		in.DeadReason = rapid.SampledFrom(appReasons).Draw(t, "reason")
	}
	return in
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := genIn(t)
		back, err := ParseIn(in.String())
		if err != nil || back != in {
			t.Fatalf("ParseIn(%q) = %+v, %v", in.String(), back, err)
		}
		site := event.Site(rapid.SampledFrom([]string{"_", "syd", "a-1"}).Draw(t, "site"))
		st := in.StoredAs(site)
		stBack, err := ParseStored(st.String())
		if err != nil || stBack != st {
			t.Fatalf("ParseStored(%q) = %+v, %v", st.String(), stBack, err)
		}
	})
}

// A parsed subject builds to the same bytes: no two subjects mean one thing.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"in.syd-01.event.warning.r1.net.reachability.changed.v1",
		"in.syd-01.state.r1%2Fif%2F2.net.interface.status.v1",
		"in.app.dead.EVENTS.invalid.r1.x.v1",
		"in.*.state.r1.x.v1", "in.a.state..x.v1", "in.a.state.%2f.x.v1", "in.a.state.r1.>",
		"event._.info.r1.x.v1", "dead.EVENTS.schema.p.r1.x.v1", "state.syd.r1.x.v1",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if in, err := ParseIn(s); err == nil {
			if in.String() != s {
				t.Fatalf("%q builds to %q", s, in.String())
			}
			literal(t, s)
		}
		if st, err := ParseStored(s); err == nil {
			if st.String() != s {
				t.Fatalf("%q builds to %q", s, st.String())
			}
			literal(t, s)
		}
	})
}

func literal(t *testing.T, s string) {
	t.Helper()
	for _, token := range strings.Split(s, ".") {
		if token == "" || strings.ContainsAny(token, "*> \t\r\n") {
			t.Fatalf("accepted a subject with a wildcard, blank or empty token: %q", s)
		}
	}
}

func TestParseInRefuses(t *testing.T) {
	for _, s := range []string{
		"", "in", "in.", "in.*", "in.a", "in.a.event", "in.a.event.loud.r1.x.v1", "in.a.state.r1.noversion",
		"in.A.state.r1.x.v1", "in.a.dead.FOO.invalid.r1.x.v1", "in.a.dead.EVENTS.schema.r1.x.v1",
		"in.a.state.r1.x.v1.", "in.a.state.r1.x.*", "in.a.state.r1.X.v1", "in.a.state.r%31.x.v1",
		"w.a.state.r1.x.v1", "in.a.state." + strings.Repeat("a", 200) + ".x.v1",
	} {
		if in, err := ParseIn(s); err == nil {
			t.Errorf("ParseIn(%q) = %+v, want an error", s, in)
		}
	}
}

func TestFilter(t *testing.T) {
	for _, tc := range []struct{ got, want string }{
		{Filter(event.KindEvent, "", "", ""), "event.*.*.*.>"},
		{Filter(event.KindEvent, "syd", event.Critical, "net.interface"), "event.syd.critical.*.net.interface.>"},
		{Filter(event.KindState, "", "", "net.reachability.v1"), "state.*.*.net.reachability.v1"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %q, want %q", tc.got, tc.want)
		}
	}
}

func TestRequests(t *testing.T) {
	door, name, verb, err := ParseRequest(Request(DoorAdmin, "ops", "tenant.put"))
	if err != nil || door != "admin" || name != "ops" || verb != "tenant.put" {
		t.Fatal(door, name, verb, err)
	}
	acc, user, verb, err := ParseControl("control.AABC.syd-01.config")
	if err != nil || acc != "AABC" || user != "syd-01" || verb != "config" {
		t.Fatal(acc, user, verb, err)
	}
	if _, _, _, err := ParseControl("control.AABC.syd-01.config.more"); err == nil {
		t.Fatal("a control request with five tokens was accepted")
	}
}
