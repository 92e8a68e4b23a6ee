package control_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/tenants"
	"midplane/tenants/account"
)

// thief opens connections with one credential to every node, as fast as it can,
// and never closes one.
type thief struct {
	opened atomic.Int64
	mu     sync.Mutex
	held   []*nats.Conn
	stop   context.CancelFunc
	done   sync.WaitGroup
}

func steal(t *testing.T, c *testcluster.Cluster, creds, user string) *thief {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	x := &thief{stop: stop}
	for i := range 6 {
		x.done.Go(func() {
			for ctx.Err() == nil {
				server := c.Servers()[i%len(c.Servers())]
				nc, err := nats.Connect(server, nats.UserCredentials(creds), nats.CustomInboxPrefix("_INBOX."+user), nats.NoReconnect(), nats.Timeout(2*time.Second))
				if err != nil {
					time.Sleep(time.Millisecond) // the node may be down
					continue
				}
				x.opened.Add(1)
				x.mu.Lock()
				x.held = append(x.held, nc)
				x.mu.Unlock()
			}
		})
	}
	t.Cleanup(x.end)
	return x
}

func (x *thief) end() {
	x.stop()
	x.done.Wait()
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, nc := range x.held {
		nc.Close()
	}
	x.held = nil
}

// alive is how many of its connections are open.
func (x *thief) alive() (n int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, nc := range x.held {
		if nc.IsConnected() {
			n++
		}
	}
	return n
}

// While one stolen credential opens connections as fast as it can, others of
// the tenant get in, the system gets in, and so does a node that comes back.
func TestStolenCredentialLocksNobodyOut(t *testing.T) {
	t.Parallel()
	c := testcluster.Start(t, testcluster.Options{NoSync: true, Pace: pace})
	spec := testcluster.Tenant("robbed")
	spec.Quota.Connections, spec.Quota.ConnectionsPerUser = 10, 3
	apply(t, c, spec)
	watcher := c.As(t, "robbed", account.RoleInspector, "ops")
	key, seed := newKey(t)
	stolen := userWith(t, c, "robbed", account.RoleProducer, "stolen", key, seed)
	key, seed = newKey(t)
	honest := userWith(t, c, "robbed", account.RolePoller, "syd-01", key, seed)
	x := steal(t, c, stolen, "stolen")
	testwait.Until(t, "the attack is under way", func() error {
		if n := x.opened.Load(); n < 200 {
			return fmt.Errorf("%d opened", n)
		}
		return nil
	})
	var longest time.Duration
	for i := range 9 {
		began := time.Now()
		testwait.Until(t, "an honest poller connects and publishes", func() error {
			nc, err := at(t, c, i%3, honest, "syd-01")
			if err != nil {
				return err
			}
			defer nc.Close()
			return publish(nc, "syd-01")
		})
		longest = max(longest, time.Since(began))
	}
	testwait.Until(t, "a primary connects", func() error { return connectPrimary(t, c, "robbed") })
	t.Logf("%d connections opened by then, %d of them open, the honest poller waited at most %s", x.opened.Load(), x.alive(), longest)
	if longest > 15*time.Second {
		t.Errorf("the honest poller waited %s", longest)
	}
	// A node comes back in the middle of it, and serves the tenant.
	c.Stop("n2")
	back(t, c, "n2")
	testwait.Until(t, "its door is open, and the honest poller publishes there", func() error {
		nc, err := at(t, c, 1, honest, "syd-01")
		if err != nil {
			return err
		}
		defer nc.Close()
		return publish(nc, "syd-01")
	})
	testwait.Until(t, "the door is open everywhere", func() error {
		for _, cond := range status(t, c, "robbed").Conditions {
			if cond.Type == api.IngressOpen && !cond.OK {
				return fmt.Errorf("%+v", cond)
			}
		}
		return nil
	})
	x.stop()
	x.done.Wait()
	testwait.Until(t, "no more are open than the user may have", func() error {
		if n := x.alive(); n > 3 {
			return fmt.Errorf("%d are open", n)
		}
		return nil
	})
	for _, a := range allAlarms(t, watcher) {
		if a.Alarm == "connections" && !strings.Contains(a.Message, "user stolen") {
			t.Errorf("another user's connection was closed: %s", a.Message)
		}
	}
	testwait.Until(t, "an alarm names the user", func() error {
		if a := alarms(t, watcher)["connections"]; !strings.Contains(a.Message, "user stolen has more than 3 connections") {
			return fmt.Errorf("%+v", a)
		}
		return nil
	})
	testwait.Until(t, "the audit log has it", func() error {
		if got := acts(t, c, "connection.close", "stolen"); len(got) == 0 || got[0].Tenant != "robbed" || got[0].Who != account.UserControl {
			return fmt.Errorf("%+v", got)
		}
		return nil
	})
}

// connectPrimary connects as a primary does.
func connectPrimary(t *testing.T, c *testcluster.Cluster, tenant string) error {
	key, seed := newKey(t)
	var answer api.CoreCredentialsAnswer
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := core(t, c).Do(ctx, api.CoreCredentials, map[string]string{"tenant": tenant, "publicKey": key}, &answer); err != nil {
		return err
	}
	sign, err := account.SignWith(seed)
	if err != nil {
		return err
	}
	nc, err := nats.Connect(strings.Join(c.Servers(), ","), nats.UserJWT(func() (string, error) { return answer.JWT, nil }, sign), nats.CustomInboxPrefix("_INBOX."+answer.User))
	if err != nil {
		return err
	}
	defer nc.Close()
	return nc.FlushTimeout(5 * time.Second)
}

// Limits of connections are raised and lowered on a running cluster.
func TestConnectionLimitsChange(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	spec := testcluster.Tenant("elastic")
	spec.Quota.ConnectionsPerUser = 2
	apply(t, c, spec)
	key, seed := newKey(t)
	creds := userWith(t, c, "elastic", account.RoleProducer, "feed", key, seed)
	open := func() *nats.Conn {
		nc, err := nats.Connect(c.Servers()[0], nats.UserCredentials(creds), nats.CustomInboxPrefix("_INBOX.feed"), nats.NoReconnect())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return nc
	}
	var all []*nats.Conn
	want := func(n int) {
		t.Helper()
		testwait.Until(t, fmt.Sprintf("%d connections are open", n), func() error {
			alive := 0
			for _, nc := range all {
				if nc.IsConnected() {
					alive++
				}
			}
			if alive != n {
				return fmt.Errorf("%d", alive)
			}
			return nil
		})
	}
	for range 4 {
		all = append(all, open())
	}
	want(2)
	if !all[0].IsConnected() || !all[1].IsConnected() {
		t.Error("of one address the newest are closed, not the first two")
	}
	spec.Quota.ConnectionsPerUser = 5
	apply(t, c, spec)
	for range 3 {
		all = append(all, open())
	}
	want(5)
	time.Sleep(2 * time.Second) // two looks at everything
	want(5)
	spec.Quota.ConnectionsPerUser = 3
	apply(t, c, spec)
	want(3)
}

// A tenant that declares fewer connections keeps those of its users that have
// the fewest; and subscriptions are limited for each connection, at once.
func TestTenantLimitsChange(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	spec := testcluster.Tenant("shrinking")
	apply(t, c, spec)
	var all []*nats.Conn
	var users []string
	open := func(user string, n int) {
		key, seed := newKey(t)
		creds := userWith(t, c, "shrinking", account.RoleProducer, user, key, seed)
		for i := range n {
			nc, err := nats.Connect(c.Servers()[i%3], nats.UserCredentials(creds), nats.CustomInboxPrefix("_INBOX."+user), nats.NoReconnect(),
				nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(nc.Close)
			all, users = append(all, nc), append(users, user)
		}
	}
	open("single", 1)
	open("many", 4)
	alive := func() (single, many int) {
		for i, nc := range all {
			if nc.IsConnected() && users[i] == "single" {
				single++
			} else if nc.IsConnected() {
				many++
			}
		}
		return single, many
	}
	spec.Quota.Connections = 3
	spec.Quota.Subscriptions = tenants.MinSubscriptions
	apply(t, c, spec)
	testwait.Until(t, "three are left", func() error {
		if single, many := alive(); single+many != 3 {
			return fmt.Errorf("%d and %d", single, many)
		}
		return nil
	})
	if single, many := alive(); single != 1 || many != 2 {
		t.Errorf("%d of who has one and %d of who has four are left", single, many)
	}
	for i := range tenants.MinSubscriptions + 1 {
		if _, err := all[0].SubscribeSync(fmt.Sprintf("_INBOX.single.%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	testwait.Until(t, "one subscription too many is refused", func() error {
		if err := all[0].LastError(); !errors.Is(err, nats.ErrMaxSubscriptionsExceeded) {
			return fmt.Errorf("%v", err)
		}
		return nil
	})
}
