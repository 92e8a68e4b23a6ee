package nodes

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"midplane/api"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/platform/deployment"
	"midplane/tenants/account"
)

// againWithin is how soon a producer is acknowledged again whose node was cut off.
// The node notices after 5 to 10 s that it has no quorum, and has its clients leave
// 10 s later.
const againWithin = 30 * time.Second

// A node that is cut off from the others has its clients leave, and keeps no new
// ones. An operator's connection stays, and is told the truth.
func TestNodeThatIsCutOffMovesItsClientsAway(t *testing.T) {
	c, ctx := cluster(t, testcluster.Options{Cuts: true})
	creds := user(ctx, t, c, account.RoleProducer, producer)
	const off = 0
	p := connects(t, c, creds, producer, order(c, off)...)
	admin := connects(t, c, deployment.AdminCreds(c.Deployment(), testcluster.Admin), testcluster.Admin, c.Servers()[off])
	p.publish(ctx, t, 0)
	if !p.at(c, off) {
		t.Fatalf("connected to %s", p.ConnectedAddr())
	}

	c.Network.Cut(off)
	began := time.Now()
	p.publish(ctx, t, 1)
	took := time.Since(began)
	t.Logf("acknowledged again after %.1f s", took.Seconds())
	if took > againWithin {
		t.Errorf("acknowledged again after %s, want at most %s", took.Round(time.Millisecond), againWithin)
	}
	if p.at(c, off) {
		t.Error("acknowledged by the node that is cut off")
	}

	late := connects(t, c, creds, producer, order(c, off)...)
	took = late.publish(ctx, t, 2)
	t.Logf("one that connected to it: acknowledged after %.1f s", took.Seconds())
	if late.at(c, off) {
		t.Error("a new client is kept")
	}

	if n := admin.lost.Load(); n != 0 {
		t.Errorf("the operator's connection ended %d times", n)
	}
	var status api.ClusterStatus
	if err := api.NewAdmin(admin.Conn, testcluster.Admin).Do(ctx, api.NodeStatus, struct{}{}, &status); err != nil {
		t.Fatalf("the node that is cut off does not answer an operator: %v", err)
	}
	if p := api.Roots(api.Health(api.Facts{Cluster: &status})); len(p) != 1 || p[0].Code != api.CodeNoQuorum || !strings.Contains(p[0].Message, "n1, is cut off from n2, n3") {
		t.Errorf("the node that is cut off says: %+v", p)
	}
	if err := c.Node(c.Names()[off]).Healthy(ctx); err == nil {
		t.Error("the node that is cut off is healthy")
	}

	c.Network.Cut()
	testwait.Until(t, "the node is healthy again", func() error { return c.Node(c.Names()[off]).Healthy(ctx) })
	back := connects(t, c, creds, producer, c.Servers()[off])
	back.publish(ctx, t, 3)
	// It stays: the node looks every second.
	stays, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	<-stays.Done()
	if n := back.lost.Load(); n != 0 {
		t.Errorf("a client of the node that is back was moved %d times", n)
	}
}

// Without a quorum anywhere there is no better node: clients go round, less and less
// often, and are served as soon as there is a quorum.
func TestNoQuorumAnywhereIsNoStorm(t *testing.T) {
	c, ctx := cluster(t, testcluster.Options{Cuts: true})
	creds := user(ctx, t, c, account.RoleProducer, producer)
	var clients []*client
	for i := range 6 {
		clients = append(clients, connects(t, c, creds, producer, order(c, i%3)...))
	}
	clients[0].publish(ctx, t, 0)
	c.Network.Cut(0, 1, 2)
	time.Sleep(minuteWithout)
	most := int64(0)
	for _, one := range clients {
		most = max(most, one.lost.Load())
	}
	t.Logf("the connections of %d clients ended at most %d times in %s", len(clients), most, minuteWithout)
	if most == 0 {
		t.Error("no client was moved: the test cuts nothing")
	}
	if most > mostMoves {
		t.Errorf("a connection ended %d times in %s, want at most %d", most, minuteWithout, mostMoves)
	}
	c.Network.Cut()
	healed := time.Now()
	for i, one := range clients {
		one.publish(ctx, t, i+1)
	}
	t.Logf("all acknowledged %.1f s after there was a quorum again", time.Since(healed).Seconds())
	for _, name := range c.Names() {
		testwait.Until(t, name+" is healthy", func() error {
			n := c.Node(name)
			if n == nil {
				return errors.New("it does not run")
			}
			return n.Healthy(ctx)
		})
	}
}

const (
	// minuteWithout is how long there is no quorum.
	minuteWithout = time.Minute
	// mostMoves is how often a client may be moved in that time.
	mostMoves = 12
)
