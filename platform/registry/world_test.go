package registry

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/event"
	"midplane/telemetry"
	"midplane/tenants"
	"midplane/tenants/account"
)

// patience bounds every wait; nothing passes or fails by how fast it is.
const patience = 30 * time.Second

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// broker starts a real server with its files in dir, on port (0: any).
func broker(t testing.TB, dir string, port int) *server.Server {
	t.Helper()
	if port == 0 {
		port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoLog: true, NoSigs: true, JetStream: true, StoreDir: dir, JetStreamMaxStore: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		t.Fatal("the server did not come up")
	}
	return s
}

func stop(s *server.Server) { s.Shutdown(); s.WaitForShutdown() }

func connect(t testing.TB, s *server.Server) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(s.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

var buckets atomic.Int64

// openBucket makes a bucket of its own for a test.
func openBucket(t testing.TB, js jetstream.JetStream) jetstream.KeyValue {
	t.Helper()
	kv, err := js.CreateKeyValue(testContext(t), jetstream.KeyValueConfig{Bucket: fmt.Sprintf("B%d", buckets.Add(1)), History: 1})
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

// mirror runs a mirror of kv until the test ends.
func mirror(t testing.TB, kv jetstream.KeyValue, change ...func(*Mirror)) *Mirror {
	t.Helper()
	m := NewMirror(kv, nil, telemetry.Nop())
	for _, f := range change {
		f(m)
	}
	run(t, m)
	return m
}

func run(t testing.TB, m *Mirror) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the mirror ended with %v", err)
		}
	})
}

// open opens a registry with running mirrors, as one node has it.
func open(t testing.TB, js jetstream.JetStream, master string) *Registry {
	t.Helper()
	sealer, err := account.NewSealer(master)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(testContext(t), js, sealer, 1, nil, func(kv jetstream.KeyValue) *Mirror { return NewMirror(kv, nil, telemetry.Nop()) })
	if err != nil {
		t.Fatal(err)
	}
	run(t, r.Config)
	run(t, r.Status)
	for _, m := range []*Mirror{r.Config, r.Status} {
		if err := m.Wait(testContext(t), 0); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func spec(t testing.TB, id string) *tenants.Spec {
	t.Helper()
	s, err := tenants.ParseJSON(fmt.Appendf(nil, `{"apiVersion":"midplane/v1","kind":"Tenant","id":%q,"sites":[{"id":"syd","pollers":[{"id":"syd-01"}]}]}`, id))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// putTenant stores a spec and an account, sealed by sealing, and returns the
// revisions of both.
func putTenant(t testing.TB, r, sealing *Registry, id event.Tenant) (specRev, accountRev uint64) {
	t.Helper()
	ctx := testContext(t)
	specRev, err := r.Specs.Put(ctx, spec(t, string(id)), 0)
	if err != nil {
		t.Fatal(err)
	}
	accountRev, err = r.Accounts.Put(ctx, id, record(t, sealing, id), 0)
	if err != nil {
		t.Fatal(err)
	}
	return specRev, accountRev
}

func record(t testing.TB, sealing *Registry, id event.Tenant) Account {
	t.Helper()
	keys, err := account.NewKeys(account.TenantRoles)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := sealing.Accounts.Seal(id, Secrets{Keys: keys, Capability: "secret-of-" + string(id)})
	if err != nil {
		t.Fatal(err)
	}
	return Account{Key: keys.Public, JWT: "a token", Sealed: sealed, Incarnations: map[string]uint64{}}
}

// view waits for revision rev and returns what the node then sees.
func view(t testing.TB, r *Registry, rev uint64) *View {
	t.Helper()
	v, err := r.WaitView(testContext(t), rev)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// quietly is a bucket whose first watch can be made to say nothing more, as a
// watch does that lost its consumer without an error.
type quietly struct {
	jetstream.KeyValue
	watches atomic.Int32 // whole ones; those that compare revisions do not count
	silent  atomic.Bool
}

func (q *quietly) WatchAll(ctx context.Context, opts ...jetstream.WatchOpt) (jetstream.KeyWatcher, error) {
	w, err := q.KeyValue.WatchAll(ctx, opts...)
	if err != nil || len(opts) > 0 {
		return w, err
	}
	first := q.watches.Add(1) == 1
	out := make(chan jetstream.KeyValueEntry)
	go func() {
		defer close(out)
		for e := range w.Updates() {
			if first && q.silent.Load() {
				continue
			}
			select {
			case out <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	return &quietWatch{KeyWatcher: w, updates: out}, nil
}

type quietWatch struct {
	jetstream.KeyWatcher
	updates chan jetstream.KeyValueEntry
}

func (w *quietWatch) Updates() <-chan jetstream.KeyValueEntry { return w.updates }
