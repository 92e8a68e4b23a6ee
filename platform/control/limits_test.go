package control_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/bus"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/tenants"
	"midplane/tenants/account"
)

func limitRows(t *testing.T, c *testcluster.Cluster, req api.ListRequest) []api.Limit {
	t.Helper()
	rows, err := api.All[api.Limit](testContext(t), c.Admin.Do, api.LimitList, req)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func limitRow(rows []api.Limit, producer, limit string) (found api.Limit) {
	for _, r := range rows {
		if r.Producer == producer && r.Limit == limit {
			return r
		}
	}
	return found
}

// TestLimitsShowWhoIsHeldBack: a producer above its rate is shown with the limit
// that holds it back, what was refused, since when, and what would lift it.
func TestLimitsShowWhoIsHeldBack(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	spec := testcluster.Tenant("limited")
	spec.Quota.MessageRate, spec.Quota.ProducerMessageRate, spec.Quota.MessageSize = 600, 5, 1<<10
	apply(t, c, spec)
	_, err := c.User(testContext(t), "limited", account.RoleProducer, "calm")
	if err != nil {
		t.Fatal(err)
	}
	nc := c.As(t, "limited", account.RoleProducer, "hasty")
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	send := func(n int, data string) error {
		id := fmt.Sprintf("hasty/%d", n)
		_, err := js.PublishMsg(testContext(t), &nats.Msg{Subject: "in.hasty.event.info.e1." + string(event.TypeReachabilityChanged),
			Header: nats.Header{"Nats-Msg-Id": {id}, "ce-id": {id}}, Data: []byte(data)})
		return err
	}
	refused, stored := uint64(0), 0
	testwait.Until(t, "the producer sends and is refused, and the rows say so", func() error {
		for range 20 {
			err := send(stored, `{"device":"e1","from":"up","to":"down","message":"one of many"}`)
			switch {
			case err == nil:
				stored++
			case bus.LimitOf(err) == api.LimitProducerMessages:
				refused++
			default:
				t.Fatal(err)
			}
		}
		rows := limitRows(t, c, api.ListRequest{Tenant: "limited"})
		got := limitRow(rows, "hasty", api.LimitProducerMessages)
		if got.Used == nil || *got.Used == 0 || got.Refused == 0 {
			return fmt.Errorf("%+v", got)
		}
		if got.Value != 5 || *got.Used > 6 || got.Refused != refused || got.HeldBackSince == nil || got.Hint != api.LiftHint(api.LimitProducerMessages) {
			t.Errorf("%+v, want 5 a second, %d refused", got, refused)
		}
		if calm := limitRow(rows, "calm", api.LimitProducerMessages); calm.Value != 5 || calm.Used == nil || *calm.Used != 0 || calm.Refused != 0 || calm.HeldBackSince != nil {
			t.Errorf("%+v", calm)
		}
		for limit, min := range map[string]int64{api.LimitTenantMessages: 1, api.LimitTenantBytes: 1, api.LimitProducerMessages: 1, api.LimitConnections: 1, api.LimitConnectionsPerUser: 1,
			api.LimitStorage: 1, api.LimitMessageSize: 10, api.LimitSubscriptions: 1, api.LimitConsumers: 0, api.LimitSpecSize: 100} {
			r := limitRow(rows, "", limit)
			if r.Used == nil || *r.Used < min || *r.Used > r.Value && limit != api.LimitProducerMessages {
				return fmt.Errorf("%+v", r)
			}
		}
		if connected := limitRow(rows, "hasty", api.LimitConnectionsPerUser); connected.Used == nil || *connected.Used != 1 || connected.Value != int64(tenants.DefaultConnectionsPerUser) {
			return fmt.Errorf("%+v", connected)
		}
		return nil
	})
	testwait.Until(t, "a message that is too large is counted", func() error {
		stored++
		if err := send(stored, `{"device":"e1","from":"up","to":"down","message":"`+strings.Repeat("x", 2000)+`"}`); err == nil {
			t.Fatal("it is stored")
		}
		if r := limitRow(limitRows(t, c, api.ListRequest{Tenant: "limited"}), "", api.LimitMessageSize); r.Value != 1<<10 || r.Refused == 0 || *r.Used > 1<<10 {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})

	// Filtered by the server, and in pages of any size the same.
	all := limitRows(t, c, api.ListRequest{Tenant: "limited"})
	one := limitRows(t, c, api.ListRequest{Tenant: "limited", Producer: "hasty"})
	if len(one) == 0 || len(one) >= len(all) {
		t.Errorf("%d rows of the producer, %d of all", len(one), len(all))
	}
	for _, r := range one {
		if r.Producer != "hasty" || r.Tenant != "limited" {
			t.Errorf("%+v", r)
		}
	}
	apply(t, c, testcluster.Tenant("limited-2")) // its keys come before those of "limited"
	keys := func(req api.ListRequest) (out []string) {
		for _, r := range limitRows(t, c, req) {
			if r.Tenant == "limited" || r.Tenant == "limited-2" {
				out = append(out, r.Tenant+"/"+r.Producer+"/"+r.Limit)
			}
		}
		return out
	}
	whole := keys(api.ListRequest{Limit: api.MaxPage})
	if len(whole) != len(all)+len(keys(api.ListRequest{Tenant: "limited-2"})) || !slices.IsSorted(whole) {
		t.Errorf("%d rows: %v", len(whole), whole)
	}
	for what, paged := range map[string][]string{
		"7 at a time": keys(api.ListRequest{Limit: 7}), "40 at a time": keys(api.ListRequest{Limit: 40}),
		"one at a time": append(keys(api.ListRequest{Tenant: "limited-2", Limit: 1}), keys(api.ListRequest{Tenant: "limited", Limit: 1})...),
	} {
		if diff := cmp.Diff(whole, paged); diff != "" {
			t.Errorf("%s (-whole +paged):\n%s", what, diff)
		}
	}
	var page api.Page[api.Limit]
	if err := c.Admin.Do(testContext(t), api.LimitList, api.ListRequest{Tenant: "nosuch"}, &page); !fault.Is(err, fault.NotFound) {
		t.Errorf("of a tenant that is not there: %v", err)
	}
	if rows := limitRows(t, c, api.ListRequest{Tenant: "limited", Producer: "nosuch"}); len(rows) != 0 {
		t.Errorf("of a producer that is not there: %+v", rows)
	}
}
