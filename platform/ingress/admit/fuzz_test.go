package admit

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"midplane/bus"
	"midplane/event"
	"midplane/subject"
)

// outgoing are all the headers that may leave the door, besides extensions.
var outgoing = map[string]bool{
	"Nats-Msg-Id": true, "Nats-Required-Api-Level": true, "content-type": true, "traceparent": true, "tracestate": true,
	"ce-specversion": true, "ce-id": true, "ce-source": true, "ce-type": true, "ce-time": true, "ce-epoch": true, "ce-sequence": true, "ce-low": true,
	"ce-producer": true, "ce-site": true, "ce-schemaversion": true, "ce-received": true, "ce-violation": true,
}

// checkHeaders fails unless every header is on the list once, in any
// case, and no value could end its line.
func checkHeaders(t *testing.T, h map[string][]string) {
	t.Helper()
	seen := map[string]bool{}
	for name, values := range h {
		lower := strings.ToLower(name)
		ext, isExt := strings.CutPrefix(name, "ce-")
		switch {
		case !outgoing[name] && (!isExt || !extensionName(ext)):
			t.Fatalf("header %q is not on the list", name)
		case len(values) != 1 || seen[lower]:
			t.Fatalf("header %q stands more than once: %q", name, values)
		case !utf8.ValidString(values[0]) || strings.IndexFunc(values[0], unicode.IsControl) >= 0:
			t.Fatalf("header %q has the value %q", name, values[0])
		}
		seen[lower] = true
	}
}

// checkAdmitted fails unless a is what a producer may have stored, and no more.
func checkAdmitted(t *testing.T, s *Snapshot, producer event.Producer, in Input, a *Admitted) {
	t.Helper()
	user := s.Users[string(producer)]
	stored, ok := strings.CutPrefix(a.Msg.Subject, s.Capability.Prefix())
	if !ok {
		t.Fatalf("%q is not under the capability", a.Msg.Subject)
	}
	st, err := subject.ParseStored(stored)
	if err != nil || st.String() != stored {
		t.Fatalf("stored subject %q: %v", stored, err)
	}
	if st.Kind == event.KindDead && st.Producer != producer || st.Kind != event.KindDead && st.Site != user.Site {
		t.Fatalf("%s is not %s's own, of site %s", stored, producer, user.Site)
	}
	if _, drop := Screen(in.Subject, a.Msg.Reply); drop != DropNone || a.Msg.Reply != in.Reply {
		t.Fatalf("reply %q", a.Msg.Reply)
	}
	checkHeaders(t, a.Msg.Header)
	e, err := bus.Parse(stored, a.Msg.Header, a.Msg.Data)
	if err != nil {
		t.Fatalf("what was admitted does not parse: %v", err)
	}
	if e.Producer != producer || e.MsgID != "" && !strings.HasPrefix(e.MsgID, string(producer)+"/") {
		t.Fatalf("producer %q, message id %q", e.Producer, e.MsgID)
	}
	if _, err := e.Time.UTC().MarshalJSON(); err != nil || e.Time.UnixNano() < 0 {
		t.Fatalf("time %v: %v", e.Time, err)
	}
	if string(a.Msg.Data) != string(in.Data) {
		t.Fatal("the payload was touched")
	}
	// What goes out reads back as what was meant: no header hides in another.
	h, err := nats.DecodeHeadersMsg(wireOf(a.Msg))
	if err != nil || len(h) != len(a.Msg.Header) {
		t.Fatalf("%d headers go out, %d arrive: %v", len(a.Msg.Header), len(h), err)
	}
	checkHeaders(t, h)
}

// wireOf writes headers as the client does.
func wireOf(m Message) []byte {
	var b strings.Builder
	b.WriteString("NATS/1.0\r\n")
	for k, vs := range m.Header {
		for _, v := range vs {
			b.WriteString(k + ": " + v + "\r\n")
		}
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}

func FuzzAdmit(f *testing.F) {
	good := block("Nats-Msg-Id: syd-01/1/EVENTS/7", "ce-time: 2026-01-31T11:59:58Z", "ce-epoch: 1", "ce-sequence: 7", "ce-low: 6")
	for _, s := range []struct{ subject, reply, block, data string }{
		{toEvents, inbox, good, goodEvent},
		{toEvents, inbox, "", goodEvent},
		{toSeen, inbox, block("Nats-Msg-Id: "+seenID, "ce-time: 2026-01-31T11:59:58.25Z", "ce-low: 6"), goodSeen},
		{toSeen, inbox, block("Nats-Msg-Id: "+seenID, "ce-low: 6", "ce-epoch: 1", "ce-sequence: 7", "traceparent: "+sampled), goodSeen},
		{"in.billing.dead.EVENTS.decode.r1." + changed, "_INBOX.billing.x", block("ce-source: a"), "x"},
		{"in.feed.state.r%2F1.net.reachability.v1", "_INBOX.feed.x", block("CE-Id: 1"), `{"device":"r1","status":"up","method":"ping"}`},
		{"in.*.event.info.r1.x.v1", "_INBOX.*.x", block("Nats-Rollup: all"), "{}"},
		{toEvents, "event.syd.info.r1.x.v1", "NATS/1.0 503\r\n\r\n", ""},
		{toEvents, inbox, good + "NATS/1.0\r\nNats-Rollup: all\r\n\r\n", goodEvent},
		{toEvents, inbox, block("ce-id:1", "ce-time:0000-01-01T00:00:00+23:59"), goodEvent},
	} {
		f.Add(s.subject, s.reply, s.block, []byte(s.data), false)
		f.Add(s.subject, s.reply, s.block, []byte(s.data), true)
	}
	f.Fuzz(func(t *testing.T, subj, reply, block string, data []byte, warn bool) {
		producer, drop := Screen(subj, reply)
		if drop != DropNone {
			return
		}
		snap := acme()
		snap.Warn = warn
		in := Input{Subject: subj, Reply: reply, Data: data}
		in.Header, in.HeaderBytes = wire(block)
		a, r := admit(snap, producer, in)
		if (a == nil) == (r == nil) {
			t.Fatal("neither or both of admitted and refused")
		}
		if r != nil {
			checkRefusal(t, snap, producer, in, r)
			return
		}
		checkAdmitted(t, snap, producer, in, a)
	})
}

// FuzzHeaders is the header reader alone: it never panics, and what it takes
// is on the list and agrees with its size.
func FuzzHeaders(f *testing.F) {
	for _, s := range []string{
		block("ce-id: 1"), block("ce-id: 1", "CE-ID: 2"), block("ce-id:1", ":x"), "NATS/1.0 404 No\r\n\r\n", "NATS/1.0\n\n",
		block("ce-id: 1") + block("Nats-Rollup: all"), block("Nats-Msg-Id: a/1", "traceparent: x", "baggage: y"),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b string) {
		h, n := wire(b)
		env, r := headers(h, n)
		if (env == nil) == (r == nil) {
			t.Fatal("neither or both of taken and refused")
		}
		if r != nil {
			if !clean(r.Description) {
				t.Fatalf("description %q", r.Description)
			}
			return
		}
		for _, e := range env.extensions {
			if !strings.HasPrefix(e.name, "ce-") || !clean(e.value) || outgoing[e.name] {
				t.Fatalf("extension %q: %q", e.name, e.value)
			}
		}
	})
}
