package control

import (
	"context"
	"strings"
	"testing"
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/platform/control/registry"
	"midplane/platform/node"
)

// What cannot be written down is not begun, and whoever asked is told so; what
// was done and cannot be written down is said by the node.
func TestActThatCannotBeRecorded(t *testing.T) {
	t.Parallel()
	l, cut := alone(t)
	did := 0
	act := l.recorded(api.UserCreate, func(context.Context, string, []byte) (any, error) { did++; return nil, nil })
	ask := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := act(ctx, "admin.ann.user.create", []byte(`{"tenant":"acme","name":"x"}`))
		return err
	}
	if err := ask(); err != nil || did != 1 || unrecordedProblem(&l.unrecorded) != "" {
		t.Fatalf("%v, done %d times", err, did)
	}
	cut()
	if err := ask(); !fault.Is(err, fault.Unavailable) || did != 1 || !strings.Contains(err.Error(), "nothing was done") || fault.HintOf(err) == "" {
		t.Errorf("%v, done %d times", err, did)
	}
	l.audit(t.Context(), api.AuditRecord{Verb: "x"})
	if got := unrecordedProblem(&l.unrecorded); !strings.Contains(got, "1 records") {
		t.Errorf("%q", got)
	}
}

// streamsOf is a server of which only the streams are asked.
type streamsOf struct {
	Server
	list []node.Stream
}

func (s streamsOf) Streams(string) []node.Stream { return s.list }

// A log that is filling up is said before it loses anything, and what it lost is
// counted.
func TestAuditProblems(t *testing.T) {
	const size = 1000
	for _, x := range []struct {
		stream         node.Stream
		severity, says string
	}{
		{node.Stream{Name: registry.StreamAudit, Leader: "n1", First: 1, Bytes: 800, MaxBytes: size}, "", ""},
		{node.Stream{Name: registry.StreamAudit, Leader: "n1", Bytes: 0, MaxBytes: size}, "", ""},
		{node.Stream{Name: registry.StreamAudit, Leader: "n1", First: 1, Bytes: 810, MaxBytes: size}, "warning", "81 % full"},
		{node.Stream{Name: registry.StreamAudit, Leader: "n1", First: 43, Bytes: 990, MaxBytes: size}, "notice", "oldest 42 records"},
		{node.Stream{Name: registry.StreamAudit, First: 1, Bytes: 10, MaxBytes: size}, "critical", "no leader"},
		{node.Stream{Name: "KV_STATUS", First: 50, Bytes: 990, MaxBytes: size}, "", ""},
	} {
		c := &Control{cfg: Config{Server: streamsOf{list: []node.Stream{x.stream}}}}
		got := c.auditProblems()
		if x.says == "" && len(got) == 0 {
			continue
		}
		if len(got) != 1 || got[0].Severity != x.severity || !strings.Contains(got[0].Message, x.says) || got[0].Hint == "" {
			t.Errorf("%+v: %+v", x.stream, got)
		}
	}
}

// Of a body only names and choices are taken, whatever else is in it.
func TestAboutRequest(t *testing.T) {
	for body, want := range map[string]string{
		`{"tenant":"acme","name":"app-1","role":"app","subscriptions":["a","b"],"publicKey":"U","seed":"S"}`: "acme app-1 role=app subscriptions=a,b",
		`{"spec":{"id":"globex","contact":"secret"},"revision":3}`:                                           "globex  ",
		`{"primary":"core-1"}`:                        " core-1 ",
		`{"tenant":7,"name":["x"],"poller":"syd-01"}`: " syd-01 ",
		`nonsense`: "  ", ``: "  ", `[]`: "  ", `{"password":"p","token":"t","value":"v"}`: "  ",
	} {
		rec := aboutRequest([]byte(body))
		if got := rec.Tenant + " " + rec.Target + " " + rec.Detail; got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
	if rec := aboutRequest([]byte(`{"name":"` + strings.Repeat("x", 100_000) + `"}`)); len(rec.Target) > maxAudit {
		t.Errorf("%d bytes", len(rec.Target))
	}
}
