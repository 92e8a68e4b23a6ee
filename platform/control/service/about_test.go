package service

import (
	"strings"
	"testing"

	"midplane/platform/control/auditlog"
)

// Of a body only names and choices are taken, no matter what else is in it.
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
	if rec := aboutRequest([]byte(`{"name":"` + strings.Repeat("x", 100_000) + `"}`)); len(rec.Target) > auditlog.MaxField {
		t.Errorf("%d bytes", len(rec.Target))
	}
}
