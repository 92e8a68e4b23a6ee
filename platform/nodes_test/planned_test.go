package nodes

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"midplane/api"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/tenants/account"
)

// mostGap bounds the longest time without an acknowledgement at any step. What is
// measured is printed: a quarter of a second on a quiet machine, where one second is
// aimed at. A stop that hands nothing over takes an election of 4 to 9 seconds.
const mostGap = 3900 * time.Millisecond

// TestRollingRestart stops and starts every node while producers publish by way of
// each of them: as it is, and drained before.
func TestRollingRestart(t *testing.T) {
	c, ctx := cluster(t, testcluster.Options{})
	creds := user(ctx, t, c, account.RoleProducer, producer)
	for _, drained := range []bool{false, true} {
		for _, name := range c.Names() {
			g := publishing(ctx, t, c, creds)
			before := "stopped"
			if drained {
				before = "drained and stopped"
				drain(ctx, t, c, name)
				g.step(t, name+" is being drained")
			}
			c.Stop(name)
			g.step(t, name+" is "+before)
			if err := c.Start(ctx, name); err != nil {
				t.Fatal(err)
			}
			testwait.Until(t, name+" is seen to be whole", func() error {
				if r := row(ctx, t, c, name); !r.Live || r.Behind != nil {
					return fmt.Errorf("%+v", r)
				}
				return c.Node(name).Healthy(ctx)
			})
			g.step(t, name+" starts")
			if got := row(ctx, t, c, name); got.Drained {
				t.Errorf("%s is still drained after its start: %+v", name, got)
			}
			g.end()
		}
	}
}

// drain drains a node and waits until it has no clients and leads nothing.
func drain(ctx context.Context, t *testing.T, c *testcluster.Cluster, name string) {
	t.Helper()
	if err := c.Admin.Do(ctx, api.NodeDrain, api.NodeRef{Node: name}, nil); err != nil {
		t.Fatal(err)
	}
	testwait.Until(t, name+" is drained", func() error {
		if r := row(ctx, t, c, name); !r.Drained || r.Leads > 0 || r.Clients > 0 {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
}

// row is what a node is shown as.
func row(ctx context.Context, t *testing.T, c *testcluster.Cluster, name string) api.Node {
	t.Helper()
	var s api.ClusterStatus
	if err := c.Admin.Do(ctx, api.NodeStatus, struct{}{}, &s); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(s.Nodes, func(n api.Node) bool { return n.ID == name })
	if i < 0 {
		t.Fatalf("no node %s in %+v", name, s.Nodes)
	}
	return s.Nodes[i]
}

// gaps is what three producers saw, each connected to another node at first.
type gaps struct {
	mu      sync.Mutex
	longest time.Duration // since the last step
	acked   int
	conns   []*client
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// answered is how long a producer waits for an answer: what was in flight when a
// leader changed is not answered, and the gap is the cluster's, not the client's
// patience.
const answered = 250 * time.Millisecond

var round int

func publishing(ctx context.Context, t *testing.T, c *testcluster.Cluster, creds string) *gaps {
	t.Helper()
	g := &gaps{}
	ctx, g.stop = context.WithCancel(ctx)
	t.Cleanup(g.stop)
	round++
	for i := range c.Names() {
		p, base := connects(t, c, creds, producer, order(c, i)...), (round*3+i)*1_000_000
		g.conns = append(g.conns, p)
		p.publish(ctx, t, base)
		g.done.Go(func() {
			last := time.Now()
			for n := base + 1; ctx.Err() == nil; {
				try, cancel := context.WithTimeout(ctx, answered)
				_, err := p.js.PublishMsg(try, metric(n))
				cancel()
				now := time.Now()
				g.mu.Lock()
				if ctx.Err() == nil {
					g.longest = max(g.longest, now.Sub(last))
				}
				if err == nil {
					g.acked++
					last = now
					n++
				}
				g.mu.Unlock()
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	return g
}

// step ends a step of the test, and says how long the longest gap in it was.
func (g *gaps) step(t *testing.T, what string) {
	t.Helper()
	// What is in flight belongs to this step.
	time.Sleep(answered)
	g.mu.Lock()
	longest, acked := g.longest, g.acked
	g.longest, g.acked = 0, 0
	g.mu.Unlock()
	t.Logf("%s: longest gap %d ms, %d acknowledged", what, longest.Milliseconds(), acked)
	if longest > mostGap {
		t.Errorf("%s: nothing was acknowledged for %s, want at most %s", what, longest.Round(time.Millisecond), mostGap)
	}
}

func (g *gaps) end() {
	g.stop()
	g.done.Wait()
	for _, c := range g.conns {
		c.Close()
	}
}
