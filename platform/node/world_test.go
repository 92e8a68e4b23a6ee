package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/event"
	"midplane/telemetry"
	"midplane/tenants/account"
)

// patience bounds every wait.
const patience = 30 * time.Second

// keys are a deployment's, in memory.
type keys struct {
	operator        account.Operator
	signer          *account.Signer
	system, control account.Keys
	accounts        map[string]string
	file            string // the operator's JWT
}

func newKeys(t *testing.T) keys {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var k keys
	var err error
	k.system, err = account.NewKeys(account.SystemRoles)
	must(err)
	k.control, err = account.NewKeys(account.ControlRoles)
	must(err)
	k.operator, err = account.NewOperator("midplane", k.system.Public)
	must(err)
	k.signer, err = account.NewSigner(k.operator.Signing)
	must(err)
	sys, err := k.signer.System(k.system)
	must(err)
	ctl, err := k.signer.Control(k.control, 1<<30)
	must(err)
	k.accounts = map[string]string{k.system.Public: sys, k.control.Public: ctl}
	k.file = filepath.Join(t.TempDir(), "operator.jwt")
	must(os.WriteFile(k.file, []byte(k.operator.JWT), 0o600))
	return k
}

// tenant makes a tenant's account with its JWT.
func (k keys) tenant(t *testing.T, id event.Tenant) (account.Keys, string) {
	t.Helper()
	tk, err := account.NewKeys(account.TenantRoles)
	if err != nil {
		t.Fatal(err)
	}
	lim := account.Limits{Connections: 100, Storage: 1 << 30, Subscriptions: 1000, Consumers: 10, MaxAckPending: 100}
	token, err := k.signer.Tenant(account.Tenant{ID: id, Keys: tk, Hubs: account.Hubs{Control: k.control.Public, System: k.system.Public}, Capability: "secret", Limits: lim})
	if err != nil {
		t.Fatal(err)
	}
	return tk, token
}

// running is a node that runs.
type running struct {
	*Node
	stop func() error // stops it and waits; returns what Run returned
}

func start(t *testing.T, cfg Config, change ...func(*Node)) running {
	t.Helper()
	n, err := New(cfg, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	var ended error
	go func() { defer close(done); ended = n.Run(ctx) }()
	r := running{Node: n, stop: func() error { cancel(); <-done; return ended }}
	t.Cleanup(func() { _ = r.stop() }) // a test that checks the error has stopped it before
	rctx, giveUp := context.WithTimeout(context.Background(), patience)
	defer giveUp()
	ready := make(chan error, 1)
	go func() { ready <- n.Ready(rctx) }()
	select {
	case err := <-ready:
		if err != nil {
			t.Fatal(err)
		}
	case <-done: // a test of what it refuses
	}
	return r
}

func single(t *testing.T, k keys) Config {
	t.Helper()
	return Config{Name: "n1", Cluster: "test", Dir: t.TempDir(), Client: "127.0.0.1:0", OperatorJWT: k.file, System: k.system.Public, Accounts: k.accounts, MaxPayload: account.MaxPayload}
}

// three are the configurations of a cluster.
func three(t *testing.T, k keys) []Config {
	t.Helper()
	var routes []string
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		routes = append(routes, l.Addr().String())
	}
	var out []Config
	for i, r := range routes {
		cfg := single(t, k)
		cfg.Name, cfg.Route, cfg.Peer, cfg.Peers, cfg.UnsafeNoSync = fmt.Sprintf("n%d", i+1), r, r, routes, true
		out = append(out, cfg)
	}
	return out
}

// as connects a user of role; in-process when n is given the option to.
func as(t *testing.T, n *Node, keys account.Keys, role account.Role, name string, inProcess bool) *nats.Conn {
	t.Helper()
	nc, err := dial(n, keys, role, name, inProcess)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func dial(n *Node, keys account.Keys, role account.Role, name string, inProcess bool) (*nats.Conn, error) {
	key, seed, err := account.NewUserKey()
	if err != nil {
		return nil, err
	}
	token, err := account.IssueUser(keys, role, account.User{Name: name, Key: key})
	if err != nil {
		return nil, err
	}
	sign, err := account.SignWith(seed)
	if err != nil {
		return nil, err
	}
	opts := []nats.Option{nats.UserJWT(func() (string, error) { return token, nil }, sign), nats.CustomInboxPrefix("_INBOX." + name), nats.NoReconnect()}
	if inProcess {
		opts = append(opts, n.Dial())
	}
	return nats.Connect(n.ClientURL(), opts...)
}

var errNotYet = errors.New("not yet")
