package control_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"

	"midplane/api"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/tenants/account"
)

// mustChange gives a tenant's account what is not in its plan.
func mustChange(t *testing.T, c *testcluster.Cluster, tenant string, change func(*jwt.AccountClaims)) {
	t.Helper()
	if err := c.ChangeAccount(testContext(t), tenant, change); err != nil {
		t.Fatal(err)
	}
}

// leaky makes from export what the canary says, and to import it.
func leaky(t *testing.T, c *testcluster.Cluster, from, to string) {
	t.Helper()
	key := status(t, c, from).Account
	mustChange(t, c, from, func(a *jwt.AccountClaims) {
		a.Limits.Exports, a.Limits.WildcardExports = 1, true
		a.Exports.Add(&jwt.Export{Name: "leak", Subject: "canary.>", Type: jwt.Stream})
	})
	mustChange(t, c, to, func(a *jwt.AccountClaims) {
		a.Limits.Imports++
		a.Imports.Add(&jwt.Import{Name: "leak", Account: key, Subject: "canary.>", Type: jwt.Stream})
	})
}

// TestLeakIsSeen: isolation is proven while it holds; a leak that was made
// by hand is a critical event in both tenants, neither of which learns who the
// other is, and a critical problem of the status; and a marker that does not
// even come back where it was published proves nothing, which shows, too.
func TestLeakIsSeen(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{NoSync: true, Pace: pace})
	for _, id := range []string{"acme", "globex", "deaf"} {
		apply(t, c, small(id))
	}
	look := func() api.ClusterStatus { return ask[api.ClusterStatus](t, c, api.NodeStatus, struct{}{}) }
	testwait.Until(t, "isolation is proven", func() error {
		s := look()
		if s.Isolation == nil || s.Isolation.Proven == nil || s.Isolation.Tenants != 3 || s.Isolation.Listening != 3 || s.Isolation.Leaks != 0 {
			return fmt.Errorf("%+v", s.Isolation)
		}
		return nil
	})
	if s := look(); strings.Contains(fmt.Sprint(s.Problems), "isolation") {
		t.Errorf("%+v", s.Problems)
	}

	leaky(t, c, "acme", "globex")
	took := testwait.Until(t, "the leak is seen", func() error {
		s := look()
		p, ok := hasProblem(s, "critical", "", "tenant acme was seen in tenant globex")
		_, shown := hasProblem(s, "critical", "globex", "another account")
		if !ok || !shown || p.Hint == "" || s.Isolation.Leaks != 1 {
			return fmt.Errorf("%+v %+v", s.Isolation, s.Problems)
		}
		return nil
	})
	t.Logf("seen %s after the account was changed, with a round every %s", took.Round(time.Millisecond), pace.Canary)
	for _, p := range look().Problems {
		if p.Tenant != "" && p.Tenant != "acme" && strings.Contains(p.Message+p.Hint, "acme") || p.Tenant == "acme" && strings.Contains(p.Message+p.Hint, "globex") {
			t.Errorf("a tenant learns of another: %+v", p)
		}
	}
	for id, other := range map[string]string{"globex": "acme", "acme": "globex"} {
		raw, err := c.Raw(testContext(t), id)
		if err != nil {
			t.Fatal(err)
		}
		nc := mustAt(t, c, 0, raw.Creds, raw.User)
		testwait.Until(t, "the event in "+id, func() error {
			a, ok := alarms(t, nc)["isolation"]
			switch {
			case !ok:
				return errors.New("not there")
			case strings.Contains(a.Message+a.Hint+a.Source, other):
				t.Fatalf("it names the other: %+v", a)
			}
			return nil
		})
	}
	if got := acts(t, c, "isolation.broken", "acme"); len(got) == 0 || got[0].Who != account.UserControl || got[0].Tenant != "globex" {
		t.Errorf("%+v", got)
	}

	mustChange(t, c, "deaf", func(a *jwt.AccountClaims) {
		for _, s := range a.SigningKeys {
			if s, ok := s.(*jwt.UserScope); ok && s.Role == string(account.RoleControl) {
				s.Template.Sub.Allow.Remove("canary.>")
			}
		}
	})
	testwait.Until(t, "it shows that nothing is proven", func() error {
		s := look()
		if _, ok := hasProblem(s, "warning", "", "no marker came back in deaf"); !ok {
			return fmt.Errorf("%+v %+v", s.Isolation, s.Problems)
		}
		return nil
	})
}

// TestUnplannedAccountIsCorrected: what an account was given that is not in
// its plan is taken from it again, reported as a critical problem and event, and
// written into the audit log.
func TestUnplannedAccountIsCorrected(t *testing.T) {
	p := pace
	p.Drift = 500 * time.Millisecond
	c := testcluster.Start(t, testcluster.Options{NoSync: true, Pace: p})
	apply(t, c, small("acme"))
	apply(t, c, small("globex"))
	leaky(t, c, "acme", "globex")
	for id, part := range map[string]string{"acme": "exports", "globex": "imports"} {
		testwait.Until(t, id+" is corrected", func() error {
			claims, err := c.Account(testContext(t), id)
			if err != nil {
				return err
			}
			if len(claims.Exports) != 0 || claims.Limits.Exports != 0 || len(claims.Imports) != 3 || claims.Limits.Imports != 3 {
				return fmt.Errorf("%d exports, %d imports, %+v", len(claims.Exports), len(claims.Imports), claims.Limits.AccountLimits)
			}
			return nil
		})
		testwait.Until(t, id+" is reported", func() error {
			s := ask[api.ClusterStatus](t, c, api.NodeStatus, struct{}{})
			if p, ok := hasProblem(s, "critical", id, part); !ok || !strings.Contains(p.Message, "limits") {
				return fmt.Errorf("%+v", s.Problems)
			}
			if got := acts(t, c, "account.correct", status(t, c, id).Account); len(got) == 0 || got[0].Tenant != id || !strings.Contains(got[0].Detail, part) {
				return fmt.Errorf("%+v", got)
			}
			return nil
		})
	}
	// The planned goes on: both are served, and changing one is no drift.
	s := small("acme")
	s.Quota.Connections++
	apply(t, c, s)
	if got := acts(t, c, "account.correct", status(t, c, "acme").Account); len(got) > 2 {
		t.Errorf("what was planned was corrected, too: %+v", got)
	}
}
