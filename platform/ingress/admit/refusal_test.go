package admit

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/bus"
	"midplane/event"
	"midplane/fault"
	"midplane/streams"
	"midplane/subject"
	"midplane/tenants/account"
)

// Every code that the source declares has exactly one row, and every row a
// text, a status and a known reason.
func TestTableIsComplete(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "refusal.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			if id, ok := v.Type.(*ast.Ident); ok && id.Name == "Code" {
				declared++
			}
		}
		return true
	})
	seen := map[Code]bool{}
	for _, row := range Table {
		if seen[row.Code] {
			t.Errorf("%d stands twice", row.Code)
		}
		seen[row.Code] = true
		switch row.Status {
		case 400, 403, 413, 429, 503:
		default:
			t.Errorf("%d has the status %d", row.Code, row.Status)
		}
		if row.Text == "" || row.Reason != "" && !subject.ReasonOfIngress(row.Reason) {
			t.Errorf("%d: text %q, reason %q", row.Code, row.Text, row.Reason)
		}
		if ours := row.Code >= 24000 && row.Code < 25000; !ours && row.Code != CodeStreamFull && row.Code != CodeNodeFull {
			t.Errorf("%d is outside the documented range", row.Code)
		}
		if row.Status == 503 && row.Reason != "" {
			t.Errorf("%d: what is to be tried again is not a dead letter", row.Code)
		}
	}
	if declared != len(Table) {
		t.Errorf("%d codes are declared, %d are in the table", declared, len(Table))
	}
}

// Two codes are NATS' own, which package streams has by name: a client takes them
// for the stream's own refusals.
func TestTheCodesOfWhatIsFullAreTheStreams(t *testing.T) {
	if CodeUnknownType != bus.CodeUnknownType {
		t.Errorf("%d, but pollers wait for a newer node on %d", CodeUnknownType, bus.CodeUnknownType)
	}
	if CodeStreamFull != Code(streams.CodeStreamFull) {
		t.Errorf("%d, but a full stream answers %d", CodeStreamFull, streams.CodeStreamFull)
	}
	if CodeNodeFull != Code(streams.CodeNoResources) {
		t.Errorf("%d, but a full node answers %d", CodeNodeFull, streams.CodeNoResources)
	}
}

// The answer is what a stock client takes for a JetStream API error, and what
// our own client takes apart.
func TestPubAckOfARefusal(t *testing.T) {
	classes := map[int]fault.Kind{400: fault.Invalid, 403: fault.Denied, 413: fault.Invalid, 429: fault.Exhausted, 503: fault.Unavailable}
	for _, row := range Table {
		data := Refuse(row.Code, "because %s", `"x"`).PubAck("EVENTS")
		var ack struct {
			Stream string              `json:"stream"`
			Error  *jetstream.APIError `json:"error"`
		}
		if err := json.Unmarshal(data, &ack); err != nil || ack.Error == nil {
			t.Fatalf("%s: %v", data, err)
		}
		if ack.Stream != "EVENTS" || ack.Error.Code != row.Status || int(ack.Error.ErrorCode) != int(row.Code) || ack.Error.Description != `because "x"` {
			t.Errorf("%s", data)
		}
		_, err := bus.ParseAck(data)
		want := classes[row.Status]
		if row.Code == CodeStreamFull || row.Code == CodeNodeFull {
			want = fault.Exhausted
		}
		var api *jetstream.APIError
		if fault.KindOf(err) != want || !errors.As(err, &api) {
			t.Errorf("%d is taken for %s", row.Code, fault.KindOf(err))
		}
	}
}

// checkRefusal fails unless the answer and the dead letter of a refusal are
// what readers can take.
func checkRefusal(t *testing.T, s *Snapshot, producer event.Producer, m Input, r *Refusal) {
	t.Helper()
	if !clean(r.Description) || rowOf(r.Code).Text == "" {
		t.Fatalf("refusal %d %q", r.Code, r.Description)
	}
	if !json.Valid(r.PubAck("EVENTS")) {
		t.Fatalf("answer %s", r.PubAck("EVENTS"))
	}
	if r.Reason == "" {
		return
	}
	l := DeadLetter(s, m, producer, r, noon, "id")
	stored, ok := strings.CutPrefix(l.Subject, s.Capability.Prefix())
	st, err := subject.ParseStored(stored)
	if !ok || err != nil || st.Kind != event.KindDead || st.Producer != producer || st.DeadReason != r.Reason {
		t.Fatalf("dead letter at %q: %v", l.Subject, err)
	}
	checkHeaders(t, l.Header)
	if _, err := bus.Parse(stored, l.Header, l.Data); err != nil {
		t.Fatalf("dead letter: %v", err)
	}
	if l.Reply != "" || len(l.Data) > maxDeadLetter || l.Header["Nats-Msg-Id"] != nil {
		t.Fatalf("dead letter: reply %q, %d bytes, %v", l.Reply, len(l.Data), l.Header)
	}
}

func TestDeadLetters(t *testing.T) {
	snap := acme()
	for _, tc := range []struct {
		shows    string
		producer event.Producer
		in       Input
		subject  string
		headers  map[string]string
	}{
		{"a broken payload stands under its type and entity", "syd-01", Input{Subject: toEvents, Data: []byte(`{"device":"r1"}`)},
			"dead.EVENTS.schema.syd-01.r1." + changed,
			map[string]string{"ce-deadreason": "schema", "ce-deadcode": "24005", "ce-deadsize": "15", "ce-deadattempts": "1", "ce-deadtime": "2026-01-31T12:00:00Z",
				"ce-producer": "syd-01", "ce-site": "syd", "ce-source": account.UserIngress, "ce-type": changed}},
		{"a state's stands under STATE", "feed", Input{Subject: "in.feed.state.r1.no.such.v1", Data: []byte(`{}`)},
			"dead.STATE.unknown-type.feed.r1.no.such.v1", map[string]string{"ce-deadcode": "24006", "ce-site": "_"}},
		{"a subject that cannot be read stands under the producer", "syd-01", Input{Subject: "in.syd-01.nonsense", Data: []byte("x")},
			"dead.EVENTS.header.syd-01.syd-01.midplane.message.refused.v1", map[string]string{"ce-deadcode": "24001"}},
		{"an unknown producer has no site", "ghost", Input{Subject: "in.ghost.event.info.r1." + changed, Data: []byte("x")},
			"dead.EVENTS.denied.ghost.r1." + changed, map[string]string{"ce-site": "_", "ce-deadcode": "24030"}},
		{"what is too large is cut, and its size kept", "syd-01", Input{Subject: toEvents, Data: make([]byte, 100_000)},
			"dead.EVENTS.size.syd-01.r1." + changed, map[string]string{"ce-deadsize": "100000"}},
	} {
		t.Run(tc.shows, func(t *testing.T) {
			tc.in.Reply = "_INBOX." + string(tc.producer) + ".a"
			a, r := admit(snap, tc.producer, tc.in)
			if r == nil {
				t.Fatalf("admitted: %v", a)
			}
			checkRefusal(t, snap, tc.producer, tc.in, r)
			l := DeadLetter(snap, tc.in, tc.producer, r, noon, "id")
			if l.Subject != "w.secret."+tc.subject {
				t.Errorf("at %s, want w.secret.%s", l.Subject, tc.subject)
			}
			for name, want := range tc.headers {
				if got := first(l.Header, name); got != want {
					t.Errorf("%s = %q, want %q", name, got, want)
				}
			}
			if first(l.Header, "ce-deaddetail") == "" {
				t.Error("it does not say why")
			}
		})
	}
}
