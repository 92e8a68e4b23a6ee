package control_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/tenants/account"
)

// Nodes of a cluster stop and start while operators go on working.
func TestNodesComeAndGo(t *testing.T) {
	t.Parallel()
	c := testcluster.Start(t, testcluster.Options{NoSync: true, Pace: pace})
	for _, part := range []struct {
		name string
		test func(*testing.T, *testcluster.Cluster)
	}{
		{"a node that was down serves what was added in between", addedWhileDown},
		{"a node that was down does not bring a deleted tenant back", deletedWhileDown},
		{"a node that was down lets no one in who was revoked in between", revokedWhileDown},
		{"a tenant is finished although leaders stop half way", leadersStopHalfWay},
		{"a rotation is finished although its leader stops, and a node that was down moves, too", rotatedMeanwhile},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, c) })
	}
}

// back starts a node and waits until it serves, and so do the others.
func back(t *testing.T, c *testcluster.Cluster, name string) {
	t.Helper()
	ctx := testContext(t)
	if err := c.Start(ctx, name); err != nil {
		t.Fatal(err)
	}
	if err := c.Node(name).Ready(ctx); err != nil {
		t.Fatal(err)
	}
	testwait.Until(t, "all are well", func() error { return c.Healthy(ctx) })
}

func clusterStatus(t *testing.T, c *testcluster.Cluster) api.ClusterStatus {
	t.Helper()
	return ask[api.ClusterStatus](t, c, api.NodeStatus, struct{}{})
}

func addedWhileDown(t *testing.T, c *testcluster.Cluster) {
	// Streams are placed on a node that is down only when JetStream's leader has heard
	// of it before: with one that is placed on all three, it has.
	apply(t, c, testcluster.Tenant("early"))
	c.Stop("n3")
	apply(t, c, testcluster.Tenant("late"))
	key, seed := newKey(t)
	creds := userWith(t, c, "late", account.RoleProducer, "feed", key, seed)
	if err := publish(mustAt(t, c, 0, creds, "feed"), "feed"); err != nil {
		t.Errorf("with a node down nothing can be published: %v", err)
	}
	testwait.Until(t, "the node that is down is named", func() error {
		s := clusterStatus(t, c)
		if p, ok := hasProblem(s, "critical", "", "node n3 is not live since"); !ok || p.Hint == "" {
			return fmt.Errorf("%+v", s.Problems)
		}
		for _, n := range s.Nodes {
			if n.Live != (n.ID != "n3") {
				return fmt.Errorf("%+v", s.Nodes)
			}
		}
		return nil
	})
	back(t, c, "n3")
	// It serves from the first moment: no waiting here.
	if err := publish(mustAt(t, c, 2, creds, "feed"), "feed"); err != nil {
		t.Errorf("the node is back, and does not know the user: %v", err)
	}
	testwait.Until(t, "no node is missing any more", func() error {
		if p, ok := hasProblem(clusterStatus(t, c), "critical", "", "n3"); ok {
			return errors.New(p.Message)
		}
		return nil
	})
	testwait.Until(t, "its replicas catch up", func() error {
		if row := streamRows(t, c, "late")[event.StreamEvents]; len(row.Replicas) != 2 || row.Messages != 2 {
			return fmt.Errorf("%+v", row)
		}
		return nil
	})
}

func deletedWhileDown(t *testing.T, c *testcluster.Cluster) {
	apply(t, c, testcluster.Tenant("doomed"))
	key, seed := newKey(t)
	creds := userWith(t, c, "doomed", account.RoleProducer, "feed", key, seed)
	if err := publish(mustAt(t, c, 1, creds, "feed"), "feed"); err != nil {
		t.Fatal(err)
	}
	c.Stop("n2")
	remove(t, c, "doomed")
	// From before it is up: there must be no moment in which it lets them in.
	ctx, stop := context.WithCancel(context.Background())
	let := make(chan error, 1)
	refusals := make(chan int, 1)
	go func() {
		n := 0
		defer func() { refusals <- n }()
		for ctx.Err() == nil {
			nc, err := nats.Connect(c.Servers()[1], nats.UserCredentials(creds), nats.CustomInboxPrefix("_INBOX.feed"))
			if err == nil {
				let <- fmt.Errorf("let in: %s", nc.ConnectedServerName())
				nc.Close()
				return
			}
			if errors.Is(err, nats.ErrAuthorization) {
				n++
			}
			time.Sleep(2 * time.Millisecond) // the next try
		}
	}()
	back(t, c, "n2")
	for i := range c.Names() {
		if err := refused(t, c, i, creds, "feed"); err != nil {
			t.Error(err)
		}
	}
	stop()
	n := <-refusals
	select {
	case err := <-let:
		t.Errorf("the returned node has the deleted tenant again: %v", err)
	default:
		t.Logf("refused %d times while it came up", n)
	}
	// The name can be used again, on all nodes.
	apply(t, c, testcluster.Tenant("doomed"))
	key, seed = newKey(t)
	again := userWith(t, c, "doomed", account.RoleProducer, "feed", key, seed)
	for i := range c.Names() {
		if err := publish(mustAt(t, c, i, again, "feed"), "feed"); err != nil {
			t.Errorf("node %d: %v", i+1, err)
		}
		if err := refused(t, c, i, creds, "feed"); err != nil {
			t.Errorf("the old credentials: %v", err)
		}
	}
	if row := streamRows(t, c, "doomed")[event.StreamEvents]; row.Messages != 3 {
		t.Errorf("%d messages, three were published: %+v", row.Messages, row)
	}
}

// The leader stops at a random moment of a tenant's onboarding, and with it may
// go no matter what it was doing. The next one finishes; nothing is done twice.
func leadersStopHalfWay(t *testing.T, c *testcluster.Cluster) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for round := range 3 {
		id := fmt.Sprintf("half-%d", round)
		var leader string
		testwait.Until(t, "a node leads", func() error {
			if leader = clusterStatus(t, c).Leader; leader == "" {
				return errors.New("no node does")
			}
			return nil
		})
		put(t, c, testcluster.Tenant(id))
		time.Sleep(time.Duration(random.Int64N(int64(300 * time.Millisecond)))) // the moment is what is random
		c.Stop(leader)
		finished := func() error {
			var row api.Tenant
			if err := do(t, c, api.TenantStatus, api.TenantRef{Tenant: id}, &row); err != nil {
				return err
			}
			for _, cond := range row.Conditions {
				if !cond.OK && cond.Type != api.PrimaryReading {
					return fmt.Errorf("%+v", cond)
				}
			}
			return nil
		}
		// Streams that the first leader had not asked for yet cannot be made while
		// a node is down: then the next one says so, and finishes once it is back.
		returned := false
		took := testwait.Until(t, "the next leader finishes", func() error {
			err := finished()
			if err != nil && !returned && strings.Contains(err.Error(), "no suitable peers") {
				returned = true
				t.Logf("%s stopped before there were streams: %v", leader, err)
				back(t, c, leader)
				testwait.Until(t, "finished with all nodes", finished)
				return nil
			}
			return err
		})
		t.Logf("%s stopped; finished %s later", leader, took.Round(100*time.Millisecond))
		key, seed := newKey(t)
		nc, err := c.Connect(userWith(t, c, id, account.RoleProducer, "feed", key, seed), "feed")
		if err != nil {
			t.Fatal(err)
		}
		if err := publish(nc, "feed"); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		nc.Close()
		k := core(t, c)
		x, _ := toRead(t, k, event.Tenant(id))
		if row := streamRows(t, c, id)[event.StreamEvents]; len(x.Incarnations) != 4 || row.Messages != 1 || row.First != 1 {
			t.Errorf("%s has the incarnations %v, and EVENTS is %+v", id, x.Incarnations, row)
		}
		if !returned {
			back(t, c, leader)
		}
	}
}
