package nodes

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/bus"
	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/telemetry"
	"midplane/tenants/account"
)

// tenant is the one of every test here, and its producer.
const (
	tenant   = "acme"
	producer = "app"
)

// cluster starts three nodes with the tenant.
func cluster(t *testing.T, opts testcluster.Options) (*testcluster.Cluster, context.Context) {
	t.Helper()
	spec := testcluster.Tenant(tenant)
	spec.Quota.MessageRate, spec.Quota.ProducerMessageRate = 100_000, 100_000
	opts.Tenants = append(opts.Tenants, spec)
	c := testcluster.Start(t, opts)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return c, ctx
}

// client is a user's connection that counts.
type client struct {
	*nats.Conn
	js    jetstream.JetStream
	lost  atomic.Int64 // how often the connection ended
	found atomic.Int64 // and came again
}

// connects connects with creds to servers, the first of them first.
func connects(t *testing.T, c *testcluster.Cluster, creds, user string, servers ...string) *client {
	t.Helper()
	var out client
	nc, err := bus.Connect(bus.Config{Servers: servers, User: user, Name: user, CredsFile: creds, CAFile: c.CAFile(), MaxWait: 20 * time.Second, Options: []nats.Option{
		nats.DontRandomize(),
		nats.DisconnectErrHandler(func(*nats.Conn, error) { out.lost.Add(1) }),
		nats.ReconnectHandler(func(*nats.Conn) { out.found.Add(1) }),
	}}, telemetry.Nop())
	if err != nil {
		t.Fatalf("connect as %s: %v", user, err)
	}
	t.Cleanup(nc.Close)
	out.Conn = nc
	if out.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	return &out
}

// user makes a user of the tenant.
func user(ctx context.Context, t *testing.T, c *testcluster.Cluster, role account.Role, name string) (creds string) {
	t.Helper()
	creds, err := c.User(ctx, tenant, role, name)
	if err != nil {
		t.Fatal(err)
	}
	return creds
}

// order returns the nodes' URLs, that of the node with this number first.
func order(c *testcluster.Cluster, first int) []string {
	s := c.Servers()
	return slices.Concat(s[first:], s[:first])
}

// metric is the n-th message of the producer.
func metric(n int) *nats.Msg {
	return &nats.Msg{Subject: fmt.Sprintf("in.%s.metric.r%d.%s", producer, n%20, event.TypePing),
		Header: nats.Header{event.HeaderMsgID: {fmt.Sprintf("%s/nodes/%d", producer, n)}}, Data: []byte(`{"rttMs":1,"lossPercent":0}`)}
}

// publish publishes the n-th message until it is acknowledged, and returns how
// long that took. What is not answered within a second is sent again.
func (c *client) publish(ctx context.Context, t *testing.T, n int) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		try, cancel := context.WithTimeout(ctx, time.Second)
		_, err := c.js.PublishMsg(try, metric(n))
		cancel()
		switch {
		case err == nil:
			return time.Since(began)
		case ctx.Err() != nil:
			t.Fatalf("message %d is not acknowledged after %s: %v", n, time.Since(began).Round(time.Millisecond), err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// at reports whether a client is connected to a node, by its number.
func (c *client) at(of *testcluster.Cluster, node int) bool {
	return c.IsConnected() && strings.HasSuffix(of.Servers()[node], strings.TrimPrefix(c.ConnectedAddr(), "127.0.0.1"))
}
