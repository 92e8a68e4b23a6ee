package main

import (
	"bytes"
	"context"
	"testing"
	"time"

	"midplane/internal/testcluster"
	"midplane/tenants/account"
	"midplane/tenants/example"
)

// The README shows this output.
func TestPublish(t *testing.T) {
	specs, err := example.Specs("", "")
	if err != nil {
		t.Fatal(err)
	}
	c := testcluster.Start(t, testcluster.Options{Tenants: specs[:1]})
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	creds, err := c.User(ctx, string(specs[0].ID), account.RoleProducer, "door-1")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := publish(&out, c.Servers()[0], creds, "door-1"); err != nil {
		t.Fatal(err)
	}
	const want = `{"door": "loading-bay", "by": "card 4711"}
  stored in EVENTS as 1
{"door": "loading-bay", "by": 4711}
  refused: 400/24005 acme.door.opened.v1: field /by breaks rule "type": is of type number, want string
`
	if out.String() != want {
		t.Errorf("it printed\n%s\nwant\n%s", out.String(), want)
	}
}
