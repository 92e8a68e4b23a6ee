package control_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/streams"
	"midplane/tenants/account"
)

// load publishes through every node until it is stopped. A message is tried
// again with the same id until it is acknowledged, as every producer does.
type load struct {
	stop    chan struct{}
	done    sync.WaitGroup
	mu      sync.Mutex
	sent    map[string]bool
	retries atomic.Int64
	refused []string // what a producer would not try again
	creds   string   // of the producer at the first node
}

func startLoad(t *testing.T, c *testcluster.Cluster, tenant string) *load {
	t.Helper()
	l := &load{stop: make(chan struct{}), sent: map[string]bool{}}
	for node := range c.Names() {
		name := fmt.Sprintf("feed-%d", node)
		key, seed := newKey(t)
		creds := userWith(t, c, tenant, account.RoleProducer, name, key, seed)
		if node == 0 {
			l.creds = creds
		}
		nc := mustAt(t, c, node, creds, name)
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		l.done.Go(func() {
			for n := 1; ; n++ {
				select {
				case <-l.stop:
					return
				default:
				}
				l.one(js, name, fmt.Sprintf("%s/%d", name, n))
				time.Sleep(2 * time.Millisecond) // a rate, not a wait
			}
		})
	}
	return l
}

func (l *load) one(js jetstream.JetStream, user, id string) {
	for began := time.Now(); time.Since(began) < patience; {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		_, err := js.PublishMsg(ctx, &nats.Msg{Subject: fmt.Sprintf("in.%s.event.info.r1.%s", user, event.TypeReachabilityChanged),
			Data: []byte(`{"device":"r1","from":"up","to":"down","message":"gone"}`), Header: nats.Header{"Nats-Msg-Id": {id}}}, jetstream.WithRetryAttempts(1))
		cancel()
		l.mu.Lock()
		if err == nil {
			l.sent[id] = true
			l.mu.Unlock()
			return
		}
		if code := errCode(err); code == 24031 || code == 24001 || strings.Contains(err.Error(), "ermission") {
			l.refused = append(l.refused, id+": "+err.Error())
		}
		l.mu.Unlock()
		l.retries.Add(1)
		time.Sleep(10 * time.Millisecond)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused = append(l.refused, id+": never acknowledged")
}

// count is how many have been acknowledged.
func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sent)
}

// check stops the load and compares what was acknowledged with what is stored.
func (l *load) check(t *testing.T, nc *nats.Conn) {
	t.Helper()
	close(l.stop)
	l.done.Wait()
	if len(l.refused) > 0 {
		t.Errorf("%d refused for good: %s", len(l.refused), l.refused[0])
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	var last uint64
	if err := streams.ReadAll(testContext(t), js, streams.ReadConfig{Stream: event.StreamEvents}, func(m jetstream.Msg, at *jetstream.MsgMetadata) error {
		if at.Sequence.Stream != last+1 && last > 0 {
			t.Errorf("after %d comes %d", last, at.Sequence.Stream)
		}
		last = at.Sequence.Stream
		times[m.Headers().Get("Nats-Msg-Id")]++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	missing := 0
	for id := range l.sent {
		if times[id] != 1 {
			if missing++; missing < 5 {
				t.Errorf("%s was acknowledged and is stored %d times", id, times[id])
			}
		}
	}
	if missing > 0 {
		t.Fatalf("%d of %d acknowledged messages are not stored once; read up to %d", missing, len(l.sent), last)
	}
	t.Logf("%d messages acknowledged, each stored once; %d tries had to be repeated", len(l.sent), l.retries.Load())
}

func rotations(t *testing.T, c *testcluster.Cluster, tenant string) []api.Rotation {
	t.Helper()
	return ask[api.Page[api.Rotation]](t, c, api.RotationList, api.ListRequest{Tenant: tenant}).Items
}

// apiPaths are the secret ways to the API that the account has.
func apiPaths(t *testing.T, c *testcluster.Cluster, tenant string) (out []string) {
	t.Helper()
	claims, err := c.Account(testContext(t), tenant)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range claims.Imports {
		if strings.HasPrefix(i.Name, "api") {
			out = append(out, string(i.LocalSubject))
		}
	}
	if !claims.Limits.DisallowBearer {
		t.Error("bearer JWTs are allowed")
	}
	return out
}

// The capability is replaced while messages flow through every node: none is
// lost, none stored twice, none refused for good, and the old one is gone.
func TestCapabilityRotatesUnderLoad(t *testing.T) {
	c := cluster(t)
	apply(t, c, testcluster.Tenant("spin"))
	inspector := c.As(t, "spin", account.RoleInspector, "ann")
	before := apiPaths(t, c, "spin")
	l := startLoad(t, c, "spin")
	for round := range 2 {
		n := l.count()
		testwait.Until(t, "messages flow", func() error {
			if l.count() < n+100 {
				return fmt.Errorf("%d", l.count()-n)
			}
			return nil
		})
		if rows := ask[api.Page[api.Rotation]](t, c, api.RotateCapability, api.Rotate{Tenant: "spin"}).Items; len(rows) == 0 {
			t.Error("nothing is being rotated")
		}
		took := testwait.Until(t, "the rotation ends", func() error {
			if rows := rotations(t, c, "spin"); len(rows) > 0 {
				return fmt.Errorf("%+v", rows)
			}
			return nil
		})
		t.Logf("round %d took %s", round+1, took.Round(10*time.Millisecond))
	}
	n := l.count()
	testwait.Until(t, "messages flow afterwards", func() error {
		if l.count() < n+100 {
			return fmt.Errorf("%d", l.count()-n)
		}
		return nil
	})
	l.check(t, inspector)
	after := apiPaths(t, c, "spin")
	if len(before) != 1 || len(after) != 1 || before[0] == after[0] {
		t.Errorf("ways to the API: %v, then %v", len(before), len(after))
	}
	// All else goes on behind the new one.
	if rows := streamRows(t, c, "spin"); len(rows) != 4 || rows[event.StreamEvents].Leader == "" {
		t.Errorf("%+v", rows)
	}
}

// Roles get new keys while messages flow. Who has credentials of the former key
// goes on, new users are of the new one, and finishing names whom it would cut
// off.
func TestRoleKeysRotate(t *testing.T) {
	c := cluster(t)
	apply(t, c, testcluster.Tenant("spinkeys"))
	inspector := c.As(t, "spinkeys", account.RoleInspector, "ann")
	l := startLoad(t, c, "spinkeys")
	rows := ask[api.Page[api.Rotation]](t, c, api.RotateKeys, api.Rotate{Tenant: "spinkeys", Roles: []string{"producer", "ingress", "control"}}).Items
	if len(rows) != 3 {
		t.Fatalf("%+v", rows)
	}
	testwait.Until(t, "the system's own keys go by themselves", func() error {
		left := rotations(t, c, "spinkeys")
		if len(left) != 1 || left[0].Role != "producer" || !slices.Equal(left[0].Holders, []string{"feed-0", "feed-1", "feed-2"}) {
			return fmt.Errorf("%+v", left)
		}
		return nil
	})
	n := l.count()
	testwait.Until(t, "who has old credentials goes on", func() error {
		if l.count() < n+100 {
			return fmt.Errorf("%d", l.count()-n)
		}
		return nil
	})
	l.check(t, inspector)
	key, seed := newKey(t)
	fresh := mustAt(t, c, 0, userWith(t, c, "spinkeys", account.RoleProducer, "new", key, seed), "new")
	if err := publish(fresh, "new"); err != nil {
		t.Errorf("a user of the new key: %v", err)
	}
	err := do(t, c, api.RotateFinish, api.Rotate{Tenant: "spinkeys"}, nil)
	if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "feed-0, feed-1, feed-2") {
		t.Errorf("finished though there are holders: %v", err)
	}
	old := l.again(t, c)
	if rows := ask[api.Page[api.Rotation]](t, c, api.RotateFinish, api.Rotate{Tenant: "spinkeys", Yes: true}).Items; len(rows) != 0 {
		t.Errorf("%+v", rows)
	}
	testwait.Until(t, "the former key is refused", func() error {
		if old.IsConnected() {
			return fmt.Errorf("still connected")
		}
		return nil
	})
	if err := publish(fresh, "new"); err != nil {
		t.Errorf("a user of the new key, afterwards: %v", err)
	}
}

// again connects with the credentials of the first producer.
func (l *load) again(t *testing.T, c *testcluster.Cluster) *nats.Conn {
	t.Helper()
	return mustAt(t, c, 0, l.creds, "feed-0")
}

// Keys of roles that renew go by themselves when every JWT of the former key has
// expired, and what cannot be rotated is refused.
func TestRotationRefuses(t *testing.T) {
	c := cluster(t)
	apply(t, c, testcluster.Tenant("spinno"))
	for _, role := range []string{"primary", "admin", "*", ""} {
		if err := do(t, c, api.RotateKeys, api.Rotate{Tenant: "spinno", Roles: []string{role}}, nil); fault.KindOf(err) != fault.Invalid {
			t.Errorf("role %q: %v", role, err)
		}
	}
	if err := do(t, c, api.RotateCapability, api.Rotate{Tenant: "missing"}, nil); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a tenant that is not: %v", err)
	}
	for range 3 {
		ask[api.Page[api.Rotation]](t, c, api.RotateKeys, api.Rotate{Tenant: "spinno", Roles: []string{"app"}})
	}
	// No user has the role: the keys go by themselves.
	testwait.Until(t, "keys that no user holds go", func() error {
		if rows := rotations(t, c, "spinno"); len(rows) > 0 {
			return fmt.Errorf("%+v", rows)
		}
		return nil
	})
}

// rotatedMeanwhile is part of TestNodesComeAndGo.
func rotatedMeanwhile(t *testing.T, c *testcluster.Cluster) {
	apply(t, c, testcluster.Tenant("spinstop"))
	key, seed := newKey(t)
	creds := userWith(t, c, "spinstop", account.RoleProducer, "feed", key, seed)
	before := apiPaths(t, c, "spinstop")
	ask[api.Page[api.Rotation]](t, c, api.RotateCapability, api.Rotate{Tenant: "spinstop"})
	leader := clusterStatus(t, c).Leader
	if leader == "" {
		leader = "n1"
	}
	c.Stop(leader)
	testwait.Until(t, "another leader ends it", func() error {
		if rows := rotations(t, c, "spinstop"); len(rows) > 0 {
			return fmt.Errorf("%+v", rows)
		}
		return nil
	})
	// A node that was busy with the change of leader may answer a moment before it has
	// the account's last JWT.
	testwait.Until(t, "the old way is gone", func() error {
		if after := apiPaths(t, c, "spinstop"); len(after) != 1 || after[0] == before[0] {
			return fmt.Errorf("%d ways to the API, the old one among them: %t", len(after), slices.Contains(after, before[0]))
		}
		return nil
	})
	// A second one while the node is away: it must not serve with the old keys.
	ask[api.Page[api.Rotation]](t, c, api.RotateCapability, api.Rotate{Tenant: "spinstop"})
	testwait.Until(t, "it ends without the node", func() error {
		if rows := rotations(t, c, "spinstop"); len(rows) > 0 {
			return fmt.Errorf("%+v", rows)
		}
		return nil
	})
	back(t, c, leader)
	for i, name := range c.Names() {
		nc := mustAt(t, c, i, creds, "feed")
		testwait.Until(t, "messages go through "+name, func() error { return publish(nc, "feed") })
	}
}

// The operator's identity key and the keys of the CAs are not needed once the
// deployment is made: tenants come and change, keys rotate and nodes start
// without them.
func TestOfflineFolderIsNotNeeded(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{NoSync: true, Pace: pace})
	if err := os.RemoveAll(filepath.Join(c.Deployment(), "offline")); err != nil {
		t.Fatal(err)
	}
	apply(t, c, testcluster.Tenant("away"))
	ask[api.Page[api.Rotation]](t, c, api.RotateKeys, api.Rotate{Tenant: "away"})
	ask[api.Page[api.Rotation]](t, c, api.RotateCapability, api.Rotate{Tenant: "away"})
	testwait.Until(t, "the rotation ends", func() error {
		if rows := rotations(t, c, "away"); len(rows) > 0 {
			return fmt.Errorf("%+v", rows)
		}
		return nil
	})
	c.Stop("n3")
	back(t, c, "n3")
	apply(t, c, testcluster.Tenant("away2"))
	nc := c.As(t, "away2", account.RoleProducer, "feed")
	testwait.Until(t, "messages flow", func() error { return publish(nc, "feed") })
}
