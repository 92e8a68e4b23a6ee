package testcluster

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
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/deployment"
	"midplane/platform/registry"
	"midplane/subject"
	"midplane/tenants/account"
)

// Raw is a way straight into a tenant's streams, past the door: what the door
// is measured against, and what tests look at streams with. No role of the
// product has it: the account's JWT is signed again, with one more role, by the
// deployment's own keys.
type Raw struct {
	User       string
	Creds      string // path
	Account    string // public key
	Capability subject.Capability
	// Close takes the way away again: the nodes get the account's JWT back that they
	// had, and open the tenant's doors again, which serve no other.
	Close func(context.Context) error
}

const rawUser = "raw"

// Straight makes the way for a tenant and goes it, until the test ends.
func Straight(ctx context.Context, t testing.TB, c *Cluster, tenant string) (*Raw, *nats.Conn, jetstream.JetStream) {
	t.Helper()
	raw, err := c.Raw(ctx, tenant)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := c.Connect(raw.Creds, raw.User)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.NewWithAPIPrefix(nc, raw.Capability.API())
	if err != nil {
		t.Fatal(err)
	}
	return raw, nc, js
}

// Raw makes the way for a tenant.
func (c *Cluster) Raw(ctx context.Context, tenant string) (*Raw, error) {
	key, err := accountKeyOf(ctx, c, tenant)
	if err != nil {
		return nil, err
	}
	return c.keys().raw(ctx, tenant, key)
}

// Raw makes the way for a tenant of a deployment of processes. It lasts until it is
// closed, or the control plane corrects the account, which it does within a minute.
func (d *Deployment) Raw(ctx context.Context, tenant string) (*Raw, error) {
	var rows []api.Tenant
	if err := d.Get(ctx, &rows, "tenants", tenant); err != nil {
		return nil, err
	}
	if len(rows) != 1 {
		return nil, fault.New(fault.NotFound, "tenant %s: %d rows", tenant, len(rows))
	}
	k := keys{dir: d.Dir, folder: deployment.NodeDir(d.Folder, d.Nodes[0]), running: len(d.Nodes), connect: d.Connect}
	return k.raw(ctx, tenant, rows[0].Account)
}

// Registry makes the way into the bucket where the control plane keeps its records.
func Registry(ctx context.Context, c *Cluster) (jetstream.KeyValue, error) {
	k := c.keys()
	secrets, err := k.secrets()
	if err != nil {
		return nil, err
	}
	creds := filepath.Join(c.Dir, "control-raw.creds")
	if _, _, err := k.openUp(ctx, secrets.Control.Public, creds); err != nil {
		return nil, err
	}
	nc, err := c.Connect(creds, rawUser)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	return js.KeyValue(ctx, registry.BucketRegistry)
}

// systemFor returns a connection to the system account, and the key of a tenant's.
func (c *Cluster) systemFor(ctx context.Context, tenant string) (sys *nats.Conn, accountKey string, err error) {
	k := c.keys()
	secrets, err := k.secrets()
	if err != nil {
		return nil, "", err
	}
	if accountKey, err = accountKeyOf(ctx, c, tenant); err != nil {
		return nil, "", err
	}
	sys, err = k.system(secrets)
	return sys, accountKey, err
}

// accountKeyOf returns the key of a tenant's account. The control plane does not tell
// that of a tenant of the system's own.
func accountKeyOf(ctx context.Context, c *Cluster, tenant string) (string, error) {
	if !event.Tenant(tenant).OfSystem() {
		var row api.Tenant
		err := c.Admin.Do(ctx, api.TenantStatus, api.TenantRef{Tenant: tenant}, &row)
		return row.Account, err
	}
	kv, err := Registry(ctx, c)
	if err != nil {
		return "", err
	}
	e, err := kv.Get(ctx, "account."+tenant)
	if err != nil {
		return "", err
	}
	var rec registry.Account
	err = json.Unmarshal(e.Value(), &rec)
	return rec.Key, err
}

// Account returns what the nodes run a tenant's account with.
func (c *Cluster) Account(ctx context.Context, tenant string) (*jwt.AccountClaims, error) {
	sys, accountKey, err := c.systemFor(ctx, tenant)
	if err != nil {
		return nil, err
	}
	defer sys.Close()
	was, err := sys.RequestWithContext(ctx, "$SYS.REQ.ACCOUNT."+accountKey+".CLAIMS.LOOKUP", nil)
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "look the account up")
	}
	return jwt.DecodeAccountClaims(string(was.Data))
}

// ChangeAccount signs a tenant's account again with a change that is in no
// plan, and gives it to every node, as only the holder of the operator's
// signing key can.
func (c *Cluster) ChangeAccount(ctx context.Context, tenant string, change func(*jwt.AccountClaims)) error {
	claims, err := c.Account(ctx, tenant)
	if err != nil {
		return err
	}
	change(claims)
	k := c.keys()
	secrets, err := k.secrets()
	if err != nil {
		return err
	}
	token, err := newer(claims, secrets.OperatorSigning)
	if err != nil {
		return err
	}
	sys, err := k.system(secrets)
	if err != nil {
		return err
	}
	defer sys.Close()
	return k.push(ctx, sys, token)
}

// newer signs claims so that a node takes them instead of what it has.
func newer(claims *jwt.AccountClaims, operator []byte) (string, error) {
	time.Sleep(time.Until(time.Unix(claims.IssuedAt+1, 0)))
	kp, err := nkeys.FromSeed(operator)
	if err != nil {
		return "", err
	}
	return claims.Encode(kp)
}

// extend adds the raw role to an account's JWT and signs it as newer.
func extend(token string, role nkeys.KeyPair, operator []byte) (string, error) {
	claims, err := jwt.DecodeAccountClaims(token)
	if err != nil {
		return "", err
	}
	pub, err := role.PublicKey()
	if err != nil {
		return "", err
	}
	scope := jwt.NewUserScope()
	scope.Role, scope.Key = rawUser, pub
	scope.Template.Pub.Allow = jwt.StringList{subject.CapabilityAll, "$JS.API.>", "$JS.ACK.>", "$KV.>", subject.CapabilityAPIAll}
	scope.Template.Sub.Allow = jwt.StringList{subject.InboxOf(rawUser)}
	claims.SigningKeys.AddScopedSigner(scope)
	return newer(claims, operator)
}

func writeRawCreds(path, accountKey string, role nkeys.KeyPair) error {
	key, seed, err := account.NewUserKey()
	if err != nil {
		return err
	}
	u := jwt.NewUserClaims(key)
	u.Name, u.IssuerAccount = rawUser, accountKey
	u.SetScoped(true)
	token, err := u.Encode(role)
	if err != nil {
		return err
	}
	data, err := account.FormatCreds(token, seed)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

// capability reads the secret off what the ingress' role may publish to. The
// JetStream API is no way to it: only the control plane reaches that.
func capability(token string) (subject.Capability, error) {
	claims, err := jwt.DecodeAccountClaims(token)
	if err != nil {
		return "", err
	}
	for _, scope := range claims.SigningKeys {
		s, ok := scope.(*jwt.UserScope)
		if !ok || s.Role != string(account.RoleIngress) {
			continue
		}
		for _, allowed := range s.Template.Pub.Allow {
			if parts := strings.Split(allowed, "."); len(parts) == 3 && parts[0] == "w" {
				return subject.Capability(parts[1]), nil
			}
		}
	}
	return "", fault.New(fault.Other, "account %s has no ingress", claims.Name)
}

// Halt has a stream of a tenant store nothing any more, through restarts too: a message
// with a wrong Nats-Expected-Last-Msg-Id is put into it past the door. It is under the
// subject of an entity that nothing else is about.
func Halt(ctx context.Context, c *Cluster, tenant string, in subject.In) error {
	raw, err := c.Raw(ctx, tenant)
	if err != nil {
		return err
	}
	nc, err := c.Connect(raw.Creds, raw.User)
	if err != nil {
		return err
	}
	defer nc.Close()
	m := &nats.Msg{Subject: raw.Capability.Subject(in.StoredAs(event.NoSite)), Data: []byte("{}"), Header: nats.Header{nats.ExpectedLastMsgIdHdr: {"never"}}}
	if err := nc.PublishMsg(m); err != nil {
		return err
	}
	return nc.FlushWithContext(ctx)
}
