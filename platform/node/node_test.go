package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/fault"
	"midplane/internal/testwait"
	"midplane/subject"
	"midplane/telemetry"
	"midplane/tenants/account"
)

// A server that does not sync every write, or that takes anything for a
// request, does not serve, however the options were meant.
func TestNodeRefusesToServeWithoutSyncOrStrictness(t *testing.T) {
	k := newKeys(t)
	for what, x := range map[string]struct {
		change func(*server.Options)
		want   string
	}{
		"no sync":    {func(o *server.Options) { o.SyncAlways = false }, "does not sync every write"},
		"not strict": {func(o *server.Options) { o.NoJetStreamStrict = true }, "not strict"},
	} {
		n := start(t, single(t, k), func(n *Node) { x.change(n.opts) })
		if err := n.stop(); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	n := start(t, single(t, k))
	v, err := n.srv.Load().Varz(nil)
	if err != nil || !v.JetStream.Config.SyncAlways || !v.JetStream.Config.Strict {
		t.Errorf("the node serves with %+v, %v", v.JetStream.Config, err)
	}
	if err := n.stop(); err != nil {
		t.Errorf("stopped, it ends with %v", err)
	}
	cfg := single(t, k)
	cfg.UnsafeNoSync = true
	if err := start(t, cfg).stop(); err != nil {
		t.Errorf("configured not to sync: %v", err)
	}
}

func TestNothingListensThatIsNotNeeded(t *testing.T) {
	n := start(t, single(t, newKeys(t)))
	v, err := n.srv.Load().Varz(nil)
	if err != nil {
		t.Fatal(err)
	}
	if v.HTTPPort != 0 || v.HTTPSPort != 0 || v.LeafNode.Port != 0 || v.Websocket.Port != 0 || v.MQTT.Port != 0 || v.Gateway.Port != 0 {
		t.Errorf("http %d, https %d, leaf nodes %d, websocket %d, mqtt %d, gateway %d", v.HTTPPort, v.HTTPSPort, v.LeafNode.Port, v.Websocket.Port, v.MQTT.Port, v.Gateway.Port)
	}
}

// An account's JWT is taken when it is newer, read back, and never replaced by
// an older one.
func TestAccountIsTakenWhenNewerAndReadBack(t *testing.T) {
	k := newKeys(t)
	n := start(t, single(t, k))
	tk, first := k.tenant(t, "acme")
	if err := n.Runs(tk.Public, first); !fault.Is(err, fault.Unavailable) {
		t.Errorf("an account that it does not know: %v", err)
	}
	if err := n.Apply(tk.Public, first); err != nil {
		t.Fatal(err)
	}
	if err := n.Apply(tk.Public, first); err != nil {
		t.Errorf("the same once more: %v", err)
	}
	after, _, err := account.IssuedAt(first)
	if err != nil {
		t.Fatal(err)
	}
	tomb, err := k.signer.Tombstone("acme", tk.Public, after)
	if err != nil {
		t.Fatal(err)
	}
	nc := as(t, n.Node, tk, account.RoleProducer, "feed", false)
	if err := n.Apply(tk.Public, tomb); err != nil {
		t.Fatal(err)
	}
	if err := n.Apply(tk.Public, first); !fault.Is(err, fault.Unavailable) {
		t.Errorf("an older JWT was taken for good: %v", err)
	}
	if err := n.Runs(tk.Public, tomb); err != nil {
		t.Error(err)
	}
	testwait.Until(t, "a user that was connected is out", func() error {
		if !nc.IsClosed() {
			return errNotYet
		}
		return nil
	})
	if _, err := dial(n.Node, tk, account.RoleProducer, "feed", false); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("a deleted tenant's user: %v", err)
	}
}

// cluster is three nodes that know one tenant, with an ingress on each that
// counts what it handles and answers with its node's name.
type cluster struct {
	nodes   []running
	keys    account.Keys // the tenant's
	control account.Keys
	doors   []*nats.Conn
	handled []atomic.Int64
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	k := newKeys(t)
	c := &cluster{handled: make([]atomic.Int64, 3), control: k.control}
	var token string
	c.keys, token = k.tenant(t, "acme")
	for _, cfg := range three(t, k) {
		c.nodes = append(c.nodes, start(t, cfg))
	}
	for i, n := range c.nodes {
		testwait.Until(t, "the account is there", func() error { return n.Apply(c.keys.Public, token) })
		door := as(t, n.Node, c.keys, account.RoleIngress, account.UserIngress, true)
		if _, err := door.QueueSubscribe(subject.IngressAll, "ingress", func(m *nats.Msg) {
			c.handled[i].Add(1)
			_ = m.Respond([]byte(n.Name()))
		}); err != nil {
			t.Fatal(err)
		}
		if err := door.Flush(); err != nil {
			t.Fatal(err)
		}
		c.doors = append(c.doors, door)
	}
	return c
}

// The door is local: what arrives at a node is handled by that node's ingress,
// every time, although all three listen in one queue group and the nodes are
// one cluster. Where no ingress listens, the client gets no responders at once.
func TestMessageIsHandledByTheNodeItArrivedAt(t *testing.T) {
	c := newCluster(t)
	clients := make([]*nats.Conn, 3)
	for i, n := range c.nodes {
		clients[i] = as(t, n.Node, c.keys, account.RoleProducer, fmt.Sprintf("feed-%d", i), false)
	}
	// They are one cluster: an answer given on one node reaches a client of another.
	for i := range c.nodes {
		sub, err := clients[i].SubscribeSync(fmt.Sprintf("_INBOX.feed-%d.x", i))
		if err != nil {
			t.Fatal(err)
		}
		testwait.Until(t, "the nodes are connected", func() error {
			if err := c.doors[(i+1)%3].Publish(sub.Subject, []byte("x")); err != nil {
				return err
			}
			_, err := sub.NextMsg(200 * time.Millisecond)
			return err
		})
	}
	const each = 300
	for i, nc := range clients {
		for range each {
			msg, err := nc.Request(fmt.Sprintf("in.feed-%d.event.info.r1.a.b.v1", i), []byte("x"), patience)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(msg.Data); got != c.nodes[i].Name() {
				t.Fatalf("a message for %s was handled by %s", c.nodes[i].Name(), got)
			}
		}
	}
	for i := range c.nodes {
		if n := c.handled[i].Load(); n != each {
			t.Errorf("%s handled %d messages, %d arrived there", c.nodes[i].Name(), n, each)
		}
	}
	c.doors[1].Close()
	testwait.Until(t, "no responders where no ingress listens", func() error {
		_, err := clients[1].Request("in.feed-1.event.info.r1.a.b.v1", []byte("x"), patience)
		if !errors.Is(err, nats.ErrNoResponders) {
			return fmt.Errorf("%v", err)
		}
		return nil
	})
	if a, b := c.handled[0].Load(), c.handled[2].Load(); a != each || b != each {
		t.Errorf("others handled what arrived at a node without an ingress: %d, %d", a-each, b-each)
	}
	if _, err := clients[0].Request("in.feed-0.event.info.r1.a.b.v1", []byte("x"), patience); err != nil {
		t.Errorf("the other nodes' clients: %v", err)
	}
}

func TestInterestIsSeenFromEveryNode(t *testing.T) {
	c := newCluster(t)
	sub, err := c.doors[0].SubscribeSync("_INBOX." + account.UserIngress + ".probe")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range c.nodes {
		testwait.Until(t, n.Name()+" sees that there is a listener", func() error {
			if !n.Interest(c.keys.Public, sub.Subject) {
				return errNotYet
			}
			return nil
		})
	}
	if err := sub.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.nodes {
		testwait.Until(t, n.Name()+" sees that there is none", func() error {
			if n.Interest(c.keys.Public, sub.Subject) {
				return errNotYet
			}
			return nil
		})
	}
}

// A node that is stopped hands over what it leads: there is a leader, and
// writes go on, sooner than any election is over.
func TestStoppingNodeHandsItsLeadershipsOver(t *testing.T) {
	c := newCluster(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	leader, other := 0, 1
	js := make([]jetstream.JetStream, 3)
	for i, n := range c.nodes {
		var err error
		if js[i], err = jetstream.New(as(t, n.Node, c.control, account.RoleNode, account.UserNode, true)); err != nil {
			t.Fatal(err)
		}
	}
	testwait.Until(t, "a stream", func() error {
		tctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond) // without a leader there is no answer
		defer cancel()
		_, err := js[0].CreateStream(tctx, jetstream.StreamConfig{Name: "AUDIT", Subjects: []string{"audit.>"}, Replicas: 3, MaxBytes: 1 << 20})
		return err
	})
	testwait.Until(t, "all replicas keep up", func() error {
		tctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
		s, err := js[0].Stream(tctx, "AUDIT")
		if err != nil {
			return err
		}
		info := s.CachedInfo().Cluster
		for _, r := range info.Replicas {
			if !r.Current {
				return errNotYet
			}
		}
		if len(info.Replicas) != 2 || info.Leader == "" {
			return errNotYet
		}
		for i, n := range c.nodes {
			if n.Name() == info.Leader {
				leader, other = i, (i+1)%3
			}
		}
		return nil
	})
	if err := c.nodes[leader].stop(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	testwait.Until(t, "writes go on", func() error {
		pctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
		_, err := js[other].Publish(pctx, "audit.x", []byte("x"))
		return err
	})
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the stream was without a leader for %s", took)
	}
}

// Peers that cannot answer are not waited for; one that may know more is.
func TestMergeWaitsOnlyForWhoeverMayAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	open := "nats://" + l.Addr().String()
	shut, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "nats://" + shut.Addr().String()
	_ = shut.Close()
	defer l.Close()
	if !mayAnswer(open, errors.New("timeout")) {
		t.Error("an open port is not waited for")
	}
	if mayAnswer(closed, errors.New("refused")) {
		t.Error("a closed port is waited for")
	}
	if mayAnswer(open, errors.New("remote error: tls: internal error")) {
		t.Error("a peer that is starting, too, is waited for")
	}
}

// A node that was away learns, before it serves any client, what its peers know.
func TestReturningNodeHasItsPeersAccountsBeforeItServes(t *testing.T) {
	k := newKeys(t)
	first := start(t, single(t, k))
	tk, token := k.tenant(t, "acme")
	if err := first.Apply(tk.Public, token); err != nil {
		t.Fatal(err)
	}
	cfg := single(t, k)
	cfg.Name = "n2"
	cfg.Merge = &Merge{Servers: []string{first.ClientURL()}, Wait: patience, Options: systemUser(t, k)}
	second := start(t, cfg)
	if err := second.Runs(tk.Public, token); err != nil {
		t.Errorf("it serves without its peer's account: %v", err)
	}
	as(t, second.Node, tk, account.RoleProducer, "feed", false)
}

func TestConfigThatCannotBeRightIsRefused(t *testing.T) {
	k := newKeys(t)
	for what, change := range map[string]func(*Config){
		"no name":                func(c *Config) { c.Name = "" },
		"no folder":              func(c *Config) { c.Dir = "" },
		"no system account":      func(c *Config) { c.System = "" },
		"an address without one": func(c *Config) { c.Client = "localhost" },
		"a port that is none":    func(c *Config) { c.Client = "127.0.0.1:99999" },
		"a route that is none":   func(c *Config) { c.Route = "x" },
		"no operator":            func(c *Config) { c.OperatorJWT = "/nowhere" },
	} {
		cfg := single(t, k)
		change(&cfg)
		if _, err := New(cfg, telemetry.Nop()); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
