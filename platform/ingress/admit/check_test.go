package admit

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"midplane/event"
	"midplane/tenants/account"
)

func TestScreen(t *testing.T) {
	for _, tc := range []struct {
		shows, subject, reply string
		want                  Drop
	}{
		{"an ordinary publish is looked at", toEvents, inbox, DropNone},
		{"what follows the producer is Admit's to judge", "in.syd-01.>", inbox, DropNone},
		{"another branch", "event.syd.critical.r1.x.v1", inbox, DropSubject},
		{"no producer", "in.", inbox, DropSubject},
		{"producer alone", "in.syd-01", inbox, DropSubject},
		{"empty producer", "in..event", inbox, DropSubject},
		{"wildcard producer", "in.*.event.x", inbox, DropSubject},
		{"full wildcard producer", "in.>.event.x", inbox, DropSubject},
		{"upper-case producer", "in.Syd.event.x", inbox, DropSubject},
		{"producer with a line feed", "in.syd\n.event.x", inbox, DropSubject},
		{"no reply: a refusal would reach no one", toEvents, "", DropNoReply},
		{"another's inbox", toEvents, "_INBOX.syd-02.a", DropReply},
		{"an inbox whose name only begins alike", toEvents, "_INBOX.syd-01x.a", DropReply},
		{"the prefix without its final dot", toEvents, "_INBOX.syd-01", DropReply},
		{"the prefix with nothing behind it", toEvents, "_INBOX.syd-01.", DropReply},
		{"the system's inbox", toEvents, "_INBOX.midplane-control.a", DropReply},
		{"a stream's stored subject", toEvents, "event.syd.critical.r1.x.v1", DropReply},
		{"a stream's listening subject", toEvents, "w.secret.event.syd.critical.r1.x.v1", DropReply},
		{"the ingress itself", toEvents, toEvents, DropReply},
		{"the control channel", toEvents, "control.syd-01.config", DropReply},
		{"the JetStream API", toEvents, "$JS.API.STREAM.PURGE.EVENTS", DropReply},
		{"an ack", toEvents, "$JS.ACK.EVENTS.c.1.1.1.1.1", DropReply},
		{"a service reply", toEvents, "_R_.abc", DropReply},
		{"a star in the reply", toEvents, "_INBOX.syd-01.*", DropReply},
		{"a star inside a token", toEvents, "_INBOX.syd-01.a*", DropReply},
		{"a full wildcard in the reply", toEvents, "_INBOX.syd-01.>", DropReply},
		{"an empty token", toEvents, "_INBOX.syd-01.a..b", DropReply},
		{"a final dot", toEvents, "_INBOX.syd-01.a.", DropReply},
		{"a blank", toEvents, "_INBOX.syd-01.a b", DropReply},
		{"a tab", toEvents, "_INBOX.syd-01.a\tb", DropReply},
		{"a line feed", toEvents, "_INBOX.syd-01.a\r\nPUB", DropReply},
		{"a delete character", toEvents, "_INBOX.syd-01.a\x7f", DropReply},
		{"fast batch flow control", toEvents, "_INBOX.syd-01.a.$FI", DropReply},
		{"200 bytes", toEvents, "_INBOX.syd-01." + strings.Repeat("a", 186), DropNone},
		{"201 bytes", toEvents, "_INBOX.syd-01." + strings.Repeat("a", 187), DropReply},
	} {
		t.Run(tc.shows, func(t *testing.T) {
			producer, got := Screen(tc.subject, tc.reply)
			if got != tc.want {
				t.Fatalf("Screen(%q, %q) = %q, want %q", tc.subject, tc.reply, got, tc.want)
			}
			if tc.want != DropSubject && producer != "syd-01" {
				t.Fatalf("producer %q", producer)
			}
		})
	}
}

func TestAdmitStamps(t *testing.T) {
	a, r := admit(acme(), "syd-01", message("Nats-Msg-Id: syd-01/1/EVENTS/7", "ce-id: syd-01/1/EVENTS/7", "ce-time: 2026-01-31T11:59:58Z",
		"ce-epoch: 1", "ce-sequence: 7", "ce-low: 6", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate: a=b",
		"Content-Type: application/json", "Nats-Expected-Stream: EVENTS", "baggage: secret=1", "ce-Subject: r1"))
	if r != nil {
		t.Fatal(r.Description)
	}
	want := Message{
		Subject: "w.secret.event.syd.critical.r1." + changed, Reply: inbox, Data: []byte(goodEvent),
		Header: map[string][]string{
			"Nats-Msg-Id": {"syd-01/1/EVENTS/7"}, "Nats-Required-Api-Level": {"1000000"}, "content-type": {"application/json"},
			"ce-specversion": {"1.0"}, "ce-id": {"syd-01/1/EVENTS/7"}, "ce-type": {changed}, "ce-source": {"syd-01"}, "ce-time": {"2026-01-31T11:59:58Z"},
			"ce-epoch": {"1"}, "ce-sequence": {"7"}, "ce-low": {"6"}, "traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
			"tracestate": {"a=b"}, "ce-subject": {"r1"}, "ce-producer": {"syd-01"}, "ce-site": {"syd"}, "ce-schemaversion": {"1"}, "ce-received": {"2026-01-31T12:00:00Z"},
		},
	}
	if d := cmp.Diff(want.Header, a.Msg.Header); d != "" {
		t.Error(d)
	}
	if a.Msg.Subject != want.Subject || a.Msg.Reply != want.Reply || string(a.Msg.Data) != goodEvent {
		t.Errorf("%s %s %s", a.Msg.Subject, a.Msg.Reply, a.Msg.Data)
	}
}

func TestAdmitFillsInWhatIsLeftOut(t *testing.T) {
	a, r := admit(acme(), "feed", Input{Subject: "in.feed.event.info.r1." + changed, Reply: "_INBOX.feed.a", Data: []byte(goodEvent)})
	if r != nil {
		t.Fatal(r.Description)
	}
	for name, want := range map[string]string{"ce-id": "made-here", "ce-time": "2026-01-31T12:00:00Z", "ce-site": "_", "ce-source": "feed", "ce-specversion": "1.0", "Nats-Msg-Id": ""} {
		if got := first(a.Msg.Header, name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestAdmitRefuses(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 10_000)
	for _, tc := range []struct {
		shows    string
		producer event.Producer
		in       Input
		code     Code
		words    []string
	}{
		{"a producer that the registry does not know", "ghost", Input{Subject: "in.ghost.event.info.r1." + changed, Data: []byte(goodEvent)}, CodeProducer, []string{"ghost", "user create"}},
		{"an unknown kind", "syd-01", Input{Subject: "in.syd-01.log.r1.x.v1", Data: []byte(goodEvent)}, CodeSubject, []string{"log"}},
		{"an unknown severity", "syd-01", Input{Subject: "in.syd-01.event.loud.r1." + changed, Data: []byte(goodEvent)}, CodeSubject, []string{"loud"}},
		{"a wildcard for an entity", "syd-01", Input{Subject: "in.syd-01.state.*.net.reachability.v1", Data: []byte(goodEvent)}, CodeSubject, nil},
		{"a subject that ends in a wildcard", "syd-01", Input{Subject: "in.syd-01.>", Data: []byte(goodEvent)}, CodeSubject, nil},
		{"a second spelling of an entity", "syd-01", Input{Subject: "in.syd-01.state.r%31.net.reachability.v1", Data: []byte(goodEvent)}, CodeSubject, nil},
		{"a subject beyond its length", "syd-01", Input{Subject: "in.syd-01.state." + strings.Repeat("a", 600) + ".x.v1", Data: []byte(goodEvent)}, CodeSubject, nil},
		{"no payload", "syd-01", Input{Subject: toEvents}, CodeEmpty, nil},
		{"an unknown type", "syd-01", Input{Subject: "in.syd-01.event.info.r1.no.such.v1", Data: []byte(goodEvent)}, CodeUnknownType, []string{"no.such.v1"}},
		{"a type of another kind", "syd-01", Input{Subject: "in.syd-01.state.r1." + changed, Data: []byte(goodEvent)}, CodeKind, []string{"event", "state"}},
		{"a field that is missing", "syd-01", Input{Subject: toEvents, Data: []byte(`{"device":"r1"}`)}, CodeSchema, []string{changed, "/from", "required"}},
		{"a field that is not in the schema", "syd-01", Input{Subject: toEvents, Data: []byte(`{"device":"r1","from":"up","to":"down","message":"m","x":1}`)}, CodeSchema, []string{"/x"}},
		{"no JSON", "syd-01", Input{Subject: toEvents, Data: []byte("hello")}, CodeSchema, nil},
		{"JSON without an end", "syd-01", Input{Subject: toEvents, Data: []byte(`{"device":`)}, CodeSchema, nil},
		{"two JSON values", "syd-01", Input{Subject: toEvents, Data: []byte(goodEvent + goodEvent)}, CodeSchema, nil},
		{"more than the tenant's message size", "syd-01", Input{Subject: toEvents, Data: make([]byte, 1001)}, CodeSize, []string{"1001", "1000"}},
		{"very deep JSON", "syd-01", Input{Subject: toEvents, Data: []byte(deep[:1000])}, CodeSchema, nil},
		{"a dead letter of a poller", "syd-01", Input{Subject: "in.syd-01.dead.EVENTS.invalid.r1." + changed, Data: []byte("x")}, CodeRole, []string{"poller"}},
		{"a dead letter of a producer", "feed", Input{Subject: "in.feed.dead.EVENTS.invalid.r1." + changed, Data: []byte("x")}, CodeRole, nil},
		{"a dead letter with the ingress' reason", "billing", Input{Subject: "in.billing.dead.EVENTS.schema.r1." + changed, Data: []byte("x")}, CodeSubject, nil},
		{"a dead letter larger than one message", "billing", Input{Subject: "in.billing.dead.EVENTS.invalid.r1." + changed, Data: make([]byte, account.MaxPayload)}, CodeSize, nil},
	} {
		t.Run(tc.shows, func(t *testing.T) {
			tc.in.Reply = "_INBOX." + string(tc.producer) + ".a"
			a, r := admit(acme(), tc.producer, tc.in)
			wantRefusal(t, a, r, tc.code, tc.words...)
		})
	}
}

// Applications and inspectors give messages up; the payload is not validated
// and the source is the original's.
func TestAdmitDeadLetters(t *testing.T) {
	for _, producer := range []event.Producer{"billing", "ops"} {
		h, n := wire(block("ce-source: syd-01", "content-type: text/plain", "ce-deadreason: cannot decode"))
		a, r := admit(acme(), producer, Input{Subject: "in." + string(producer) + ".dead.EVENTS.decode.r1." + changed, Reply: "_INBOX." + string(producer) + ".a",
			Header: h, HeaderBytes: n, Data: []byte("not JSON at all, and longer than the tenant's message size" + strings.Repeat(".", 2000))})
		if r != nil {
			t.Fatal(r.Description)
		}
		if want := "w.secret.dead.EVENTS.decode." + string(producer) + ".r1." + changed; a.Msg.Subject != want {
			t.Errorf("%s, want %s", a.Msg.Subject, want)
		}
		if first(a.Msg.Header, "ce-source") != "syd-01" || first(a.Msg.Header, "content-type") != "text/plain" || first(a.Msg.Header, "ce-producer") != string(producer) {
			t.Error(a.Msg.Header)
		}
	}
}

// Under "warn" what breaks its schema is stored and says so; everything else
// is refused all the same.
func TestAdmitWarns(t *testing.T) {
	snap := acme()
	snap.Warn = true
	for _, tc := range []struct{ shows, subject, data, says string }{
		{"a broken payload", toEvents, `{"device":"r1"}`, "required"},
		{"an unknown type", "in.syd-01.event.info.r1.no.such.v1", `{}`, "no.such.v1"},
		{"a type of another kind", "in.syd-01.state.r1." + changed, goodEvent, "kind"},
	} {
		t.Run(tc.shows, func(t *testing.T) {
			a, r := admit(snap, "syd-01", Input{Subject: tc.subject, Reply: inbox, Data: []byte(tc.data)})
			if r != nil {
				t.Fatal(r.Description)
			}
			if v := first(a.Msg.Header, "ce-violation"); !strings.Contains(v, tc.says) || !clean(v) {
				t.Errorf("ce-violation %q does not say %q", v, tc.says)
			}
			if first(a.Msg.Header, "ce-schemaversion") != "" {
				t.Error("it is stamped with a version of its schema")
			}
		})
	}
	a, r := admit(snap, "syd-01", Input{Subject: toEvents, Reply: inbox, Data: make([]byte, 1001)})
	wantRefusal(t, a, r, CodeSize)
	a, r = admit(snap, "syd-01", Input{Subject: toEvents, Reply: inbox})
	wantRefusal(t, a, r, CodeEmpty)
}

// A stranger's text in a description cannot break a log line or a terminal.
func TestDescriptionsArePrintable(t *testing.T) {
	for _, name := range []string{"x\x1b[31m", "x\u009b31m", "x\u202egnp", "x\u2028y", "x\xff", strings.Repeat("é", 100)} {
		h := nats.Header{name: {"1"}}
		_, r := headers(h, 40)
		if r == nil {
			t.Fatalf("header %q was taken", name)
		}
		if !clean(r.Description) || strings.ContainsAny(r.Description, "\u202e\u2028\x1b") {
			t.Errorf("description %q", r.Description)
		}
	}
}
