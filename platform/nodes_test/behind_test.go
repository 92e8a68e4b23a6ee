package nodes

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/tenants/account"
)

// What the emptied node has to copy, and how fast it may: for some seconds it is
// behind.
const (
	backlog   = 20_000
	bytesASec = 512 << 10
	atOnce    = 1_000 // in flight
)

// A node that was emptied is red until its replicas are whole, and so is the status.
func TestEmptiedNodeIsRedUntilItIsWhole(t *testing.T) {
	c, ctx := cluster(t, testcluster.Options{Cuts: true, NoSync: true})
	creds := user(ctx, t, c, account.RoleProducer, producer)
	p := connects(t, c, creds, producer, c.Servers()...)
	for n := 0; n < backlog; n += atOnce {
		var acks []jetstream.PubAckFuture
		for i := range atOnce {
			f, err := p.js.PublishMsgAsync(metric(n + i))
			if err != nil {
				t.Fatal(err)
			}
			acks = append(acks, f)
		}
		for _, f := range acks {
			select {
			case <-f.Ok():
			case err := <-f.Err():
				t.Fatal(err)
			case <-ctx.Done():
				t.Fatal(ctx.Err())
			}
		}
	}

	const name, number = "n3", 2
	c.Stop(name)
	if err := os.RemoveAll(filepath.Join(c.Dir, "nodes", name)); err != nil {
		t.Fatal(err)
	}
	c.Network.Slow(number, bytesASec)
	if err := c.Start(ctx, name); err != nil {
		t.Fatal(err)
	}
	red, failing := 0, 0
	testwait.Until(t, name+" is whole", func() error {
		// In this order: what is whole when it is asked for stays so.
		healthy := c.Node(name).Healthy(ctx)
		if healthy != nil && strings.Contains(healthy.Error(), "replicas are behind: ") {
			red++
		}
		look, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		var s api.ClusterStatus
		if err := c.Admin.Do(look, api.NodeStatus, struct{}{}, &s); err == nil {
			for _, p := range s.Problems {
				if p.Code == api.CodeNodeBehind && p.Subject == name && strings.Contains(p.Message, tenant+"/"+event.StreamMetrics) && p.Urgent() {
					failing++
				}
			}
		}
		if healthy != nil {
			return healthy
		}
		replicas, err := testcluster.Replicas(look, c, tenant)
		if err != nil {
			return err // a node that is just starting does not answer
		}
		for _, r := range replicas[event.StreamMetrics] {
			if r.Node == name && r.Messages == backlog {
				return nil
			}
		}
		t.Fatalf("it is ready and holds less than %d messages: %+v", backlog, replicas[event.StreamMetrics])
		return healthy
	})
	t.Logf("it was red because of its replicas at %d looks, the status at %d", red, failing)
	if red == 0 || failing == 0 {
		t.Error("both must be")
	}
	testwait.Until(t, "nothing is behind", func() error {
		if r := row(ctx, t, c, name); r.Behind != nil {
			return fmt.Errorf("%+v", r.Behind)
		}
		return nil
	})
}
