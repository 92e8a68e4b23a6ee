package tenancy_test

import (
	"encoding/json"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/platform"
	controldial "midplane/platform/control/dial"
	"midplane/platform/deployment"
	"midplane/platform/registry"
	tenancy "midplane/platform/tenancy_test"
	"midplane/telemetry"
	"midplane/tenants/account"

	"github.com/nats-io/nats.go"
)

// cast is all users that try what the matrix says.
type cast struct {
	w     *world
	node  *platform.Platform
	keys  map[string]account.Keys // by account
	fill  *strings.Replacer       // the placeholders that are secrets
	lines map[string]*wire        // by role
	roles map[string]tenancy.Role

	cleaner *nats.Conn // deletes consumers
}

// cast gets every key there is, as an attacker that has taken over a whole node
// could.
func (w *world) cast(t *testing.T, m tenancy.Matrix) *cast {
	t.Helper()
	name := w.cluster.Names()[0]
	node, err := deployment.LoadNode(deployment.NodeDir(w.cluster.Deployment(), name))
	if err != nil {
		t.Fatal(err)
	}
	c := &cast{w: w, node: w.cluster.Node(name), lines: map[string]*wire{}, roles: map[string]tenancy.Role{},
		keys: map[string]account.Keys{"CONTROL": node.Secrets.Control, "SYS": node.Secrets.System, "ENROL": node.Secrets.Enrol},
		fill: strings.NewReplacer("KEY", w.accountKey(t, globex), "OWN", w.accountKey(t, acme), "CAP", w.capability(t, acme))}
	for _, r := range m.Roles {
		c.roles[r.Role] = r
	}
	d := &controldial.Dialer{Dial: nats.InProcessServer(c.node), Node: "matrix", Tel: telemetry.Nop()}
	nc, err := d.Connect(node.Secrets.Control, account.RoleNode, account.UserNode)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(ctxOf(t), registry.BucketRegistry)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := kv.Get(ctxOf(t), "account."+acme)
	if err != nil {
		t.Fatal(err)
	}
	var rec registry.Account
	var secrets registry.Secrets
	sealer, err := account.NewSealer(node.Secrets.Master)
	if err == nil {
		err = json.Unmarshal(entry.Value(), &rec)
	}
	if err == nil {
		err = sealer.Open("tenant/"+acme, rec.Sealed, &secrets)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.keys["tenant"] = secrets.Keys
	return c
}

// creds are those of a role: the ones that were given out, or made with the
// role's own signing key.
func (c *cast) creds(t *testing.T, role string) account.Creds {
	t.Helper()
	who := c.roles[role]
	if path, ok := c.w.creds[acme+"/"+who.User]; ok {
		return readCreds(t, path)
	}
	where, name, _ := strings.Cut(role, "/")
	switch role {
	case "CONTROL/admin":
		return readCreds(t, deployment.AdminCreds(c.w.cluster.Deployment(), who.User))
	case "CONTROL/core", "CONTROL/query":
		return readCreds(t, deployment.PrimaryCreds(c.w.cluster.Deployment(), account.Role(name)))
	}
	key, seed, err := account.NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	token, err := account.IssueUser(c.keys[where], account.Role(name), account.User{Name: who.User, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	out, err := account.ReadUser(token, seed)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// deaf are the roles that may listen to no inbox: they answer only.
var deaf = []string{"CONTROL/query", "CONTROL/service"}

// wire is a connection of a role; inside is one without a socket.
func (c *cast) wire(t *testing.T, role string, inside bool) *wire {
	t.Helper()
	out := &wire{t: t, addr: strings.TrimPrefix(c.w.cluster.Servers()[0], "nats://"), creds: c.creds(t, role), corner: ".matrix", deaf: slices.Contains(deaf, role)}
	if inside {
		out.open = func() (net.Conn, error) { return c.node.InProcessConn() }
	}
	t.Cleanup(func() { out.close() })
	return out
}

// line is the connection of a role over which it tries its cells.
func (c *cast) line(t *testing.T, role string) *wire {
	t.Helper()
	if c.lines[role] == nil {
		l := c.wire(t, role, c.roles[role].Inside)
		if err := l.connect(); err != nil {
			t.Fatalf("%s: %v", role, err)
		}
		c.lines[role] = l
	}
	l := c.lines[role]
	l.t = t
	if l.sync(); l.conn == nil { // it was silent for too long
		if err := l.connect(); err != nil {
			t.Fatalf("%s: %v", role, err)
		}
	}
	return l
}

// subject fills the placeholders in.
func (c *cast) subject(role, s string) string {
	return c.fill.Replace(strings.ReplaceAll(s, "NAME", c.roles[role].User))
}

// witness receives everything that is sent in acme, and may publish anything there.
func (w *world) witness(t *testing.T) *nats.Conn {
	t.Helper()
	path := w.extend(t, acme, "witness", []string{">"}, []string{">"})
	nc, err := nats.Connect(w.cluster.Servers()[0], nats.UserCredentials(path), nats.CustomInboxPrefix("_INBOX.witness"))
	if err != nil {
		t.Fatal(err)
	}
	return nc
}
