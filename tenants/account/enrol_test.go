package account

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/jwt/v2"
)

// ENROL has what redeeming takes, and CONTROL's word that it may import it.
func TestEnrol(t *testing.T) {
	w := newWorld(t)
	keys := must(NewKeys(EnrolRoles))(t)
	token, err := w.signer.Enrol(keys, w.control)
	c := claimsOf(t, token, err)
	if len(c.Imports) != 1 || c.Imports[0].Account != w.control.Public || c.Imports[0].Subject != "enrol.*" || len(c.Exports) != 0 {
		t.Fatalf("%+v %+v", c.Imports, c.Exports)
	}
	act, err := jwt.DecodeActivationClaims(c.Imports[0].Token)
	if err != nil || act.Subject != keys.Public || act.Issuer != w.control.Public || act.ImportSubject != "enrol.*" {
		t.Errorf("%+v: %v", act, err)
	}
	if c.Limits.Conn <= 0 || c.Limits.Subs <= 0 || c.Limits.NatsLimits.Payload != 2048 || !c.Limits.DisallowBearer {
		t.Errorf("%+v", c.Limits)
	}
	role := enrolTemplates()[RoleToken]
	if role.Subs != 1 || role.Payload != 2048 || !cmp.Equal(role.AllowedConnectionTypes, jwt.StringList{jwt.ConnectionTypeStandard}) {
		t.Errorf("%+v", role)
	}
}

// A deployment that was made without ENROL comes to the same keys everywhere,
// and only with CONTROL's.
func TestDerived(t *testing.T) {
	w := newWorld(t)
	a, b := must(Derived(w.control, "ENROL", EnrolRoles))(t), must(Derived(w.control, "ENROL", EnrolRoles))(t)
	if d := cmp.Diff(a, b); d != "" {
		t.Error(d)
	}
	other, name := must(Derived(w.sys, "ENROL", EnrolRoles))(t), must(Derived(w.control, "OTHER", EnrolRoles))(t)
	if a.Public == other.Public || a.Public == name.Public || bytes.Equal(a.Seed, a.Roles[RoleToken]) {
		t.Error("keys that should differ do not")
	}
	if _, err := w.signer.Enrol(a, w.control); err != nil {
		t.Error(err)
	}
	if _, err := Derived(Keys{Seed: []byte("no seed")}, "ENROL", EnrolRoles); err == nil {
		t.Error("derived from nothing")
	}
}

func TestSame(t *testing.T) {
	w := newWorld(t)
	keys := must(NewKeys(EnrolRoles))(t)
	a, b := must(w.signer.Enrol(keys, w.control))(t), must(w.signer.Enrol(keys, w.control))(t)
	if !Same(a, b) {
		t.Error("signed twice is not the same")
	}
	c1, c2 := must(w.signer.Control(w.control, 1<<30))(t), must(w.signer.Control(w.control, 2<<30))(t)
	if Same(c1, c2) || Same(a, c1) || Same("", "") || Same("x", "x") {
		t.Error("what says something else is the same")
	}
}
