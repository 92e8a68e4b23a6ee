package tenancy_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/tenants/account"
)

// stock is a stock client's view of a tenant.
func (w *world) stock(t *testing.T, tenant, user string) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc, err := w.connect(tenant, user)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}

// Who may produce gets the stream's own PubAck, and its message is stored
// under its own site.
func TestProducersPublish(t *testing.T) {
	for user, site := range map[string]string{poller: "syd", producer: "_", app: "_", inspector: "_"} {
		t.Run(user, func(t *testing.T) {
			ctx := ctxOf(t)
			_, js := shared(t).stock(t, acme, user)
			for _, m := range []struct{ subject, data, stream, stored string }{
				{"in." + user + ".event.info.r1.net.reachability.changed.v1", valid, event.StreamEvents, "event." + site + ".info.r1.net.reachability.changed.v1"},
				{"in." + user + ".state.r1.net.reachability.v1", `{"device":"r1","status":"up","method":"ping"}`, event.StreamState, "state." + site + ".r1.net.reachability.v1"},
				{"in." + user + ".metric.r1.net.ping.v1", `{"rttMs":1,"lossPercent":0}`, event.StreamMetrics, "metric." + site + ".r1.net.ping.v1"},
			} {
				ack, err := js.Publish(ctx, m.subject, []byte(m.data), jetstream.WithMsgID(user+"/"+m.stream+"/1"), jetstream.WithExpectStream(m.stream))
				if err != nil || ack.Stream != m.stream || ack.Duplicate {
					t.Fatalf("%s: %+v %v", m.subject, ack, err)
				}
				if got := shared(t).sides[acme].get(ctx, m.stream, ack.Sequence); got != m.stored+" "+m.data {
					t.Errorf("stored as %q, want %q", got, m.stored)
				}
				again, err := js.Publish(ctx, m.subject, []byte(m.data), jetstream.WithMsgID(user+"/"+m.stream+"/1"))
				if err != nil || !again.Duplicate || again.Sequence != ack.Sequence {
					t.Errorf("the same id again: %+v %v", again, err)
				}
				shared(t).sides[acme].last[m.stream] = ack.Sequence
			}
		})
	}
}

// An application reads what was declared for it, with a stock client.
func TestReadersRead(t *testing.T) {
	for _, user := range []string{reader, app} {
		t.Run(user, func(t *testing.T) {
			ctx := ctxOf(t)
			_, js := shared(t).stock(t, globex, user)
			c, err := js.Consumer(ctx, event.StreamEvents, user+"_all")
			if err != nil {
				t.Fatal(err)
			}
			msg := firstOf(ctx, t, c)
			if err := msg.DoubleAck(ctx); err != nil {
				t.Fatal(err)
			}
			info, err := c.Info(ctx)
			if err != nil || info.AckFloor.Stream != 1 {
				t.Errorf("%+v %v", info, err)
			}
		})
	}
	_, js := shared(t).stock(t, acme, producer)
	ctx, cancel := context.WithTimeout(ctxOf(t), time.Second)
	defer cancel()
	if _, err := js.Consumer(ctx, event.StreamEvents, "reading_all"); err == nil {
		t.Error("a producer bound to a reader's consumer")
	}
}

// Pollers, applications and inspectors reach the control channel; what they
// are answered depends on their role.
func TestControlChannel(t *testing.T) {
	for user, may := range map[string]bool{poller: true, app: false, inspector: false} {
		t.Run(user, func(t *testing.T) {
			nc, _ := shared(t).stock(t, acme, user)
			creds := readCreds(t, shared(t).creds[acme+"/"+user])
			sign, err := account.SignWith(creds.Seed)
			if err != nil {
				t.Fatal(err)
			}
			var cfg api.PollerConfig
			err = api.NewChannel(nc, user, sign).Do(ctxOf(t), api.ChannelConfig, api.ConfigRequest{}, &cfg)
			if may && (err != nil || cfg.Tenant != acme || cfg.Poller != poller || len(cfg.Devices) != 1) {
				t.Errorf("%+v %v", cfg, err)
			}
			if !may && fault.KindOf(err) != fault.Denied {
				t.Errorf("%+v %v, want Denied", cfg, err)
			}
		})
	}
}

// firstOf fetches from a consumer that was just made. That it is made travels
// between nodes on another road than who listens to it, so that the first
// fetch may find no responders.
func firstOf(ctx context.Context, t *testing.T, c jetstream.Consumer) jetstream.Msg {
	t.Helper()
	for {
		msg, err := c.Next(jetstream.FetchMaxWait(5 * time.Second))
		if err == nil {
			return msg
		}
		if ctx.Err() != nil {
			t.Fatalf("%s: %v", c.CachedInfo().Stream, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// An inspector reads everything of its tenant, in order and by sequence.
func TestInspectorsReadEverything(t *testing.T) {
	ctx := ctxOf(t)
	_, js := shared(t).stock(t, acme, inspector)
	for _, c := range canaries {
		consumer, err := js.CreateConsumer(ctx, c.stream, jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy, InactiveThreshold: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		msg := firstOf(ctx, t, consumer)
		if seq, err := msg.Metadata(); err != nil || seq.Sequence.Stream != 1 {
			t.Errorf("%s begins at %+v: %v", c.stream, seq, err)
		}
	}
}

// Only the control plane can delete a consumer: an empty answer could be
// aimed at that request.
func TestConsumersCannotBeDeleted(t *testing.T) {
	_, js := shared(t).stock(t, acme, inspector)
	if err := js.DeleteConsumer(ctxOf(t), event.StreamEvents, "victim_all"); err == nil {
		t.Error("an inspector deleted an application's consumer")
	}
	shared(t).undisturbed(t)
}
