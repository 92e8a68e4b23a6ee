package release_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/internal/release"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/platform/control/dial"
	"midplane/platform/deployment"
	"midplane/platform/registry"
	"midplane/poller"
	"midplane/poller/collect/all"
	"midplane/primary"
	"midplane/schemas/catalog"
	"midplane/telemetry"
	"midplane/tenants/account"
)

// record writes testdata/VERSION: once, when a version is released.
var record = flag.String("record", "", "write what this version stores and sends to testdata/`VERSION`")

// message is a stored message.
type message struct {
	Subject string          `json:"subject"`
	Header  nats.Header     `json:"header"`
	Data    json.RawMessage `json:"data"`
}

// TestThisVersionCanBeRecorded runs a whole deployment, looks at all that it stores
// and sends, and with -record keeps it. What the last release kept in the registry
// this version keeps, too.
func TestThisVersionCanBeRecorded(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{})
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	config := populate(t, ctx, c)
	stored := map[string]map[string]json.RawMessage{"registry.json": buckets(t, ctx, c, registry.BucketRegistry), "status.json": buckets(t, ctx, c, registry.BucketStatus)}
	messages := read(t, ctx, c)
	for file, values := range stored {
		var before map[string]json.RawMessage
		golden(t, release.Last(), file, &before)
		kinds := map[string]bool{}
		for key := range values {
			kind, _, _ := strings.Cut(key, ".")
			kinds[kind] = true
		}
		for key := range before {
			if kind, _, _ := strings.Cut(key, "."); !kinds[kind] {
				t.Errorf("%s: %s stored %s, and this version stores nothing of the kind", file, release.Last().Version, key)
			}
		}
	}
	if len(messages) < 20 || len(config) == 0 {
		t.Errorf("%d messages, configuration %s", len(messages), config)
	}
	if *record == "" {
		return
	}
	dir := filepath.Join("testdata", *record)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "migrations.txt"), []byte(migrations(t)), 0o644); err != nil {
		t.Fatal(err)
	}
	for file, v := range map[string]any{"registry.json": stored["registry.json"], "status.json": stored["status.json"], "messages.json": messages, "poller-config.json": config} {
		data, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), append(data, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// populate makes something of every kind, and returns the configuration of a poller.
func populate(t *testing.T, ctx context.Context, c *testcluster.Cluster) json.RawMessage {
	t.Helper()
	reader, err := primary.New(primary.Config{Name: "primary-1", Dir: t.TempDir(), Servers: c.Servers(), Version: "recorded",
		CoreCreds: deployment.PrimaryCreds(c.Deployment(), account.RoleCore), QueryCreds: deployment.PrimaryCreds(c.Deployment(), account.RoleQuery)}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	run(t, reader.Run)
	spec := testcluster.Tenant("acme")
	spec.Contact = "noc@acme.example"
	if err := c.Apply(ctx, spec); err != nil {
		t.Fatal(err)
	}
	creds, err := c.User(ctx, "acme", account.RolePoller, "syd-01")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	agent, err := poller.New(poller.Config{User: "syd-01", Dir: dir, CredsFile: creds, Servers: c.Servers(), Collectors: all.Collectors(), Version: "recorded"}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	run(t, agent.Run)
	key, _, err := account.NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Admin.Do(ctx, api.TokenCreate, api.CreateToken{Tenant: "acme", Poller: "mel-01", PublicKey: key}, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Admin.Do(ctx, api.SecretSet, api.SetSecret{Tenant: "acme", Name: "snmp", Value: "public"}, nil); err != nil {
		t.Fatal(err)
	}
	feed, err := jetstream.New(c.As(t, "acme", account.RoleProducer, "feed"))
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range catalog.Schemas() {
		subj := "in.feed." + string(s.Kind)
		if s.Kind == event.KindEvent {
			subj += ".info"
		}
		msg := nats.NewMsg(subj + ".r1." + string(s.Type))
		msg.Header.Set(nats.MsgIdHdr, fmt.Sprintf("feed/golden/%d", i))
		msg.Data = s.Example
		_, _ = feed.PublishMsg(ctx, msg) // types that only Midplane publishes are refused
	}
	var config json.RawMessage
	testwait.Until(t, "the poller has its configuration, and everything has been stored", func() error {
		data, err := os.ReadFile(filepath.Join(dir, "config.json"))
		if err != nil {
			return err
		}
		config = data
		said := buckets(t, ctx, c, registry.BucketStatus)
		for _, key := range []string{registry.PollerKey("acme", "syd-01"), "canary"} { // the canary's first round takes a while
			if _, ok := said[key]; !ok {
				return fmt.Errorf("STATUS has no %s yet", key)
			}
		}
		return nil
	})
	return config
}

// run runs something until the test ends.
func run(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// buckets returns the values of a bucket by key. What is sealed, and JWTs, are
// taken out: neither belongs into a repository.
func buckets(t *testing.T, ctx context.Context, c *testcluster.Cluster, bucket string) map[string]json.RawMessage {
	t.Helper()
	name := c.Names()[0]
	node, err := deployment.LoadNode(deployment.NodeDir(c.Deployment(), name))
	if err != nil {
		t.Fatal(err)
	}
	d := &dial.Dialer{Dial: nats.InProcessServer(c.Node(name)), Node: "recorder", Tel: telemetry.Nop()}
	nc, err := d.Connect(node.Secrets.Control, account.RoleNode, account.UserNode)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(ctx, bucket)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := kv.Keys(ctx)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]json.RawMessage{}
	for _, key := range keys {
		e, err := kv.Get(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		out[key] = e.Value()
		var fields map[string]any
		if json.Unmarshal(e.Value(), &fields) != nil {
			continue
		}
		for field, instead := range map[string]string{"sealed": "AAAA", "jwt": "taken out"} {
			if _, ok := fields[field]; ok {
				fields[field] = instead
			}
		}
		if out[key], err = json.Marshal(fields); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// read returns the messages of the tenant's streams.
func read(t *testing.T, ctx context.Context, c *testcluster.Cluster) (out []message) {
	t.Helper()
	js, err := jetstream.New(c.As(t, "acme", account.RoleInspector, "ann"))
	if err != nil {
		t.Fatal(err)
	}
	for _, stream := range []string{event.StreamEvents, event.StreamState, event.StreamMetrics} {
		testwait.Until(t, "stream "+stream+" is read", func() error { // it may have no leader for a moment
			got, err := readStream(ctx, js, stream)
			out = append(out, got...)
			return err
		})
	}
	return out
}

func readStream(ctx context.Context, js jetstream.JetStream, stream string) (out []message, err error) {
	consumer, err := js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy})
	if err != nil {
		return nil, err
	}
	batch, err := consumer.FetchNoWait(500)
	if err != nil {
		return nil, err
	}
	for m := range batch.Messages() {
		out = append(out, message{m.Subject(), m.Headers(), m.Data()})
	}
	if err := batch.Error(); err != nil {
		return nil, err
	}
	return out, nil
}
