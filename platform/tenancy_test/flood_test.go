package tenancy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/platform/ingress/admit"
	"midplane/tenants"
	"midplane/tenants/account"
)

// A producer that does not wait when it is asked to is shut out for a while, however
// often it comes back; another of its tenant publishes on.
func TestFloodIsShutOut(t *testing.T) {
	small(t, shared(t).cluster, "loud", tenants.PolicyEnforce, map[string]any{"messageRate": 300, "producerMessageRate": 50})
	creds, err := shared(t).cluster.User(ctxOf(t), "loud", account.RoleProducer, "shouter")
	if err != nil {
		t.Fatal(err)
	}
	lost := make(chan struct{}, 1000)
	nc, err := nats.Connect(shared(t).cluster.Servers()[0], nats.UserCredentials(creds), nats.CustomInboxPrefix("_INBOX.shouter"), nats.MaxReconnects(-1),
		nats.ReconnectWait(10*time.Millisecond), nats.DisconnectErrHandler(func(*nats.Conn, error) { lost <- struct{}{} }), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	other := shared(t).cluster.As(t, "loud", account.RoleProducer, "modest")
	times := 0
	for ctx := ctxOf(t); times < 3; {
		if ctx.Err() != nil {
			t.Fatalf("disconnected %d times only", times)
		}
		for range 200 {
			_ = nc.PublishRequest(strings.Replace(fromFeed, "in.feed", "in.shouter", 1), "_INBOX.shouter.x", []byte(valid)) // the connection may be gone
		}
		select {
		case <-lost:
			times++
		case <-time.After(time.Millisecond):
		}
	}
	switch a := say(t, other, strings.Replace(fromFeed, "in.feed", "in.modest", 1), valid); a.code() {
	case 0, int(admit.CodeRate):
	default:
		t.Errorf("another producer: %+v %v", a, a.Error)
	}
}
