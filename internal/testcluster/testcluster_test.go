package testcluster_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/internal/testcluster"
	"midplane/tenants"
	"midplane/tenants/account"
)

// A stock client publishes through the ingress and gets the stream's PubAck.
func TestStockClientPublishes(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{Tenants: []*tenants.Spec{testcluster.Tenant("acme")}})
	nc := c.As(t, "acme", account.RoleProducer, "billing-app")
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ack, err := js.Publish(ctx, "in.billing-app.event.critical.r1.net.reachability.changed.v1",
		[]byte(`{"device":"r1","from":"up","to":"down","message":"no answer"}`))
	if err != nil {
		t.Fatal(err)
	}
	if ack.Stream != "EVENTS" || ack.Sequence != 1 {
		t.Fatalf("ack %+v", ack)
	}
	_, err = js.Publish(ctx, "in.billing-app.event.critical.r1.net.reachability.changed.v1", []byte(`{"device":"r1"}`))
	if err == nil {
		t.Fatal("a payload without required fields was taken")
	}
	t.Log(err)
}
