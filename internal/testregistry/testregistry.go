// Package testregistry opens the registry of one node on a real server, for tests
// of what stands on it.
package testregistry

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/platform/registry"
	"midplane/telemetry"
	"midplane/tenants/account"
)

// patience bounds a whole test; nothing passes or fails by how fast it is.
const patience = time.Minute

// Node is a node's registry with running mirrors.
type Node struct {
	*registry.Registry
	Ctx context.Context // of the test
	t   *testing.T
	js  jetstream.JetStream
	url string
}

// Open starts a server with empty buckets. All of it ends with the test.
func Open(t *testing.T) *Node {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir(), JetStreamMaxStore: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	nc, err := nats.Connect(s.ClientURL(), nats.RetryOnFailedConnect(true))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	n := &Node{t: t, url: s.ClientURL()}
	if n.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	sealer, err := account.NewSealer(account.NewMasterKey())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	n.Ctx = ctx
	n.Registry, err = registry.Open(ctx, n.js, sealer, 1, nil, func(kv jetstream.KeyValue) *registry.Mirror { return registry.NewMirror(kv, nil, telemetry.Nop()) })
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*registry.Mirror{n.Config, n.Status} {
		mctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- m.Run(mctx) }()
		t.Cleanup(func() { stop(); <-done })
		if err := m.Wait(ctx, 0); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// Connect returns one more connection to a server, which ends with the test.
func Connect(n *Node) *nats.Conn {
	n.t.Helper()
	nc, err := nats.Connect(n.url)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(nc.Close)
	return nc
}

// PutRaw stores a value as it is, and returns when this node has it.
func PutRaw(n *Node, bucket, key string, value []byte) {
	n.t.Helper()
	kv, err := n.js.KeyValue(n.Ctx, bucket)
	if err != nil {
		n.t.Fatal(err)
	}
	rev, err := kv.Put(n.Ctx, key, value)
	if err != nil {
		n.t.Fatal(err)
	}
	mirror := n.Config
	if bucket == registry.BucketStatus {
		mirror = n.Status
	}
	if err := mirror.Wait(n.Ctx, rev); err != nil {
		n.t.Fatal(err)
	}
}

// Say stores a value of STATUS, and returns when this node has it.
func (n *Node) Say(key string, v any) {
	n.t.Helper()
	rev, err := n.PutStatus(n.Ctx, key, v)
	if err != nil {
		n.t.Fatal(err)
	}
	if err := n.Status.Wait(n.Ctx, rev); err != nil {
		n.t.Fatal(err)
	}
}
