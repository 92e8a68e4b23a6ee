package subject

import (
	"strings"
	"testing"
)

// FuzzParseControl and its like take subjects as the services see them: what is
// parsed is built back to the very same subject, and no part of it is more than
// one token.
func FuzzParseControl(f *testing.F) {
	for _, s := range []string{"control.ACC.syd-01.config", "control.ACC.*.config", "control.A.b.c.d", "control...", "enrol.abc", "enrol.*", "enrol.a.b", "enrol.", "admin.admin.tenant.list", "admin.>.x", "core.primary-1.", "audit.x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if account, user, verb, err := ParseControl(s); err == nil {
			if "control."+account+"."+user+"."+verb != s || strings.Contains(account+user+verb, ".") {
				t.Fatalf("%q is %q, %q, %q", s, account, user, verb)
			}
		}
		if id, err := ParseEnrol(s); err == nil && (EnrolOf(id) != s || strings.ContainsAny(id, ".*> \t\r\n")) {
			t.Fatalf("%q is %q", s, id)
		}
		if door, name, verb, err := ParseRequest(s); err == nil && (Request(door, name, verb) != s || strings.ContainsAny(name, ".*> \t\r\n")) {
			t.Fatalf("%q is %q, %q, %q", s, door, name, verb)
		}
	})
}

// FuzzAudit builds the subject of a record from what a client may have chosen:
// it stays one literal subject with the tokens it was meant to have.
func FuzzAudit(f *testing.F) {
	f.Add("admin", "tenant.put")
	f.Add("", "")
	f.Add("*", ">")
	f.Add("a.b", "x.*.y z")
	f.Fuzz(func(t *testing.T, who, verb string) {
		s := Audit(who, verb)
		if strings.Count(s, ".") != 2+strings.Count(verb, ".") || strings.ContainsAny(s, "*> \t\r\n") {
			t.Fatalf("%q and %q are %q", who, verb, s)
		}
	})
}
