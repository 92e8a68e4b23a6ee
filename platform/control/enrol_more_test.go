package control_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/subject"
	"midplane/tenants"
	"midplane/tenants/account"
)

// One token must not take the connections of everybody's tokens.
func TestTokenHasFewConnections(t *testing.T) {
	c := cluster(t)
	apply(t, c, testcluster.Tenant("busy"))
	tok, other := mustToken(t, c, "busy", "syd-01", 0), mustToken(t, c, "busy", "syd-02", 0)
	bystander, err := withToken(c, 0, other)
	if err != nil {
		t.Fatal(err)
	}
	defer bystander.Close()
	var conns []*nats.Conn
	for i := range 20 {
		nc, err := withToken(c, i%3, tok)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		conns = append(conns, nc)
	}
	began := time.Now()
	testwait.Until(t, "all but two are closed", func() error {
		open := 0
		for _, nc := range conns {
			if !nc.IsClosed() {
				open++
			}
		}
		if open != 2 {
			return fmt.Errorf("%d are open", open)
		}
		return nil
	})
	t.Logf("20 connections of one token: 18 closed after %s", time.Since(began).Round(time.Millisecond))
	if bystander.IsClosed() {
		t.Error("another token's connection was closed, too")
	}
	// Who comes by the token honestly is served all the same.
	key := newPair(t)
	out, err := redeem(c, 0, tok, key)
	if err != nil {
		t.Fatal(err)
	}
	works(t, c, out, key)
}

// Wrong tries lock a token, and then the right one comes too late.
func TestFailuresLockAToken(t *testing.T) {
	c := cluster(t)
	apply(t, c, testcluster.Tenant("lock"))
	tok := mustToken(t, c, "lock", "syd-01", 0)
	nc, err := withToken(c, 0, tok)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	key, foreign := newPair(t), newPair(t)
	sign, err := account.SignWith(foreign.seed)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := sign(api.RedeemBytes(tok.ID, key.public))
	if err != nil {
		t.Fatal(err)
	}
	stolen, _ := json.Marshal(api.Redeem{PublicKey: key.public, Signature: forged})
	for i, body := range []string{"", "{}", "nonsense", string(stolen), `{"publicKey":"` + key.public + `","signature":null,"tenant":"other"}`} {
		var msg *nats.Msg
		testwait.Until(t, "an answer", func() error { msg, err = nc.Request(subject.EnrolOf(tok.ID), []byte(body), 5*time.Second); return err })
		if err := api.Answer(msg, nil); err == nil || fault.Is(err, fault.Unavailable) {
			t.Errorf("%q: %v", body, err)
		}
		if len(msg.Data) < 10 {
			t.Errorf("an answer that could be taken for a request: %q", msg.Data)
		}
		if row := tokenRow(t, c, tok); row.Failures != i+1 {
			t.Errorf("after %d failures: %+v", i+1, row)
		}
	}
	_, err = redeem(c, 1, tok, key)
	wantKind(t, "a locked token", err, fault.Denied)
	if row := tokenRow(t, c, tok); row.Status != api.TokenLocked || row.Failures != 5 || !strings.Contains(err.Error(), "locked") {
		t.Errorf("%+v: %v", row, err)
	}
	// Every failure was written down, and the token's making.
	testwait.Until(t, "the audit log has it", func() error {
		results := map[string]int{}
		for _, a := range acts(t, c, "enrol", "syd-01") {
			if a.Tenant == "lock" {
				results[a.Result]++
				if a.Who != tok.ID || a.From == "" {
					t.Errorf("%+v", a)
				}
			}
		}
		if results["invalid"]+results["denied"] != 6 || results["ok"] != 0 {
			return fmt.Errorf("%v", results)
		}
		return nil
	})
	var made []api.AuditRecord
	for _, a := range acts(t, c, api.TokenCreate, "syd-01") {
		if a.Tenant == "lock" && a.Result == api.AuditOK {
			made = append(made, a)
		}
	}
	if len(made) != 1 || made[0].Who != testcluster.Admin || !strings.Contains(made[0].Detail, tok.ID) {
		t.Errorf("%+v", made)
	}
}

func TestRevokedToken(t *testing.T) {
	c := cluster(t)
	apply(t, c, testcluster.Tenant("taken-back"))
	tok := mustToken(t, c, "taken-back", "syd-01", 0)
	for range 2 { // twice is as good as once
		if row := ask[api.Token](t, c, api.TokenRevoke, api.TokenRef{Tenant: "taken-back", ID: tok.ID}); row.Status != api.TokenRevoked {
			t.Errorf("%+v", row)
		}
	}
	for node := range c.Names() {
		_, err := redeem(c, node, tok, newPair(t))
		wantKind(t, "a revoked token", err, fault.Denied)
		if err == nil || !strings.Contains(err.Error(), "revoked") {
			t.Errorf("not a clear refusal: %v", err)
		}
	}
	wantKind(t, "revoke nothing", do(t, c, api.TokenRevoke, api.TokenRef{ID: "t-nothing"}, nil), fault.NotFound)
	wantKind(t, "another tenant's", do(t, c, api.TokenRevoke, api.TokenRef{Tenant: "enrol", ID: tok.ID}, nil), fault.NotFound)
}

// A token that could not be redeemed is refused when it is made.
func TestTokenIsRefused(t *testing.T) {
	c := cluster(t)
	apply(t, c, testcluster.Tenant("refuse"))
	if _, err := c.User(testContext(t), "refuse", account.RoleProducer, "press"); err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		req  api.CreateToken
		kind fault.Kind
	}{
		"a name that is taken":        {api.CreateToken{Poller: "press"}, fault.Conflict},
		"an application's name":       {api.CreateToken{Poller: "billing"}, fault.Conflict},
		"a site that is not declared": {api.CreateToken{Poller: "new", Site: "nowhere"}, fault.NotFound},
		"another site than declared":  {api.CreateToken{Poller: "syd-01", Site: "mel"}, fault.Conflict},
		"no tenant":                   {api.CreateToken{Tenant: "missing", Poller: "new"}, fault.NotFound},
		"a wildcard":                  {api.CreateToken{Poller: "*"}, fault.Invalid},
		"two tokens":                  {api.CreateToken{Poller: "a.b"}, fault.Invalid},
		"a blank":                     {api.CreateToken{Poller: ""}, fault.Invalid},
		"the system's":                {api.CreateToken{Poller: "midplane-x"}, fault.Invalid},
		"too long a life":             {api.CreateToken{Poller: "new", TTL: api.Duration(24*time.Hour + time.Second)}, fault.Invalid},
		"no life":                     {api.CreateToken{Poller: "new", TTL: api.Duration(-time.Second)}, fault.Invalid},
	} {
		if x.req.Tenant == "" {
			x.req.Tenant = "refuse"
		}
		_, _, err := newToken(c, x.req)
		wantKind(t, name, err, x.kind)
	}
	wantKind(t, "no key", do(t, c, api.TokenCreate, api.CreateToken{Tenant: "refuse", Poller: "new"}, nil), fault.Invalid)
	// A name that is taken after the token was made.
	tok := mustToken(t, c, "refuse", "late", 0)
	if _, err := c.User(testContext(t), "refuse", account.RoleProducer, "late"); err != nil {
		t.Fatal(err)
	}
	_, err := redeem(c, 0, tok, newPair(t))
	wantKind(t, "a name taken in between", err, fault.Conflict)
}

// A poller that the file does not declare is where the token puts it, with
// nothing to do; apply leaves it alone, and a declaration counts once there is one.
func TestUndeclaredPoller(t *testing.T) {
	c := cluster(t)
	spec := testcluster.Tenant("undeclared")
	withMel := func(pollers string) *tenants.Spec {
		data, err := spec.JSON()
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(string(data), `"sites":[`, `"sites":[{"id":"mel","name":"Melbourne","pollers":[`+pollers+`],"devices":[{"id":"r9","name":"Router","address":"127.0.0.1"}]},`, 1)
		if pollers == "" {
			text = strings.Replace(text, `"devices":[{"id":"r9","name":"Router","address":"127.0.0.1"}]`, `"devices":[]`, 1)
		}
		s, err := tenants.ParseJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	apply(t, c, withMel(""))
	keys, got := map[string]keyPair{}, map[string]api.Redeemed{}
	for name, site := range map[string]string{"first": "", "second": "syd"} {
		tok, _, err := newToken(c, api.CreateToken{Tenant: "undeclared", Poller: name, Site: site})
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = newPair(t)
		if got[name], err = redeem(c, 0, tok, keys[name]); err != nil {
			t.Fatal(err)
		}
		works(t, c, got[name], keys[name])
	}
	if got["first"].Site != "mel" || got["second"].Site != "syd" {
		t.Errorf("first in %s, second in %s", got["first"].Site, got["second"].Site)
	}
	check := func(what, poller, site string, devices int) {
		t.Helper()
		testwait.Until(t, what, func() error {
			if row := pollerRow(t, c, "undeclared", poller); row.Site != site || row.Devices != devices {
				return fmt.Errorf("%+v", row)
			}
			cfg, err := configOf(c, got[poller], keys[poller])
			if err == nil && (string(cfg.Site) != site || len(cfg.Devices) != devices) {
				err = fmt.Errorf("%+v", cfg)
			}
			return err
		})
	}
	check("first, as joined", "first", "mel", 0)
	check("second, as joined", "second", "syd", 0)
	nc, err := asPoller(c, got["first"], keys["first"])
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := publish(nc, "first"); err != nil {
		t.Errorf("what it says is not taken: %v", err)
	}
	again := withMel("")
	again.Name = "changed"
	apply(t, c, again)
	check("first, after apply", "first", "mel", 0)
	apply(t, c, withMel(`{"id":"second"}`)) // elsewhere than it joined
	check("second, declared", "second", "mel", 1)
	check("first, beside it", "first", "mel", 0)
	if sites := ask[api.Page[api.Site]](t, c, api.SiteList, api.ListRequest{Tenant: "undeclared"}).Items; len(sites) != 2 || fmt.Sprint(sites[0].Pollers) != "[second first]" {
		t.Errorf("%+v", sites)
	}
}

func configOf(c *testcluster.Cluster, got api.Redeemed, key keyPair) (cfg api.PollerConfig, err error) {
	nc, err := asPoller(c, got, key)
	if err != nil {
		return cfg, err
	}
	defer nc.Close()
	sign, err := account.SignWith(key.seed)
	if err != nil {
		return cfg, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return cfg, api.NewChannel(nc, got.Poller, sign).Do(ctx, api.ChannelConfig, api.ConfigRequest{}, &cfg)
}

// A token outlives its tenant by nothing.
func TestTokenOfATenantThatGoes(t *testing.T) {
	c := cluster(t)
	apply(t, c, testcluster.Tenant("going"))
	tok := mustToken(t, c, "going", "syd-01", 0)
	ask[struct{}](t, c, api.TenantDelete, api.TenantRef{Tenant: "going"})
	for node := range 3 { // also one whose copy of the registry is a moment old
		_, err := redeem(c, node, tok, newPair(t))
		wantKind(t, "while it goes", err, fault.Denied)
	}
	_, _, err := newToken(c, api.CreateToken{Tenant: "going", Poller: "syd-01"})
	wantKind(t, "another token", err, fault.NotFound)
	testwait.Until(t, "the tenant is gone", func() error {
		if err := do(t, c, api.TenantStatus, api.TenantRef{Tenant: "going"}, nil); !fault.Is(err, fault.NotFound) {
			return fmt.Errorf("still there: %w", err)
		}
		return nil
	})
	apply(t, c, testcluster.Tenant("going"))
	_, err = redeem(c, 1, tok, newPair(t))
	wantKind(t, "after it came again", err, fault.Denied)
	if rows := ask[api.Page[api.Token]](t, c, api.TokenList, api.ListRequest{Tenant: "going"}).Items; len(rows) != 0 {
		t.Errorf("%+v", rows)
	}
}

// A poller that was revoked comes back with another token and another key; its
// old key stays dead, no matter what it still holds.
func TestRevokedPollerJoinsAgain(t *testing.T) {
	c := cluster(t)
	apply(t, c, testcluster.Tenant("rejoin"))
	first, old := mustToken(t, c, "rejoin", "new-01", 0), newPair(t)
	was, err := redeem(c, 0, first, old)
	if err != nil {
		t.Fatal(err)
	}
	works(t, c, was, old)
	ask[api.Revoked](t, c, api.UserRevoke, api.UserRef{Tenant: "rejoin", Name: "new-01"})
	if row := pollerRow(t, c, "rejoin", "new-01"); row.Status != api.PollerRevoked || row.Site != "syd" {
		t.Errorf("%+v", row)
	}
	_, err = redeem(c, 1, first, old)
	wantKind(t, "the old token and key", err, fault.Denied)
	second, key := mustToken(t, c, "rejoin", "new-01", 0), newPair(t)
	_, err = redeem(c, 2, second, old)
	wantKind(t, "the old key with a new token", err, fault.Denied)
	now, err := redeem(c, 2, second, key)
	if err != nil {
		t.Fatal(err)
	}
	works(t, c, now, key)
	if _, err := asPoller(c, was, old); err == nil {
		t.Error("the old key is let in")
	}
	if row := pollerRow(t, c, "rejoin", "new-01"); row.Status == api.PollerRevoked {
		t.Errorf("%+v", row)
	}
}
