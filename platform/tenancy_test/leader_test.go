package tenancy_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/platform/ingress/admit"
	"midplane/tenants"
)

// A stream without a leader does not answer; the ingress does, and when two
// nodes are back the same message gets in.
func TestNoLeader(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{})
	feed, _ := small(t, c, acme, tenants.PolicyEnforce, nil)
	if a := say(t, feed, fromFeed, valid); a.code() != 0 {
		t.Fatal(a.Error)
	}
	down := c.Names()[:2]
	if leaderOf(t, c, acme, event.StreamEvents) == c.Names()[2] {
		down = c.Names()[1:]
	}
	for _, name := range down {
		c.Stop(name)
	}
	want(t, feed, "an answer of the ingress", func(a answer) bool { return a.code() == int(admit.CodeNoLeader) && a.Error.Code == 503 })
	for _, name := range down {
		if err := c.Cluster.Start(context.Background(), name); err != nil {
			t.Fatal(err)
		}
	}
	want(t, feed, "an ack", func(a answer) bool { return a.code() == 0 && a.Seq > 1 })
}

// leaderOf returns the node that leads a stream.
func leaderOf(t *testing.T, c *testcluster.Cluster, tenant, stream string) string {
	t.Helper()
	rows, err := api.All[api.Stream](ctxOf(t), c.Admin.Do, api.StreamList, api.ListRequest{Tenant: tenant})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.ID == stream {
			return r.Leader
		}
	}
	t.Fatalf("no stream %s", stream)
	return ""
}

// want publishes until the answer is good; in the meantime the connection
// is moving to the node that is left, or an election is on.
func want(t *testing.T, nc *nats.Conn, what string, good func(answer) bool) {
	t.Helper()
	var last string
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		msg, err := nc.Request(fromFeed, []byte(valid), time.Second)
		if err != nil {
			last = err.Error()
			continue
		}
		var a answer
		if last = string(msg.Data); json.Unmarshal(msg.Data, &a) == nil && good(a) {
			return
		}
	}
	t.Fatalf("no %s; the last was %s", what, last)
}
