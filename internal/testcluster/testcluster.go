// Package testcluster is a real cluster inside a test: three nodes with synced
// files on loopback, the control plane, doors, and the tenants that the test
// declares. It is for the external tests of every package, and for the benchmarks; nothing in the product imports it.
package testcluster

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/bus"
	"midplane/fault"
	"midplane/internal/local"
	"midplane/internal/ports"
	"midplane/platform/control"
	"midplane/platform/deployment"
	"midplane/telemetry"
	"midplane/tenants"
	"midplane/tenants/account"
	"midplane/tenants/transfer"
)

// Options are what to start.
type Options struct {
	Nodes   int
	TLS     bool
	NoSync  bool
	Tenants []*tenants.Spec
	Tel     *telemetry.Telemetry // nil: see Warnings
	Pace    control.Pace
	// MaxStore is what each node may store, in bytes. 0: as much as any test declares;
	// then quotas are not compared with it.
	MaxStore int64
	// AskBeforeRepair leaves a damaged replica as it is.
	AskBeforeRepair bool
	// Cuts lets the test cut nodes off from each other: see Cluster.Network.
	Cuts bool
}

// Cluster is a running cluster with an admin's connection.
type Cluster struct {
	*local.Cluster
	Dir   string
	Admin *api.Admin
	Conn  *nats.Conn // the admin's
	// Network is between the nodes; nil without Options.Cuts.
	Network *Network
	tel     telemetry.Telemetry
	stop    context.CancelFunc
	done    chan error
	ports   *ports.Reserved
	log     *os.File
}

const logFile = "cluster.log"

// Warnings returns the end of what the nodes of a cluster with its files below dir
// warned of.
func Warnings(dir string) string {
	data, _ := os.ReadFile(filepath.Join(dir, logFile))
	return string(data[max(0, len(data)-8000):])
}

// What the tests' tenants declare is promised and hardly used, so a test must
// not depend on how much room this machine's disk has.
const maxStore = 1 << 40

// Names of the first admin and the primary.
const (
	Admin   = "admin"
	Primary = "primary-1"
)

// Start starts a cluster for a test and stops it when the test ends.
func Start(t testing.TB, opts Options) *Cluster {
	t.Helper()
	dir, err := os.MkdirTemp("", "midplane-test-")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	c, err := New(ctx, dir, opts)
	if err != nil {
		t.Fatalf("start the cluster: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("stop the cluster: %v", err)
		}
		if t.Failed() {
			t.Logf("what the nodes warned of:\n%s", Warnings(dir))
		}
		_ = os.RemoveAll(dir)
	})
	return c
}

// New starts a cluster with its files below dir.
func New(ctx context.Context, dir string, opts Options) (*Cluster, error) {
	tel := telemetry.Nop()
	log, err := os.OpenFile(filepath.Join(dir, logFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	tel.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if opts.Tel != nil {
		tel = *opts.Tel
	}
	if opts.Pace.Drift == 0 {
		opts.Pace.Drift = -1 // see Raw and ChangeAccount
	}
	if opts.Pace.Probe == 0 {
		opts.Pace.Probe = -1 // a test has its own tenants and no other
	}
	reserved := &ports.Reserved{}
	var network *Network
	var between func(from, to int, addr string) (string, error)
	if opts.Cuts {
		network = newNetwork()
		between = network.between
	}
	lc, err := local.New(local.Config{Between: between,
		Dir: dir, Client: "127.0.0.1:0", Nodes: opts.Nodes, TLS: opts.TLS, NoSync: opts.NoSync, Version: "test",
		Admin: Admin, Primary: Primary, Pace: opts.Pace, Ports: reserved.Reserve, MaxStore: cmp.Or(opts.MaxStore, maxStore), Overcommit: opts.MaxStore == 0, AskBeforeRepair: opts.AskBeforeRepair}, tel)
	if err != nil {
		return nil, errors.Join(err, reserved.Close(), log.Close())
	}
	rctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	c := &Cluster{Cluster: lc, Dir: dir, Network: network, tel: tel, stop: stop, done: make(chan error, 1), ports: reserved, log: log}
	go func() { c.done <- lc.Run(rctx) }()
	if err := lc.Ready(ctx); err != nil {
		stop()
		<-c.done
		return nil, errors.Join(err, reserved.Close(), log.Close())
	}
	c.Conn, err = c.Connect(deployment.AdminCreds(lc.Deployment(), Admin), Admin)
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	c.Admin = api.NewAdmin(c.Conn, Admin)
	for _, s := range opts.Tenants {
		if err := c.Apply(ctx, s, api.AccountPushed, api.StreamsReady, api.SchemasBound, api.IngressOpen); err != nil {
			_ = c.Close()
			return nil, err
		}
	}
	return c, nil
}

// Close stops every node.
func (c *Cluster) Close() error {
	if c.Conn != nil {
		c.Conn.Close()
	}
	if c.Network != nil {
		c.Network.Cut() // a node that is cut off stops no faster for it
	}
	c.stop()
	err := errors.Join(<-c.done, c.ports.Close(), c.log.Close())
	if c.Network != nil {
		err = errors.Join(err, c.Network.Close())
	}
	return err
}

// CAFile returns the CA of the clients, "" without TLS.
func (c *Cluster) CAFile() string {
	if path := deployment.CAFile(c.Deployment()); exists(path) {
		return path
	}
	return ""
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// Connect connects to all nodes with a .creds file.
func (c *Cluster) Connect(creds, user string, opts ...nats.Option) (*nats.Conn, error) {
	return bus.Connect(bus.Config{Servers: c.Servers(), User: user, Name: user, CredsFile: creds, CAFile: c.CAFile(), MaxWait: 10 * time.Second, Options: opts}, c.tel)
}

// Apply stores a spec, changed from what is there, and waits until the
// named conditions (none: Ready) are true.
func (c *Cluster) Apply(ctx context.Context, s *tenants.Spec, conditions ...string) error {
	was, err := transfer.Get(ctx, c.Admin.Do, string(s.ID), s)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	revision, err := transfer.Put(ctx, c.Admin.Do, s, was, false)
	if err != nil {
		return err
	}
	for {
		var row api.Tenant
		if err := c.Admin.Do(ctx, api.TenantStatus, api.TenantRef{Tenant: string(s.ID)}, &row); err != nil {
			return err
		}
		if row.Revision >= revision && holds(row, conditions) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fault.New(fault.Unavailable, "tenant %s is not ready: %+v", s.ID, row.Conditions)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func holds(row api.Tenant, conditions []string) bool {
	if len(conditions) == 0 {
		return row.Ready
	}
	for _, want := range conditions {
		for _, got := range row.Conditions {
			if got.Type == want && !got.OK {
				return false
			}
		}
	}
	return true
}

// User makes a user and returns the path of its .creds file.
func (c *Cluster) User(ctx context.Context, tenant string, role account.Role, name string, subs ...string) (string, error) {
	key, seed, err := account.NewUserKey()
	if err != nil {
		return "", err
	}
	var created api.CreatedUser
	if subs == nil {
		subs = []string{}
	}
	if err := c.Admin.Do(ctx, api.UserCreate, api.CreateUser{Tenant: tenant, Name: name, Role: string(role), PublicKey: key, Subscriptions: subs}, &created); err != nil {
		return "", err
	}
	data, err := account.FormatCreds(created.JWT, seed)
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.Dir, tenant+"-"+name+".creds")
	return path, os.WriteFile(path, data, 0o600)
}

// As makes a user and connects as it.
func (c *Cluster) As(t testing.TB, tenant string, role account.Role, name string, subs ...string) *nats.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	creds, err := c.User(ctx, tenant, role, name, subs...)
	if err != nil {
		t.Fatalf("user %s/%s: %v", tenant, name, err)
	}
	nc, err := c.Connect(creds, name)
	if err != nil {
		t.Fatalf("connect as %s/%s: %v", tenant, name, err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// Tenant returns a small tenant: one site "syd" with poller "syd-01", an
// application "billing" that reads all events, and one device.
func Tenant(id string) *tenants.Spec {
	spec, err := tenants.ParseJSON([]byte(`{"apiVersion":"midplane/v1","kind":"Tenant","id":"` + id + `","name":"` + id + `","quota":{"storage":"1GiB"},
		"sites":[{"id":"syd","name":"Sydney","pollers":[{"id":"syd-01"}],"devices":[{"id":"r1","name":"Router","address":"127.0.0.1"}]}],
		"subscriptions":[{"application":"billing","name":"all","stream":"EVENTS"}]}`))
	if err != nil {
		panic(err) // a constant
	}
	return spec
}
