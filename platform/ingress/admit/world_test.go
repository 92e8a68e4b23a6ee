package admit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/event"
	"midplane/schemas/catalog"
	"midplane/tenants/account"
)

const (
	changed   = "net.reachability.changed.v1"
	goodEvent = `{"device":"r1","from":"up","to":"down","message":"no answer"}`
	toEvents  = "in.syd-01.event.critical.r1." + changed
	inbox     = "_INBOX.syd-01.a.b"
)

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// acme is a tenant with one producer of every role.
func acme() *Snapshot {
	return &Snapshot{
		Tenant: "acme", Schemas: catalog.Set(), Capability: "secret", MaxMessage: 1000,
		Users: map[string]User{
			"syd-01":  {Role: account.RolePoller, Site: "syd"},
			"billing": {Role: account.RoleApp, Site: event.NoSite},
			"ops":     {Role: account.RoleInspector, Site: event.NoSite},
			"feed":    {Role: account.RoleProducer, Site: event.NoSite},
		},
	}
}

// wire is a header block as a client sends it, decoded as the door gets it.
func wire(block string) (map[string][]string, int) {
	if block == "" {
		return nil, 0
	}
	h, err := nats.DecodeHeadersMsg([]byte(block))
	if err != nil {
		h = nil
	}
	return h, len(block)
}

// block writes one header a line.
func block(lines ...string) string {
	return "NATS/1.0\r\n" + strings.Join(append(lines, "", ""), "\r\n")
}

// message is a good event of poller syd-01 with the given headers.
func message(headers ...string) Input {
	in := Input{Subject: toEvents, Reply: inbox, Data: []byte(goodEvent)}
	if len(headers) > 0 {
		in.Header, in.HeaderBytes = wire(block(headers...))
	}
	return in
}

func fixedID() string { return "made-here" }

func admit(t *Snapshot, producer event.Producer, in Input) (*Admitted, *Refusal) {
	return Admit(t, producer, in, noon, fixedID)
}

// wantRefusal fails unless r has the code and says every one of words.
func wantRefusal(t *testing.T, a *Admitted, r *Refusal, code Code, words ...string) {
	t.Helper()
	if r == nil {
		t.Fatalf("admitted as %s %v, want refusal %d", a.Msg.Subject, a.Msg.Header, code)
	}
	if a != nil {
		t.Fatal("both admitted and refused")
	}
	if r.Code != code {
		t.Fatalf("refused with %d %q, want %d", r.Code, r.Description, code)
	}
	for _, w := range words {
		if !strings.Contains(r.Description, w) {
			t.Errorf("the description %q does not say %q", r.Description, w)
		}
	}
}

func repeat(n int, format string) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf(format, i)
	}
	return out
}

func first(h map[string][]string, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}
