package control_test

import (
	"strings"
	"testing"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/testcluster"
)

// Revoking a poller closes its open tokens with it: who holds one cannot
// come back under its name. Tokens of other pollers stay.
func TestRevokedPollersTokensAreClosed(t *testing.T) {
	c := cluster(t)
	apply(t, c, testcluster.Tenant("reentry"))
	first, second, third := mustToken(t, c, "reentry", "syd-01", 0), mustToken(t, c, "reentry", "syd-01", 0), mustToken(t, c, "reentry", "syd-01", 0)
	// Nothing to revoke yet; the hint names what there is.
	early := do(t, c, api.UserRevoke, api.UserRef{Tenant: "reentry", Name: "syd-01", Role: "poller"}, nil)
	wantKind(t, "a poller that has not joined", early, fault.NotFound)
	if !strings.Contains(fault.HintOf(early), "midplane token revoke t") {
		t.Errorf("hint %q", fault.HintOf(early))
	}
	other := mustToken(t, c, "reentry", "syd-02", 0)
	if _, err := redeem(c, 0, first, newPair(t)); err != nil {
		t.Fatal(err)
	}
	gone := ask[api.Revoked](t, c, api.UserRevoke, api.UserRef{Tenant: "reentry", Name: "syd-01", Role: "poller"})
	if gone.Tokens != 2 || gone.Existed {
		t.Errorf("%+v, want 2 tokens", gone)
	}
	for node := range c.Names() {
		_, err := redeem(c, node, second, newPair(t))
		wantKind(t, "a token from before the revocation", err, fault.Denied)
	}
	for tok, want := range map[string]string{first.ID: api.TokenRedeemed, second.ID: api.TokenRevoked, third.ID: api.TokenRevoked, other.ID: api.TokenOpen} {
		for _, row := range ask[api.Page[api.Token]](t, c, api.TokenList, api.ListRequest{Tenant: "reentry"}).Items {
			if row.ID == tok && row.Status != want {
				t.Errorf("token of %s is %s, want %s", row.Poller, row.Status, want)
			}
		}
	}
	if _, err := redeem(c, 1, other, newPair(t)); err != nil {
		t.Errorf("another poller's token: %v", err)
	}
	var found bool
	for _, rec := range ask[api.Page[api.AuditRecord]](t, c, api.AuditList, api.AuditRequest{Tenant: "reentry"}).Items {
		found = found || rec.Verb == api.UserRevoke && rec.Result == api.AuditOK && strings.Contains(rec.Detail, "tokens=2")
	}
	if !found {
		t.Error("the audit log does not say that two tokens were revoked")
	}
	// A new token lets a new key join; revoking again closes an open one too.
	next := mustToken(t, c, "reentry", "syd-01", 0)
	again := ask[api.Revoked](t, c, api.UserDelete, api.UserRef{Tenant: "reentry", Name: "syd-01"})
	if again.Tokens != 1 || !again.Existed {
		t.Errorf("%+v, want 1 token", again)
	}
	_, err := redeem(c, 0, next, newPair(t))
	wantKind(t, "a token from before the deletion", err, fault.Denied)
}
