package nodes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
	// Until then its last presence counts, which was of a whole node.
	testwait.True(t, name+" is seen to be away", func() bool { return !row(ctx, t, c, name).Live })
	c.Network.Slow(number, bytesASec)
	if err := c.Start(ctx, name); err != nil {
		t.Fatal(err)
	}
	red, failing := 0, 0
	testwait.Until(t, name+" is whole", func() error {
		look, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		// In this order: what is whole when it is asked for stays so.
		healthy := c.Node(name).Healthy(look)
		var s api.ClusterStatus
		unknown := c.Admin.Do(look, api.NodeStatus, struct{}{}, &s)
		// While it is so slow that it cannot even say that it is behind, it is not live.
		wrong := slices.ContainsFunc(s.Problems, func(p api.Problem) bool { return p.Subject == name && p.Urgent() })
		if healthy != nil && strings.Contains(healthy.Error(), "replicas are behind: ") {
			red++
		}
		if wrong {
			failing++
		}
		if healthy != nil && (wrong || unknown != nil) {
			return healthy
		}
		replicas, err := testcluster.Replicas(look, c, tenant)
		if err != nil {
			return err // a node that is just starting does not answer
		}
		for _, r := range replicas[event.StreamMetrics] {
			if r.Node == name && r.Messages == backlog {
				return errors.Join(healthy, unknown)
			}
		}
		t.Fatalf("it is ready (%v), the status names it: %v, and it holds less than %d messages: %+v", healthy, wrong, backlog, replicas[event.StreamMetrics])
		return nil
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
