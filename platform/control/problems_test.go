package control_test

import (
	"fmt"
	"testing"
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/tenants/account"
)

// problem waits until a problem is shown that says part, with a hint.
func problem(t *testing.T, c *testcluster.Cluster, severity, tenant, part string) api.Problem {
	t.Helper()
	var p api.Problem
	testwait.Until(t, "problem: "+part, func() error {
		s := clusterStatus(t, c)
		var ok bool
		if p, ok = hasProblem(s, severity, tenant, part); !ok {
			return fmt.Errorf("%+v", s.Problems)
		}
		return nil
	})
	if p.Hint == "" {
		t.Errorf("%q comes without a hint", p.Message)
	}
	return p
}

// A poller that is declared is pending, one that reports is online with what it
// reported, and one that falls silent is offline, and a problem.
func TestPollerThatFallsSilentIsAProblem(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	apply(t, c, testcluster.Tenant("silent"))
	row := func() api.Poller {
		t.Helper()
		rows := ask[api.Page[api.Poller]](t, c, api.PollerList, api.ListRequest{Tenant: "silent"}).Items
		if len(rows) != 1 {
			t.Fatalf("pollers %+v", rows)
		}
		return rows[0]
	}
	if r := row(); r.Status != api.PollerPending || r.LastSeen != nil {
		t.Errorf("before it was ever seen: %+v", r)
	}
	key, seed := newKey(t)
	creds := userWith(t, c, "silent", account.RolePoller, "syd-01", key, seed)
	nc := mustAt(t, c, 0, creds, "syd-01")
	sign, err := account.SignWith(seed)
	if err != nil {
		t.Fatal(err)
	}
	ch := api.NewChannel(nc, "syd-01", sign)
	say := func(trouble string) {
		t.Helper()
		if err := ch.Do(testContext(t), api.ChannelStatus, api.PollerReport{Version: "v1", Revision: 7, Outbox: 3, Problem: trouble}, nil); err != nil {
			t.Fatal(err)
		}
	}
	say("no raw socket")
	testwait.Until(t, "online", func() error {
		if r := row(); r.Status != api.PollerOnline || r.Outbox != 3 || r.Revision != 7 || r.LastSeen == nil {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	problem(t, c, "warning", "silent", "poller syd-01: no raw socket")
	say("")
	testwait.Until(t, "the poller's own trouble is over", func() error {
		if p, ok := hasProblem(clusterStatus(t, c), "warning", "silent", "no raw socket"); ok {
			return fmt.Errorf("%+v", p)
		}
		return nil
	})
	problem(t, c, "error", "silent", "poller syd-01 is offline since")
	if r := row(); r.Status != api.PollerOffline {
		t.Errorf("%+v", r)
	}
}

// What the control channel refuses: a request that another key signed, one
// signed for another time, and a role that has no business there.
func TestControlChannelTakesOnlyWhatItsUserSigned(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	ctx := testContext(t)
	apply(t, c, testcluster.Tenant("signed"))
	key, seed := newKey(t)
	nc := mustAt(t, c, 0, userWith(t, c, "signed", account.RolePoller, "syd-01", key, seed), "syd-01")
	_, otherSeed := newKey(t)
	other, err := account.SignWith(otherSeed)
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, "another's signature", api.NewChannel(nc, "syd-01", other).Do(ctx, api.ChannelConfig, api.ConfigRequest{}, nil), fault.Denied)
	wantKind(t, "no signature", api.Call(ctx, nc, "control.syd-01.config", api.ConfigRequest{}, nil), fault.Denied)
	mine, err := account.SignWith(seed)
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"have":0}`)
	for what, at := range map[string]time.Time{"an old request": time.Now().Add(-api.MaxClockSkew - time.Second), "a request of the future": time.Now().Add(api.MaxClockSkew + time.Minute)} {
		sig, err := mine(api.SignedBytes("syd-01", api.ChannelConfig, at, body))
		if err != nil {
			t.Fatal(err)
		}
		wantKind(t, what, api.Call(ctx, nc, "control.syd-01.config", api.Signed{Body: body, Time: at, Signature: sig}, nil), fault.Denied)
	}
	now := time.Now()
	sig, err := mine(api.SignedBytes("syd-01", api.ChannelStatus, now, body))
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, "a signature for another verb", api.Call(ctx, nc, "control.syd-01.config", api.Signed{Body: body, Time: now, Signature: sig}, nil), fault.Denied)
	if err := api.NewChannel(nc, "syd-01", mine).Do(ctx, api.ChannelConfig, api.ConfigRequest{}, nil); err != nil {
		t.Errorf("its own signature: %v", err)
	}
	akey, aseed := newKey(t)
	app := mustAt(t, c, 0, userWith(t, c, "signed", account.RoleApp, "billing", akey, aseed), "billing")
	asign, err := account.SignWith(aseed)
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, "an application asks for a poller's configuration", api.NewChannel(app, "billing", asign).Do(ctx, api.ChannelConfig, api.ConfigRequest{}, nil), fault.Denied)
	wantKind(t, "an application reports as a poller", api.NewChannel(app, "billing", asign).Do(ctx, api.ChannelStatus, api.PollerReport{}, nil), fault.Denied)
}

// A primary that falls silent is a problem until it is let go of.
func TestPrimaryThatFallsSilentIsAProblemUntilForgotten(t *testing.T) {
	t.Parallel()
	c := testcluster.Start(t, testcluster.Options{NoSync: true, Pace: pace})
	apply(t, c, testcluster.Tenant("acme"))
	report(t, core(t, c), "acme", 0)
	testwait.Until(t, "the primary is known", func() error {
		if s := clusterStatus(t, c); len(s.Primaries) != 1 || !s.Primaries[0].Live {
			return fmt.Errorf("%+v", s.Primaries)
		}
		return nil
	})
	testwait.Until(t, "ready while it reads", func() error {
		if row := status(t, c, "acme"); !row.Ready {
			return fmt.Errorf("%+v", row.Conditions)
		}
		return nil
	})
	problem(t, c, "error", "", "primary "+testcluster.Primary+" is silent since")
	problem(t, c, "warning", "acme", "PrimaryReading: no primary reads")
	wantKind(t, "forgetting one that never was", c.Admin.Do(testContext(t), api.PrimaryDrop, api.PrimaryRef{Primary: "missing"}, nil), fault.NotFound)
	if err := c.Admin.Do(testContext(t), api.PrimaryDrop, api.PrimaryRef{Primary: testcluster.Primary}, nil); err != nil {
		t.Fatal(err)
	}
	testwait.Until(t, "forgotten", func() error {
		if s := clusterStatus(t, c); len(s.Primaries) != 0 {
			return fmt.Errorf("%+v", s.Primaries)
		}
		if row := streamRows(t, c, "acme")["EVENTS"]; row.HeldBy != "" {
			return fmt.Errorf("still held by %s", row.HeldBy)
		}
		return nil
	})
}

// A node on which a tenant's door cannot follow the registry is named, in the
// tenant's condition and among the problems.
func TestClosedDoorNamesTheNodes(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	spec := testcluster.Tenant("shut")
	apply(t, c, spec)
	// A JWT that is newer than the registry's, behind the control plane's back:
	// no node may take up what the registry says then.
	if _, err := c.Raw(testContext(t), "shut"); err != nil {
		t.Fatal(err)
	}
	data, err := spec.JSON()
	if err != nil {
		t.Fatal(err)
	}
	was := ask[api.SpecAnswer](t, c, api.TenantSpec, api.TenantRef{Tenant: "shut"})
	if err := c.Admin.Do(testContext(t), api.TenantPut, api.PutTenant{Spec: data, Revision: was.Revision}, nil); err != nil {
		t.Fatal(err)
	}
	for _, node := range c.Names() {
		problem(t, c, "warning", "shut", "IngressOpen: ")
		testwait.Until(t, "node named", func() error {
			if _, ok := hasProblem(clusterStatus(t, c), "warning", "shut", node); !ok {
				return fmt.Errorf("%s is not named", node)
			}
			return nil
		})
	}
	if status(t, c, "shut").Ready {
		t.Error("ready with its door closed")
	}
}
