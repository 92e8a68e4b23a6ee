package control_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/bus"
	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/tenants"
	"midplane/tenants/account"
)

// TestAStockClientsBurst: a stock client publishes 5,000 messages at once, on
// the default quota, with its library's defaults. Each is stored or refused with
// a 429 that says when to come back; the connection stays open; and what is
// retried as asked is stored in the end.
func TestAStockClientsBurst(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	apply(t, c, testcluster.Tenant("burst"))
	nc := c.As(t, "burst", account.RoleProducer, "loader")
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	msg := func(n int) *nats.Msg {
		id := fmt.Sprintf("loader/%d", n)
		return &nats.Msg{Subject: fmt.Sprintf("in.loader.event.info.e%d.%s", n, event.TypeReachabilityChanged), Header: nats.Header{"Nats-Msg-Id": {id}, "ce-id": {id}},
			Data: []byte(fmt.Sprintf(`{"device":"e%d","from":"up","to":"down","message":"number %d"}`, n, n))}
	}
	const count = 5000
	var futures []jetstream.PubAckFuture
	for n := range count {
		f, err := js.PublishMsgAsync(msg(n), jetstream.WithStallWait(time.Minute))
		if err != nil {
			t.Fatalf("message %d: %v", n, err)
		}
		futures = append(futures, f)
	}
	stored, refused := 0, map[int]time.Duration{}
	answer := func(n int, err error) {
		t.Helper()
		var problem *jetstream.APIError
		switch {
		case err == nil:
			stored++
			delete(refused, n)
		case errors.As(err, &problem) && problem.Code == 429 && bus.RetryAfter(err) > 0:
			refused[n] = bus.RetryAfter(err)
		default:
			t.Fatalf("message %d: %v", n, err)
		}
	}
	for n, f := range futures {
		select {
		case <-f.Ok():
			answer(n, nil)
		case err := <-f.Err():
			answer(n, err)
		case <-time.After(time.Minute):
			t.Fatalf("message %d has no answer", n)
		}
	}
	t.Logf("%d stored, %d refused", stored, len(refused))
	// Each comes back when it was asked to, once or a few times.
	for tries := 0; len(refused) > 0; tries++ {
		if tries > 20 {
			t.Fatalf("%d are refused again and again", len(refused))
		}
		var longest time.Duration
		for _, wait := range refused {
			longest = max(longest, wait)
		}
		time.Sleep(longest)
		var again []int
		for n := range refused {
			if again = append(again, n); len(again) == tenants.DefaultMessageRate/4 { // a second's worth
				break
			}
		}
		for _, n := range again {
			_, err := js.PublishMsg(t.Context(), msg(n))
			answer(n, err)
		}
	}
	if stored != count || nc.Stats().Reconnects > 0 || !nc.IsConnected() {
		t.Errorf("%d of %d stored, %d reconnects", stored, count, nc.Stats().Reconnects)
	}
}

// TestTheStatusNamesWhoIsHeldBack: the producer, the limit, and what would lift it.
func TestTheStatusNamesWhoIsHeldBack(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	spec := testcluster.Tenant("held")
	spec.Quota.MessageRate, spec.Quota.ProducerMessageRate = 12, 1
	apply(t, c, spec)
	nc := c.As(t, "held", account.RoleProducer, "hasty")
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for n := range 20 {
		id := fmt.Sprintf("hasty/%d", n)
		_, err := js.PublishMsg(testContext(t), &nats.Msg{Subject: "in.hasty.event.info.e1." + string(event.TypeReachabilityChanged), Header: nats.Header{"Nats-Msg-Id": {id}, "ce-id": {id}},
			Data: []byte(`{"device":"e1","from":"up","to":"down","message":"one of many"}`)})
		if bus.LimitOf(errors.Join(err, errors.New(""))) == api.LimitProducerMessages {
			refused++
		}
	}
	if refused == 0 {
		t.Fatal("20 messages at one a second, and none was refused")
	}
	p := problem(t, c, "warning", "held", "producer hasty is held back by quota.producerMessageRate (1 a second)")
	t.Logf("%s → %s", p.Message, p.Hint)
}

// TestAPollerIsGivenItsPace: only to a poller that says it reads it, and also
// with an answer that nothing has changed.
func TestAPollerIsGivenItsPace(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	apply(t, c, testcluster.Tenant("paced"))
	p := join(t, c, "paced", account.RolePoller, "syd-01")
	want := testcluster.Tenant("paced").Pace(3, 1)
	var cfg api.PollerConfig
	askChannel(t, p, api.ChannelConfig, api.ConfigRequest{}, &cfg)
	if cfg.Pace != nil {
		t.Errorf("an older poller is given a pace: %+v", cfg.Pace)
	}
	cfg = api.PollerConfig{}
	askChannel(t, p, api.ChannelConfig, api.ConfigRequest{Reads: []string{api.ReadsPace, "something-newer"}}, &cfg)
	if cfg.Pace == nil || *cfg.Pace != want || len(cfg.Devices) == 0 {
		t.Errorf("%+v, want the pace %+v", cfg, want)
	}
	again := api.PollerConfig{}
	askChannel(t, p, api.ChannelConfig, api.ConfigRequest{Have: cfg.Revision, Reads: []string{api.ReadsPace}}, &again)
	if !again.Unchanged || again.Pace == nil {
		t.Errorf("%+v, want unchanged, with the pace", again)
	}
	// What a poller says of itself is in the status.
	askChannel(t, p, api.ChannelStatus, api.PollerReport{Version: "test", Revision: cfg.Revision, Held: &api.Held{Limit: api.LimitTenantMessages, Since: time.Now().Add(-time.Minute), Waiting: 1234},
		Thinned: &api.Thinned{Samples: 77, Since: time.Now().Add(-time.Minute)}, Overflow: &api.Overflow{Messages: 99, Since: time.Now().Add(-time.Minute)}}, nil)
	problem(t, c, "error", "paced", "the outbox of poller syd-01 is at its limit: 99 messages were given up since ")
	problem(t, c, "warning", "paced", "METRICS is full: 77 samples were thinned at poller syd-01 since ")
	got := problem(t, c, "warning", "paced", "producer syd-01 is held back by quota.messageRate")
	t.Logf("%s → %s", got.Message, got.Hint)
}

func askChannel(t *testing.T, m member, verb string, req, resp any) {
	t.Helper()
	if err := m.ch.Do(testContext(t), verb, req, resp); err != nil {
		t.Fatalf("%s: %v", verb, err)
	}
}
