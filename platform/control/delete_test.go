package control_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/tenants/account"
)

// remove deletes a tenant and waits until it is gone.
func remove(t *testing.T, c *testcluster.Cluster, id string) {
	t.Helper()
	if err := do(t, c, api.TenantDelete, api.TenantRef{Tenant: id}, nil); err != nil {
		t.Fatal(err)
	}
	testwait.Until(t, "gone", func() error {
		err := do(t, c, api.TenantStatus, api.TenantRef{Tenant: id}, nil)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		return fmt.Errorf("still there (%v)", err)
	})
}

// refused: the credentials do not open node i any more, nor are they taken by
// a connection that was open.
func refused(t *testing.T, c *testcluster.Cluster, node int, creds, user string) error {
	t.Helper()
	nc, err := nats.Connect(c.Servers()[node], nats.UserCredentials(creds), nats.CustomInboxPrefix("_INBOX."+user))
	if err == nil {
		nc.Close()
		return fmt.Errorf("%s is let in by node %d", user, node+1)
	}
	if !errors.Is(err, nats.ErrAuthorization) {
		return fmt.Errorf("node %d: %w, want a refusal", node+1, err)
	}
	return nil
}

// A deleted tenant is gone everywhere: streams, users, connections. The same
// name again is another account, with other credentials, other incarnations and
// nothing of what was there.
func TestDeletedTenantIsGoneAndItsNameStartsAnew(t *testing.T) {
	c, k := cluster(t), core(t, cluster(t))
	ctx := testContext(t)
	apply(t, c, testcluster.Tenant("reborn"))
	old := map[string]string{}
	for user, role := range map[string]account.Role{"feed": account.RoleProducer, "syd-01": account.RolePoller, "billing": account.RoleReader} {
		path, err := c.User(ctx, "reborn", role, user)
		if err != nil {
			t.Fatal(err)
		}
		old[user] = path
	}
	connected := mustAt(t, c, 1, old["feed"], "feed")
	if err := publish(connected, "feed"); err != nil {
		t.Fatal(err)
	}
	if err := k.Do(ctx, api.CoreCursor, api.CursorReport{Tenant: "reborn", Reading: true,
		Cursors: []api.Cursor{{Stream: event.StreamEvents, Incarnation: 1, Seq: 1}}}, nil); err != nil {
		t.Fatal(err)
	}
	was := status(t, c, "reborn")
	before, _ := toRead(t, k, "reborn")
	streamRows(t, c, "reborn") // every node opens a connection of its own to say this

	remove(t, c, "reborn")
	wantKind(t, "a second deletion", c.Admin.Do(ctx, api.TenantDelete, api.TenantRef{Tenant: "reborn"}, nil), fault.NotFound)
	if gone, ok := toRead(t, k, "reborn"); !ok || !gone.Deleted {
		t.Errorf("primaries are given %+v", gone)
	}
	testwait.Until(t, "every node refuses the old credentials", func() error {
		for node := range c.Names() {
			for user, path := range old {
				if err := refused(t, c, node, path, user); err != nil {
					return err
				}
			}
		}
		if connected.Status() == nats.CONNECTED {
			return fmt.Errorf("a connection from before is still open")
		}
		return nil
	})

	apply(t, c, testcluster.Tenant("reborn"))
	now := status(t, c, "reborn")
	if now.Account == was.Account {
		t.Error("the old account is used again")
	}
	after, _ := toRead(t, k, "reborn")
	for name, n := range before.Incarnations {
		if after.Incarnations[name] <= n {
			t.Errorf("%s has incarnation %d, and %d before it was deleted: a reader would go on from its old cursor", name, after.Incarnations[name], n)
		}
	}
	if s := streamRows(t, c, "reborn")[event.StreamEvents]; s.Messages != 0 || s.Floor != 0 {
		t.Errorf("EVENTS begins with %d messages, read up to %d", s.Messages, s.Floor)
	}
	for node := range c.Names() {
		if err := refused(t, c, node, old["feed"], "feed"); err != nil {
			t.Errorf("after the rebirth: %v", err)
		}
	}
	if err := publish(c.As(t, "reborn", account.RoleProducer, "feed"), "feed"); err != nil {
		t.Errorf("the new tenant does not work: %v", err)
	}
	if _, err := os.Stat(old["feed"]); err != nil {
		t.Fatal(err)
	}
}

// Deleted and made again many times over, a tenant keeps working, and each time
// everything before is locked out.
func TestNameCanBeUsedAgainAndAgain(t *testing.T) {
	c, k := cluster(t), core(t, cluster(t))
	var accounts []string
	var last uint64
	for round := range 3 {
		apply(t, c, testcluster.Tenant("phoenix"))
		row := status(t, c, "phoenix")
		for _, a := range accounts {
			if a == row.Account {
				t.Fatalf("round %d has an account of before", round)
			}
		}
		accounts = append(accounts, row.Account)
		x, _ := toRead(t, k, "phoenix")
		if n := x.Incarnations[event.StreamEvents]; n <= last {
			t.Errorf("round %d has incarnation %d after %d", round, n, last)
		} else {
			last = n
		}
		if err := publish(c.As(t, "phoenix", account.RoleProducer, "feed"), "feed"); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		remove(t, c, "phoenix")
	}
}
