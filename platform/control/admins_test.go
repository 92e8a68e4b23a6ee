package control_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/tenants/account"
)

// An admin is made by another, works through every node, and is put out by
// another for good: what it asks for is refused, its connections are closed, and
// a node that starts afterwards knows.
func TestAdmins(t *testing.T) {
	t.Parallel()
	c := testcluster.Start(t, testcluster.Options{NoSync: true, Pace: pace})
	apply(t, c, testcluster.Tenant("acme"))
	poller := c.As(t, "acme", account.RoleApp, "app")
	key, seed := newKey(t)
	req := api.CreateUser{Name: "ann", Role: "admin", PublicKey: key, Subscriptions: []string{}, TTL: api.Duration(time.Hour)}
	made := ask[api.CreatedUser](t, c, api.UserCreate, req)
	if again := ask[api.CreatedUser](t, c, api.UserCreate, req); !again.Existed || !again.Expires.Equal(made.Expires) || time.Until(made.Expires) > time.Hour {
		t.Errorf("asked again: %+v after %+v", again, made)
	}
	other := req
	other.PublicKey, _ = newKey(t)
	if err := do(t, c, api.UserCreate, other, nil); !fault.Is(err, fault.Conflict) {
		t.Errorf("the name with another key: %v", err)
	}
	other = req
	other.Tenant, other.Name = "acme", "bob"
	if err := do(t, c, api.UserCreate, other, nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("an admin of a tenant: %v", err)
	}
	connect := func(node int) (*nats.Conn, error) {
		sign, err := account.SignWith(seed)
		if err != nil {
			t.Fatal(err)
		}
		return nats.Connect(c.Servers()[node], nats.UserJWT(func() (string, error) { return made.JWT, nil }, sign), nats.CustomInboxPrefix("_INBOX.ann"), nats.NoReconnect())
	}
	var conns []*nats.Conn
	for node := range c.Names() {
		nc, err := connect(node)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		conns = append(conns, nc)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err = api.NewAdmin(nc, "ann").Do(ctx, api.TenantList, api.ListRequest{}, &api.Page[api.Tenant]{})
		cancel()
		if err != nil {
			t.Errorf("node %d: %v", node+1, err)
		}
	}
	listed := func() map[string]api.User {
		out := map[string]api.User{}
		for _, u := range ask[api.Page[api.User]](t, c, api.UserList, api.ListRequest{}).Items {
			if u.Role == "admin" {
				out[u.Name] = u
			}
		}
		return out
	}
	if rows := listed(); rows["ann"].Expires == nil || rows["ann"].Tenant != "" || len(rows) != 2 {
		t.Errorf("listed: %+v, want ann and who came with the deployment", rows)
	}
	var self string
	for name := range listed() {
		if name != "ann" {
			self = name
		}
	}
	if err := do(t, c, api.UserRevoke, api.UserRef{Name: self}, nil); !fault.Is(err, fault.Conflict) {
		t.Errorf("revoking oneself: %v", err)
	}
	if err := do(t, c, api.UserRevoke, api.UserRef{Name: "missing"}, nil); !fault.Is(err, fault.NotFound) {
		t.Errorf("revoking an admin that is not there: %v", err)
	}
	began := time.Now()
	if out := ask[api.Revoked](t, c, api.UserRevoke, api.UserRef{Name: "ann"}); out.Existed || out.Role != "admin" {
		t.Errorf("revoked: %+v", out)
	}
	for node, nc := range conns {
		testwait.Until(t, "the connection ends", func() error {
			if !nc.IsClosed() {
				return errors.New("it lives")
			}
			return nil
		})
		if nc, err := connect(node); err == nil {
			nc.Close()
			t.Errorf("node %d lets the revoked admin in", node+1)
		}
	}
	t.Logf("connections on all nodes closed %s after the command", time.Since(began).Round(time.Millisecond))
	c.Stop("n3")
	back(t, c, "n3")
	if nc, err := connect(2); err == nil {
		nc.Close()
		t.Error("a node that started afterwards lets the revoked admin in")
	}
	if rows := listed(); rows["ann"].Status != api.UserRevoked {
		t.Errorf("listed: %+v", rows["ann"])
	}
	if err := do(t, c, api.UserCreate, req, nil); !fault.Is(err, fault.Conflict) {
		t.Errorf("its name again: %v", err)
	}
	// Everybody else goes on: CONTROL's services are reached as before.
	testwait.Until(t, "the control channel answers", func() error {
		_, err := poller.Request("control.app.renew", []byte("unsigned, and so refused"), time.Second)
		return err
	})
	apply(t, c, testcluster.Tenant("globex"))
}
