package node

import (
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"midplane/tenants/account"
)

// The service that redeems tokens is reached from ENROL alone: a tenant whose
// account imports it, by any mistake, without CONTROL's permission or with the
// one that ENROL was given, gets no responders.
func TestEnrolIsPrivate(t *testing.T) {
	k := newKeys(t)
	enrol, err := account.NewKeys(account.EnrolRoles)
	if err != nil {
		t.Fatal(err)
	}
	token, err := k.signer.Enrol(enrol, k.control)
	if err != nil {
		t.Fatal(err)
	}
	k.accounts[enrol.Public] = token
	ours, err := jwt.DecodeAccountClaims(token)
	if err != nil {
		t.Fatal(err)
	}
	operator, err := nkeys.FromSeed(k.operator.Signing)
	if err != nil {
		t.Fatal(err)
	}
	thief := func(word string) account.Keys {
		keys, err := account.NewKeys(account.EnrolRoles)
		if err != nil {
			t.Fatal(err)
		}
		own, err := k.signer.Enrol(keys, k.control)
		if err != nil {
			t.Fatal(err)
		}
		c, err := jwt.DecodeAccountClaims(own)
		if err != nil {
			t.Fatal(err)
		}
		c.Name, c.Imports[0].Token = "thief", word
		if k.accounts[keys.Public], err = c.Encode(operator); err != nil {
			t.Fatal(err)
		}
		return keys
	}
	thieves := map[string]account.Keys{"without a word": thief(""), "with ENROL's": thief(ours.Imports[0].Token)}
	n := start(t, single(t, k))
	service := as(t, n.Node, k.control, account.RoleService, account.UserService, true)
	if _, err := service.Subscribe("enrol.*", func(m *nats.Msg) { _ = m.Respond([]byte("yes")) }); err != nil {
		t.Fatal(err)
	}
	if err := service.Flush(); err != nil {
		t.Fatal(err)
	}
	mine := as(t, n.Node, enrol, account.RoleToken, "t1", false)
	if msg, err := mine.Request("enrol.t1", []byte("x"), patience); err != nil || string(msg.Data) != "yes" {
		t.Fatalf("ENROL: %v", err)
	}
	for how, keys := range thieves {
		nc, err := dial(n.Node, keys, account.RoleToken, "t1", false)
		if err != nil {
			t.Logf("%s: the server does not even take the account: %v", how, err)
			continue
		}
		defer nc.Close()
		if msg, err := nc.Request("enrol.t1", []byte("x"), time.Second); err == nil {
			t.Errorf("%s: answered %q", how, msg.Data)
		}
	}
}
