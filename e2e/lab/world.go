package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/internal/forgetfs"
	"midplane/internal/testcluster"
	"midplane/platform/deployment"
)

const tenant = "acme"

// World is a deployment of processes, whose nodes reach each other over links.
type World struct {
	sys    *testcluster.Deployment
	t      testing.TB
	random *rand.Rand
	began  time.Time

	links   map[way]*link
	forgets map[string]*forgetfs.FS // by node
	creds   map[string]string       // by user
	flags   []string                // of every node, beyond the usual

	primaryFlags []string

	// What workloads beside the set need: users with their role and what goes with it,
	// and more of the tenant's file.
	users                map[string][]string
	pollers, declaration string
	beside               []Workload
	set                  *Set
	truth                truth

	back   bool      // see Row.Back
	left   *survivor // see Keep
	victim string    // the node that the last step chose

	account string   // of the tenant, once the laboratory was behind its back
	said    []string // what commands of pages have printed

	schedule []string
}

// way is from the node that dials to the one that is dialled.
type way struct{ from, to string }

// newWorld makes a deployment folder; nothing runs yet.
func newWorld(ctx context.Context, t testing.TB, bin string, seed uint64) *World {
	t.Helper()
	dir, err := os.MkdirTemp("", "midplane-lab-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	m := testcluster.NewMachine(bin, dir)
	t.Cleanup(m.StopAll)
	d, err := testcluster.NewDeployment(ctx, m)
	if err != nil {
		t.Fatal(err)
	}
	w := &World{sys: d, t: t, random: rand.New(rand.NewPCG(seed, 1)), began: time.Now(),
		links: map[way]*link{}, forgets: map[string]*forgetfs.FS{}, creds: map[string]string{}, users: map[string][]string{inspector: {"inspector"}}, set: &Set{}}
	for i := range writers {
		w.users[writerName(i)] = []string{"producer"}
	}
	t.Cleanup(func() {
		for _, k := range w.links {
			k.close()
		}
	})
	if err := w.link(); err != nil {
		t.Fatal(err)
	}
	return w
}

// link puts a link into every way between two nodes. A node's own route stays as it
// is.
func (w *World) link() error {
	files := map[string]*deployment.NodeFile{}
	for _, n := range w.sys.Nodes {
		f, err := readNode(w.nodeFile(n))
		if err != nil {
			return err
		}
		files[n] = f
	}
	for _, from := range w.sys.Nodes {
		f := files[from]
		f.Peers = nil
		// What nodes learn from each other must not lead around the links.
		f.Peer = "127.0.0.1:1"
		for _, to := range w.sys.Nodes {
			if to == from {
				f.Peers = append(f.Peers, f.Route)
				continue
			}
			k, err := newLink(files[to].Route)
			if err != nil {
				return err
			}
			w.links[way{from, to}] = k
			f.Peers = append(f.Peers, k.addr())
		}
		data, err := json.MarshalIndent(f, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(w.nodeFile(from), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (w *World) nodeFile(node string) string {
	return filepath.Join(deployment.NodeDir(w.sys.Folder, node), "node.json")
}

func readNode(path string) (*deployment.NodeFile, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := &deployment.NodeFile{}
	return f, json.Unmarshal(data, f)
}

// DataDir is where a node keeps what it stores.
func (w *World) DataDir(node string) string { return filepath.Join(w.sys.Dir, "data-"+node) }

// start starts the nodes and the primary, and onboards the tenant with its users.
func (w *World) start(ctx context.Context) error {
	for _, n := range w.sys.Nodes {
		if err := w.startNode(n); err != nil {
			return err
		}
	}
	if _, err := w.sys.StartPrimary(w.primaryFlags...); err != nil {
		return err
	}
	if err := w.sys.Await(ctx, func(ctx context.Context) error {
		_, err := w.sys.Run(ctx, "get", "tenants", "-o", "json")
		return err
	}); err != nil {
		return err
	}
	file := filepath.Join(w.sys.Dir, tenant+".yaml")
	if err := os.WriteFile(file, []byte(spec+w.pollers+w.declaration), 0o600); err != nil {
		return err
	}
	if _, err := w.sys.Run(ctx, "apply", "-f", file); err != nil {
		return err
	}
	for user, role := range w.users {
		w.creds[user] = filepath.Join(w.sys.Dir, user+".creds")
		args := append([]string{"user", "create", "--tenant", tenant, user, "--out", w.creds[user], "--role"}, role...)
		if _, err := w.sys.Run(ctx, args...); err != nil {
			return err
		}
	}
	return w.sys.Await(ctx, w.probed)
}

// probed returns an error until every node has tried its own door: what the system makes
// for that is there then, and is no growth.
func (w *World) probed(ctx context.Context) error {
	status, err := testcluster.StatusOf(ctx, w.sys.Machine)
	if err != nil {
		return err
	}
	for _, n := range status.Cluster.Nodes {
		if n.Probe == nil || n.Probe.Failures > 0 {
			return fmt.Errorf("node %s has not tried its door yet", n.ID)
		}
	}
	return nil
}

const spec = `apiVersion: midplane/v1
kind: Tenant
id: ` + tenant + `
name: Acme
quota: {messageRate: 20000, storage: 256MiB}
sites:
  - id: syd
    name: Sydney
`

func (w *World) startNode(name string) error {
	_, err := w.sys.StartNode(name, w.flags...)
	return err
}

// connect connects as a user, to the node with this number first.
func (w *World) connect(user string, first int) (jetstream.JetStream, error) {
	nc, err := connectFirst(w.sys, user, w.creds[user], first)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
	}
	return js, err
}

// note writes down what was done, when, for the run's record.
func (w *World) note(format string, args ...any) {
	w.schedule = append(w.schedule, fmt.Sprintf("%6.1f s  %s", time.Since(w.began).Seconds(), fmt.Sprintf(format, args...)))
}

// streams returns the tenant's streams as the nodes that run see them.
func (w *World) streams(ctx context.Context) (rows []api.Stream, err error) {
	return rows, w.sys.Get(ctx, &rows, "streams", "--tenant", tenant)
}

// leader returns the node that leads EVENTS.
func (w *World) leader(ctx context.Context) (string, error) {
	var name string
	err := w.sys.Await(ctx, func(ctx context.Context) error {
		rows, err := w.streams(ctx)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if r.ID == event.StreamEvents && slices.Contains(w.sys.Nodes, r.Leader) {
				name = r.Leader
				return nil
			}
		}
		return fmt.Errorf("%s has no leader", event.StreamEvents)
	})
	return name, err
}

// whole reports an error while a node is away, or a replica is behind.
func (w *World) whole(ctx context.Context) error {
	rows, err := w.streams(ctx)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return fmt.Errorf("no streams")
	}
	for _, r := range rows {
		if r.Leader == "" || len(r.Replicas) != len(w.sys.Nodes)-1 || strings.ContainsRune(strings.Join(r.Replicas, ""), '(') {
			return fmt.Errorf("%s: leader %q, followers %q", r.ID, r.Leader, r.Replicas)
		}
	}
	return nil
}
