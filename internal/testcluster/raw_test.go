package testcluster_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/fault"
	"midplane/internal/testcluster"
	"midplane/tenants"
	"midplane/tenants/account"
)

// The way past the door reaches the stream itself, and the whole of its API: it
// is what the door is measured against.
func TestRawReachesTheStreamPastTheDoor(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{NoSync: true, Tenants: []*tenants.Spec{testcluster.Tenant("acme"), testcluster.Tenant("globex")}})
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	raw, _, js := testcluster.Straight(ctx, t, c, "acme")
	// No schema, no stamps, no such type: nothing but the stream takes it.
	ack, err := js.PublishMsg(ctx, &nats.Msg{Subject: raw.Capability.Prefix() + "event.syd.info.r1.no.such.v1", Data: []byte("raw")})
	if err != nil || ack.Stream != "EVENTS" {
		t.Fatalf("%+v, %v", ack, err)
	}
	s, err := js.Stream(ctx, "EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := s.GetMsg(ctx, ack.Sequence); err != nil || string(m.Data) != "raw" || m.Subject != "event.syd.info.r1.no.such.v1" {
		t.Errorf("stored is %+v, %v", m, err)
	}
	// Only of the tenant it was made for.
	other, err := c.Raw(ctx, "globex")
	if err != nil {
		t.Fatal(err)
	}
	if other.Capability == raw.Capability {
		t.Error("two tenants have one capability")
	}
	if _, err := c.Raw(ctx, "nobody"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a tenant that does not exist: %v", err)
	}
}

// With TLS a client needs the deployment's CA, and gets in with it.
func TestClusterWithTLSTakesItsOwnCA(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{NoSync: true, TLS: true, Tenants: []*tenants.Spec{testcluster.Tenant("acme")}})
	if c.CAFile() == "" {
		t.Fatal("there is no CA")
	}
	nc := c.As(t, "acme", account.RoleProducer, "feed")
	if state, err := nc.TLSConnectionState(); err != nil || !state.HandshakeComplete {
		t.Errorf("%+v, %v", state, err)
	}
	if plain, err := nats.Connect("nats://" + c.Servers()[0][len("tls://"):]); err == nil {
		plain.Close()
		t.Error("a client without the CA was let in")
	}
}
