package tenancy_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"midplane/api"
	"midplane/platform/deployment"
	"midplane/tenants/account"
)

func ctxOf(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func (w *world) accountKey(t testing.TB, tenant string) string {
	t.Helper()
	var row api.Tenant
	if err := w.cluster.Admin.Do(ctxOf(t), api.TenantStatus, api.TenantRef{Tenant: tenant}, &row); err != nil {
		t.Fatal(err)
	}
	return row.Account
}

// keys are the deployment's own, as a node has them.
func (w *world) keys(t testing.TB) deployment.Secrets {
	t.Helper()
	var s deployment.Secrets
	data, err := os.ReadFile(filepath.Join(deployment.NodeDir(w.cluster.Deployment(), w.cluster.Names()[0]), "secrets.json"))
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// claims reads a tenant's account JWT where a node keeps it.
func (w *world) claims(t testing.TB, tenant string) *jwt.AccountClaims {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(w.cluster.Dir, "nodes", w.cluster.Names()[0], "accounts", w.accountKey(t, tenant)+".jwt"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := jwt.DecodeAccountClaims(string(data))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// capability is a tenant's secret, for attackers that have it.
func (w *world) capability(t testing.TB, tenant string) string {
	t.Helper()
	for _, scope := range w.claims(t, tenant).SigningKeys {
		s, ok := scope.(*jwt.UserScope)
		if !ok || s.Role != string(account.RoleIngress) {
			continue
		}
		for _, allowed := range s.Template.Pub.Allow {
			if rest, ok := strings.CutPrefix(allowed, "w."); ok {
				return strings.TrimSuffix(rest, ".>")
			}
		}
	}
	t.Fatal("no capability")
	return ""
}

// system is a node's own user of SYS.
func (w *world) system(t testing.TB) *nats.Conn {
	t.Helper()
	keys := w.keys(t)
	key, seed, err := account.NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	token, err := account.IssueUser(keys.System, account.RoleNode, account.User{Name: account.UserNode, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	sign, err := account.SignWith(seed)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(w.cluster.Servers()[0], nats.UserJWT(func() (string, error) { return token, nil }, sign), nats.CustomInboxPrefix("_INBOX."+account.UserNode))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// extend signs a tenant's account again with one more role and gives it to
// every node, as only the holder of the operator's signing key can. It returns
// credentials of a user of that role, which the registry does not know.
func (w *world) extend(t testing.TB, tenant, user string, publish, subscribe []string) string {
	t.Helper()
	c := w.claims(t, tenant)
	role, err := nkeys.CreateAccount()
	if err != nil {
		t.Fatal(err)
	}
	pub, err := role.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	scope := jwt.NewUserScope()
	scope.Role, scope.Key = "extra-"+pub[len(pub)-6:], pub
	scope.Template.Pub.Allow, scope.Template.Sub.Allow = publish, subscribe
	c.SigningKeys.AddScopedSigner(scope)
	w.push(t, c)
	return userOf(t, c.Subject, role, user, true)
}

// userOf returns credentials of a user whose JWT is signed with a signing key of
// an account; scoped when the key has a template of permissions.
func userOf(t testing.TB, accountKey string, signing nkeys.KeyPair, name string, scoped bool) string {
	t.Helper()
	key, seed, err := account.NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	u := jwt.NewUserClaims(key)
	u.Name, u.IssuerAccount = name, accountKey
	u.SetScoped(scoped)
	token, err := u.Encode(signing)
	if err != nil {
		t.Fatal(err)
	}
	data, err := account.FormatCreds(token, seed)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name+".creds")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// push signs an account's JWT and waits until every node has taken it.
func (w *world) push(t testing.TB, c *jwt.AccountClaims) {
	t.Helper()
	time.Sleep(time.Until(time.Unix(c.IssuedAt+1, 0))) // a node keeps the newer one; issue times are whole seconds
	operator, err := nkeys.FromSeed(w.keys(t).OperatorSigning)
	if err != nil {
		t.Fatal(err)
	}
	token, err := c.Encode(operator)
	if err != nil {
		t.Fatal(err)
	}
	sys := w.system(t)
	inbox := sys.NewRespInbox()
	sub, err := sys.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	if err := sys.PublishRequest("$SYS.REQ.CLAIMS.UPDATE", inbox, []byte(token)); err != nil {
		t.Fatal(err)
	}
	for range w.cluster.Names() {
		msg, err := sub.NextMsgWithContext(ctxOf(t))
		if err != nil || strings.Contains(string(msg.Data), `"error"`) {
			t.Fatalf("push: %v", err)
		}
	}
}

// cleaner connects to acme as a user that has the whole JetStream API there.
func (w *world) cleaner(t testing.TB) *nats.Conn {
	t.Helper()
	path := w.extend(t, acme, "cleaner", []string{"a." + w.capability(t, acme) + ".>"}, []string{"_INBOX.cleaner.>"})
	nc, err := nats.Connect(w.cluster.Servers()[0], nats.UserCredentials(path), nats.CustomInboxPrefix("_INBOX.cleaner"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}
