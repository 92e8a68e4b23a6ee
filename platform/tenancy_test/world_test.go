package tenancy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/tenants"
	"midplane/tenants/account"
)

// One cluster of three nodes with two tenants, for all tests of this package.
// In each tenant there is one user of every role that attacks, and a poller
// and a reader that do nothing but watch what reaches them.
const (
	acme, globex = "acme", "globex"
	poller       = "syd-01"
	producer     = "feed"
	reader       = "reading"
	app          = "billing"
	inspector    = "ops"
	quietPoller  = "syd-02"
	quietReader  = "victim"
	canary       = "canary" // an application that publishes after every attack
)

// attackers are the users that attack, by role.
var attackers = []struct {
	name string
	role account.Role
	subs []string
}{
	{poller, account.RolePoller, nil},
	{producer, account.RoleProducer, nil},
	{reader, account.RoleReader, []string{"all"}},
	{app, account.RoleApp, []string{"all", "dead"}},
	{inspector, account.RoleInspector, nil},
}

type world struct {
	cluster  *testcluster.Cluster
	creds    map[string]string // path by tenant/user
	sides    map[string]*side  // by tenant
	attacks  int
	tried    int // cells of the matrix
	asStated int // those that are as the table says
}

// round is the world of one round of the tests. They count in it, and make tenants by
// names that may be used once: with -count=2 each round has a world of its own.
var round struct {
	mu    sync.Mutex
	asked map[string]*testing.T // tests of this round that have asked for it
	dir   string
	world *world
	err   error
}

// shared is the world of this round.
func shared(t *testing.T) *world {
	t.Helper()
	round.mu.Lock()
	defer round.mu.Unlock()
	if was := round.asked[t.Name()]; was != nil && was != t { // the test runs again
		if err := closeRound(); err != nil {
			t.Fatal(err)
		}
	}
	if round.asked == nil {
		round.asked = map[string]*testing.T{}
		if round.dir, round.err = os.MkdirTemp("", "midplane-tenancy-"); round.err == nil {
			round.world, round.err = newWorld(round.dir)
		}
	}
	round.asked[t.Name()] = t
	if round.err != nil {
		t.Fatal(round.err)
	}
	return round.world
}

// closeRound prints what was counted and stops the cluster, if there is one.
func closeRound() error {
	w := round.world
	round.world, round.asked = nil, nil
	if w == nil {
		return nil
	}
	fmt.Printf("attacks: %d\n", w.attacks)
	if w.tried > 0 {
		fmt.Printf("permission matrix: %d cells, %d as the table says\n", w.tried, w.asStated)
	}
	return errors.Join(w.cluster.Close(), os.RemoveAll(round.dir))
}

func TestMain(m *testing.M) {
	code := m.Run()
	if err := closeRound(); err != nil {
		log.Print(err)
		code = 1
	}
	os.Exit(code)
}

// spec is a tenant whose applications read each what is declared for them.
func spec(id, policy string, quota map[string]any) (*tenants.Spec, error) {
	data, err := json.Marshal(map[string]any{
		"apiVersion": tenants.APIVersion, "kind": tenants.KindTenant, "id": id, "policy": policy, "quota": quota,
		"sites": []any{map[string]any{"id": "syd", "pollers": []any{map[string]any{"id": poller}, map[string]any{"id": quietPoller}},
			"devices": []any{map[string]any{"id": "r1", "address": "127.0.0.1"}}}},
		"subscriptions": []any{
			map[string]any{"application": reader, "name": "all", "stream": "EVENTS"},
			map[string]any{"application": app, "name": "all", "stream": "EVENTS"},
			map[string]any{"application": app, "name": "dead", "stream": "DEAD"},
			map[string]any{"application": quietReader, "name": "all", "stream": "EVENTS"},
		},
	})
	if err != nil {
		return nil, err
	}
	return tenants.ParseJSON(data)
}

func newWorld(dir string) (*world, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var specs []*tenants.Spec
	for _, id := range []string{acme, globex} {
		s, err := spec(id, tenants.PolicyEnforce, map[string]any{"messageRate": 1_000_000, "messageSize": "64KiB"})
		if err != nil {
			return nil, err
		}
		specs = append(specs, s)
	}
	// Two thousand attacks, each followed by eight messages and their acks: what
	// is proved here does not depend on the disk.
	c, err := testcluster.New(ctx, dir, testcluster.Options{Tenants: specs, NoSync: true})
	if err != nil {
		return nil, err
	}
	w := &world{cluster: c, creds: map[string]string{}, sides: map[string]*side{}}
	for _, id := range []string{acme, globex} {
		if err := w.people(ctx, id); err != nil {
			return w, err
		}
		if w.sides[id], err = w.side(ctx, id); err != nil {
			return w, err
		}
	}
	return w, nil
}

// people makes the users of a tenant.
func (w *world) people(ctx context.Context, tenant string) error {
	all := slices.Clone(attackers)
	all = append(all, []struct {
		name string
		role account.Role
		subs []string
	}{{quietPoller, account.RolePoller, nil}, {quietReader, account.RoleReader, []string{"all"}}, {canary, account.RoleApp, nil}, {"auditor", account.RoleInspector, nil}}...)
	for _, u := range all {
		path, err := w.cluster.User(ctx, tenant, u.role, u.name, u.subs...)
		if err != nil {
			return err
		}
		w.creds[tenant+"/"+u.name] = path
	}
	return nil
}

// connect is a stock client on the first node, where all clients are: what one
// connection has sent there is handled before what the next one sends.
func (w *world) connect(tenant, user string) (*nats.Conn, error) {
	return nats.Connect(w.cluster.Servers()[0], nats.UserCredentials(w.creds[tenant+"/"+user]), nats.CustomInboxPrefix("_INBOX."+user),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), nats.MaxReconnects(-1))
}

// as is a user of acme, in raw protocol.
func (w *world) as(t testing.TB, tenant, user string) *wire {
	t.Helper()
	c := dial(t, w.cluster.Servers()[0], w.creds[tenant+"/"+user])
	t.Cleanup(c.close)
	return c
}

// attack does f and then proves that it did nothing: nothing was stored,
// nothing stopped, and no other user received anything. dead is how many dead
// letters the ingress may have kept of it.
func (w *world) attack(t *testing.T, what string, dead int, f func()) {
	t.Helper()
	w.attacks++
	f()
	for _, id := range []string{acme, globex} {
		w.sides[id].unharmed(t, id+" after "+what, dead)
		dead = 0 // an attack in acme leaves nothing in globex
	}
}

// Subjects and payloads that are in order.
func goodEvent(user string) (subject, data string) {
	return "in." + user + ".event.info.r1." + string(event.TypeReachabilityChanged), `{"device":"r1","from":"up","to":"down","message":"no answer"}`
}

func contains(list []string, part string) bool {
	return slices.ContainsFunc(list, func(s string) bool { return strings.Contains(s, part) })
}
