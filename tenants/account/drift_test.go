package account

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

// Every change that lets an account do what was not planned is seen, and what
// was planned is not taken for one.
func TestDrift(t *testing.T) {
	w := newWorld(t)
	keys := must(NewKeys(TenantRoles))(t)
	_, userSeed, err := NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	user, err := PublicKey(userSeed)
	if err != nil {
		t.Fatal(err)
	}
	plan := Tenant{ID: "acme", Keys: keys, Hubs: Hubs{Control: w.control.Public, System: w.sys.Public}, Capability: secret,
		Limits:  Limits{Connections: 10, Storage: 1 << 20, Subscriptions: 100, Consumers: 4, MaxAckPending: 10},
		Revoked: map[string]int64{user: 1_700_000_000}}
	token, err := w.signer.Tenant(plan)
	if err != nil {
		t.Fatal(err)
	}
	stranger := public(must(nkeys.CreateAccount())(t))
	for name, x := range map[string]struct {
		change func(*jwt.AccountClaims)
		want   string
	}{
		"as planned":         {func(*jwt.AccountClaims) {}, "[]"},
		"signed again later": {func(c *jwt.AccountClaims) { c.IssuedAt = time.Now().Add(time.Hour).Unix() }, "[]"},
		"import": {func(c *jwt.AccountClaims) {
			c.Imports.Add(&jwt.Import{Account: stranger, Subject: "canary.>", Type: jwt.Stream})
		}, "[imports]"},
		"import of the same name": {func(c *jwt.AccountClaims) { c.Imports[0].Account = stranger }, "[imports]"},
		"import led elsewhere":    {func(c *jwt.AccountClaims) { c.Imports[0].LocalSubject = "in.>" }, "[imports]"},
		"import shared":           {func(c *jwt.AccountClaims) { c.Imports[0].Share = !c.Imports[0].Share }, "[imports]"},
		"import taken away":       {func(c *jwt.AccountClaims) { c.Imports = c.Imports[1:] }, "[imports]"},
		"export":                  {func(c *jwt.AccountClaims) { c.Exports.Add(&jwt.Export{Subject: "event.>", Type: jwt.Stream}) }, "[exports]"},
		"mapping": {func(c *jwt.AccountClaims) {
			c.Mappings = jwt.Mapping{"in.a.>": {{Subject: "in.b.>", Weight: 100}}}
		}, "[mappings]"},
		"more connections": {func(c *jwt.AccountClaims) { c.Limits.Conn++ }, "[limits]"},
		"exports allowed":  {func(c *jwt.AccountClaims) { c.Limits.Exports = -1 }, "[limits]"},
		"bearer":           {func(c *jwt.AccountClaims) { c.Limits.DisallowBearer = false }, "[limits]"},
		"R1 storage": {func(c *jwt.AccountClaims) {
			r := c.Limits.JetStreamTieredLimits["R1"]
			r.DiskStorage = 1
			c.Limits.JetStreamTieredLimits["R1"] = r
		}, "[limits]"},
		"another key":       {func(c *jwt.AccountClaims) { c.SigningKeys.Add(stranger) }, "[signing_keys]"},
		"revocation lifted": {func(c *jwt.AccountClaims) { c.ClearRevocation(user) }, "[revocations]"},
		"another revoked":   {func(c *jwt.AccountClaims) { c.Revoke("*") }, "[revocations]"},
		"default allowed":   {func(c *jwt.AccountClaims) { c.DefaultPermissions = jwt.Permissions{} }, "[default_permissions]"},
		"trace":             {func(c *jwt.AccountClaims) { c.Trace = &jwt.MsgTrace{Destination: "trace.x"} }, "[trace]"},
		"callout":           {func(c *jwt.AccountClaims) { c.Authorization.AuthUsers = jwt.StringList{user} }, "[authorization]"},
		"name":              {func(c *jwt.AccountClaims) { c.Name = "globex" }, "[name]"},
		"two at once": {func(c *jwt.AccountClaims) {
			c.Name = "x"
			c.Exports.Add(&jwt.Export{Subject: "x", Type: jwt.Service})
		}, "[exports name]"},
	} {
		c, err := jwt.DecodeAccountClaims(token)
		if err != nil {
			t.Fatal(err)
		}
		x.change(c)
		changed, err := c.Encode(w.signer.key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.signer.Drift(changed, plan)
		if err != nil || fmt.Sprint(got) != x.want {
			t.Errorf("%s: %v %v, want %s", name, got, err, x.want)
		}
	}
	if _, err := w.signer.Drift("nonsense", plan); err == nil {
		t.Error("nonsense is no JWT")
	}
}
