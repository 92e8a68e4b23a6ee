package node

import (
	"testing"

	"midplane/fault"
	"midplane/internal/testwait"
	"midplane/tenants/account"
)

func TestClientsAndKick(t *testing.T) {
	k := newKeys(t)
	n := start(t, single(t, k))
	for range 3 {
		as(t, n.Node, k.control, account.RoleAdmin, "ann", false)
	}
	as(t, n.Node, k.system, account.RoleNode, account.UserNode, false)
	got := n.Clients(k.control.Public)
	if len(got) != 3 {
		t.Fatalf("%+v", got)
	}
	for i, c := range got {
		if c.User == "" || c.Start.IsZero() || i > 0 && c.ID <= got[i-1].ID {
			t.Errorf("%+v", c)
		}
	}
	if err := n.Kick(got[0].ID); err != nil {
		t.Fatal(err)
	}
	testwait.Until(t, "the connection is closed", func() error {
		if left := n.Clients(k.control.Public); len(left) != 2 || left[0].ID != got[1].ID {
			return errNotYet
		}
		return nil
	})
	if err := n.Kick(got[0].ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("kicked twice: %v", err)
	}
}

// Of an account's users only those that come from elsewhere are put out.
func TestKickClients(t *testing.T) {
	k := newKeys(t)
	n := start(t, single(t, k))
	inside := as(t, n.Node, k.control, account.RoleNode, account.UserNode, true)
	for range 2 {
		as(t, n.Node, k.control, account.RoleAdmin, "ann", false)
	}
	if closed := n.KickClients(k.control.Public); closed != 2 {
		t.Errorf("%d connections were closed", closed)
	}
	if !inside.IsConnected() || inside.Flush() != nil {
		t.Error("the connection from this process was closed")
	}
	testwait.Until(t, "ann is gone", func() error {
		for _, c := range n.Clients(k.control.Public) {
			if !c.Inside {
				return errNotYet
			}
		}
		return nil
	})
}
