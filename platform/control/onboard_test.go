package control_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/tenants"
	"midplane/tenants/account"
)

// A tenant becomes ready step by step; until a primary reads it, exactly that
// is missing, and is reported.
func TestConditionsBecomeTrueAndTheLastIsThePrimarys(t *testing.T) {
	c, k := cluster(t), core(t, cluster(t))
	apply(t, c, testcluster.Tenant("conditions"))
	row := status(t, c, "conditions")
	for _, cond := range row.Conditions {
		if want := cond.Type != api.PrimaryReading; cond.OK != want || !cond.OK && cond.Message == "" || cond.OK && cond.Message != "" {
			t.Errorf("%+v", cond)
		}
	}
	if row.Ready || len(row.Conditions) != 5 {
		t.Fatalf("ready %v with %d conditions", row.Ready, len(row.Conditions))
	}
	if _, ok := hasProblem(ask[api.ClusterStatus](t, c, api.NodeStatus, struct{}{}), "warning", "conditions", "no primary reads"); !ok {
		t.Error("no problem says that no primary reads")
	}
	spec, ok := toRead(t, k, "conditions")
	if !ok || spec.Account != row.Account || len(spec.Incarnations) != 4 || spec.Deleted {
		t.Fatalf("a primary is given %+v", spec)
	}
	testwait.Until(t, "ready once a primary reads", func() error {
		if err := k.Do(testContext(t), api.CoreCursor, api.CursorReport{Tenant: "conditions", Reading: true}, nil); err != nil {
			return err
		}
		if row := status(t, c, "conditions"); !row.Ready {
			return fmt.Errorf("%+v", row.Conditions)
		}
		return nil
	})
}

// Whichever node answers, an admin sees what was stored through another.
func TestAdminSeesItsOwnWritesThroughEveryNode(t *testing.T) {
	c := cluster(t)
	all, ctx := admins(t, c), testContext(t)
	var rev uint64
	for i := range 12 {
		spec := testcluster.Tenant("writes")
		spec.Contact = fmt.Sprintf("noc-%d@example.org", i)
		data, err := spec.JSON()
		if err != nil {
			t.Fatal(err)
		}
		var put api.TenantRevision
		if err := all[i%3].Do(ctx, api.TenantPut, api.PutTenant{Spec: data, Revision: rev}, &put); err != nil {
			t.Fatal(err)
		}
		rev = put.Revision
		for j, a := range all {
			var got api.SpecAnswer
			if err := a.Do(ctx, api.TenantSpec, api.TenantRef{Tenant: "writes"}, &got); err != nil {
				t.Fatal(err)
			}
			row, err := api.All[api.Tenant](ctx, a.Do, api.TenantList, api.ListRequest{Tenant: "writes"})
			if err != nil || got.Revision != rev || len(row) != 1 || row[0].Contact != spec.Contact {
				t.Fatalf("put %d through node %d, read through node %d: revision %d, rows %+v, %v", i, i%3+1, j+1, got.Revision, row, err)
			}
		}
	}
	stale, _ := testcluster.Tenant("writes").JSON()
	wantKind(t, "an old revision", all[1].Do(ctx, api.TenantPut, api.PutTenant{Spec: stale, Revision: rev - 1}, nil), fault.Conflict)
	wantKind(t, "a tenant that is there", all[2].Do(ctx, api.TenantPut, api.PutTenant{Spec: stale}, nil), fault.Conflict)
	wantKind(t, "no tenant at all", all[0].Do(ctx, api.TenantStatus, api.TenantRef{Tenant: "missing"}, nil), fault.NotFound)
	wantKind(t, "no tenant to list", all[0].Do(ctx, api.StreamList, api.ListRequest{Tenant: "missing"}, nil), fault.NotFound)
	wantKind(t, "a spec that is none", all[0].Do(ctx, api.TenantPut, api.PutTenant{Spec: json.RawMessage(`{"id":"x"}`)}, nil), fault.Invalid)
	if err := all[0].Do(ctx, api.TenantStatus, map[string]string{"tenant": "writes", "more": "x"}, nil); err != nil {
		t.Errorf("a field of a newer version: %v", err)
	}
	wantKind(t, "a page too large", all[0].Do(ctx, api.TenantList, api.ListRequest{Limit: api.MaxPage + 1}, nil), fault.Invalid)
}

// Lists are the same for every size of the page.
func TestListsArePagedWithoutLossOrRepetition(t *testing.T) {
	c := cluster(t)
	ctx := testContext(t)
	spec := testcluster.Tenant("pages")
	for i := range 23 {
		spec.Sites = append(spec.Sites, tenants.Site{ID: event.Site(fmt.Sprintf("site-%02d", i))})
	}
	apply(t, c, spec)
	for _, limit := range []int{1, 5, 23, 24, 25} {
		seen := map[string]bool{}
		rows, err := api.All[api.Site](ctx, c.Admin.Do, api.SiteList, api.ListRequest{Tenant: "pages", Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			seen[r.ID] = true
		}
		if len(rows) != 24 || len(seen) != 24 {
			t.Errorf("pages of %d: %d rows, %d different", limit, len(rows), len(seen))
		}
	}
}

// A quota goes up and down under a running tenant: streams keep what they hold
// and the doors stay open.
func TestQuotaGoesUpAndDown(t *testing.T) {
	c := cluster(t)
	spec := testcluster.Tenant("quota")
	apply(t, c, spec)
	nc := c.As(t, "quota", account.RoleProducer, "feed")
	sent := uint64(0)
	for _, size := range []tenants.Bytes{1 << 30, 64 << 20, 3 << 30, 16 << 20, 16 << 20, 128 << 20} {
		spec.Quota.Storage = size
		spec.Quota.Connections++
		apply(t, c, spec)
		if err := publish(nc, "feed"); err != nil {
			t.Fatalf("storage %d: %v", size, err)
		}
		sent++
		rows, want := streamRows(t, c, "quota"), spec.Limits()
		for _, k := range event.Kinds {
			if got := rows[k.Stream()]; got.MaxBytes != want.Share(k) || got.Leader == "" || len(got.Replicas) != 2 {
				t.Errorf("storage %d: %s is %+v, want %d bytes", size, k.Stream(), got, want.Share(k))
			}
		}
		if got := rows[event.StreamEvents].Messages; got != sent {
			t.Errorf("storage %d: EVENTS holds %d messages, %d were stored", size, got, sent)
		}
	}
}

// Subscriptions that are declared have durable consumers, those no longer
// declared do not, and what the tenant's own people made stays.
func TestSubscriptionsMakeAndPruneDurables(t *testing.T) {
	c := cluster(t)
	ctx := testContext(t)
	spec := testcluster.Tenant("subs")
	apply(t, c, spec)
	js, err := jetstream.New(c.As(t, "subs", account.RoleInspector, "ops"))
	if err != nil {
		t.Fatal(err)
	}
	filters := func(stream, name string) []string {
		t.Helper()
		con, err := js.Consumer(ctx, stream, name)
		if err != nil {
			return nil
		}
		cfg := con.CachedInfo().Config
		if cfg.FilterSubject != "" {
			return []string{cfg.FilterSubject}
		}
		return cfg.FilterSubjects
	}
	if got := filters("EVENTS", "billing_all"); len(got) != 1 || got[0] != "event.*.*.*.>" {
		t.Fatalf("billing_all has the filters %q", got)
	}
	if _, err := js.CreateConsumer(ctx, "EVENTS", jetstream.ConsumerConfig{Durable: "private", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		t.Fatal(err)
	}
	spec.Subscriptions = []tenants.Subscription{
		{Application: "billing", Name: "all", Stream: "EVENTS", Filter: tenants.Filter{Severity: []event.Severity{event.Critical}}},
		{Application: "archive", Name: "metrics", Stream: "METRICS"},
	}
	apply(t, c, spec)
	if got := filters("EVENTS", "billing_all"); len(got) != 1 || got[0] != "event.*.critical.*.>" {
		t.Errorf("billing_all has the filters %q", got)
	}
	if got := filters("METRICS", "archive_metrics"); len(got) != 1 {
		t.Errorf("archive_metrics has the filters %q", got)
	}
	spec.Subscriptions = nil
	apply(t, c, spec)
	for stream, name := range map[string]string{"EVENTS": "billing_all", "METRICS": "archive_metrics"} {
		if got := filters(stream, name); got != nil {
			t.Errorf("%s is still there", name)
		}
	}
	if _, err := js.Consumer(ctx, "EVENTS", "private"); err != nil {
		t.Errorf("the inspector's own consumer is gone: %v", err)
	}
}

// Declared devices are in STATE, a change is published once, what did not change is
// not published again, and a removal is published before it is forgotten.
func TestDeclaredDevicesArePublishedChangedAndRemoved(t *testing.T) {
	c := cluster(t)
	spec := testcluster.Tenant("declared")
	spec.Sites[0].Devices = append(spec.Sites[0].Devices, tenants.Device{ID: "r2", Name: "Second", Address: "127.0.0.2"})
	apply(t, c, spec)
	nc := c.As(t, "declared", account.RoleInspector, "ops")
	published := func(device string) (event.Declared, uint64) {
		t.Helper()
		var d event.Declared
		data, seq, ok := lastState(t, nc, "state.syd."+device+"."+string(event.TypeDeclared))
		if !ok {
			return d, 0
		}
		if err := json.Unmarshal(data, &d); err != nil {
			t.Fatal(err)
		}
		return d, seq
	}
	r1, seq1 := published("r1")
	r2, seq2 := published("r2")
	if r1.Address != "127.0.0.1" || r2.Name != "Second" || r1.Removed || seq1 == 0 || seq2 == 0 {
		t.Fatalf("r1 %+v at %d, r2 %+v at %d", r1, seq1, r2, seq2)
	}
	spec.Sites[0].Devices[1].Address = "127.0.0.3"
	apply(t, c, spec)
	if d, seq := published("r2"); d.Address != "127.0.0.3" || seq <= seq2 {
		t.Errorf("the change of r2 was not published: %+v at %d", d, seq)
	}
	if _, seq := published("r1"); seq != seq1 {
		t.Errorf("r1 did not change, and was published again at %d", seq)
	}
	gone := spec.Sites[0].Devices
	spec.Sites[0].Devices = gone[:1]
	apply(t, c, spec)
	if d, seq := published("r2"); seq != 0 && !d.Removed {
		t.Errorf("r2 was removed, STATE says %+v", d)
	}
	spec.Sites[0].Devices = gone
	apply(t, c, spec)
	if d, _ := published("r2"); d.Removed || d.Address != "127.0.0.3" {
		t.Errorf("r2 came back, STATE says %+v", d)
	}
}

// Streams that vanish behind the control plane's back are made again by
// themselves: empty, as another incarnation, with what is declared in it.
func TestStreamDeletedBehindItsBackIsMadeAgainAsAnotherIncarnation(t *testing.T) {
	c, k := cluster(t), core(t, cluster(t))
	ctx := testContext(t)
	apply(t, c, testcluster.Tenant("vanish"))
	inspector := c.As(t, "vanish", account.RoleInspector, "ops")
	was, _ := toRead(t, k, "vanish")
	_, _, js := testcluster.Straight(ctx, t, c, "vanish")
	for _, name := range []string{"STATE", "EVENTS"} {
		if err := js.DeleteStream(ctx, name); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	testwait.Until(t, "made again", func() error {
		now, _ := toRead(t, k, "vanish")
		for name, want := range map[string]uint64{"STATE": 1, "EVENTS": 1, "METRICS": 0, "DEAD": 0} {
			if now.Incarnations[name] != was.Incarnations[name]+want {
				return fmt.Errorf("%s has incarnation %d, had %d", name, now.Incarnations[name], was.Incarnations[name])
			}
		}
		if rows := streamRows(t, c, "vanish"); rows["STATE"].Leader == "" || rows["EVENTS"].Leader == "" {
			return fmt.Errorf("%+v", rows)
		}
		return nil
	})
	testwait.Until(t, "declared again", func() error {
		if _, _, ok := lastState(t, inspector, "state.syd.r1."+string(event.TypeDeclared)); !ok {
			return fmt.Errorf("r1 is not in STATE")
		}
		return nil
	})
}

// A change reaches the control channel of a running poller within two seconds
// of its being stored, through whichever node.
func TestChangeReachesAPollerWithinTwoSeconds(t *testing.T) {
	c := cluster(t)
	ctx := testContext(t)
	spec := testcluster.Tenant("channel")
	apply(t, c, spec)
	key, seed, err := account.NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	creds := userWith(t, c, "channel", account.RolePoller, "syd-01", key, seed)
	sign, err := account.SignWith(seed)
	if err != nil {
		t.Fatal(err)
	}
	for i, admin := range admins(t, c) {
		nc := mustAt(t, c, (i+1)%3, creds, "syd-01")
		hints, err := nc.SubscribeSync("hint.syd-01")
		if err != nil {
			t.Fatal(err)
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		ch := api.NewChannel(nc, "syd-01", sign)
		var was api.PollerConfig
		if err := ch.Do(ctx, api.ChannelConfig, api.ConfigRequest{}, &was); err != nil {
			t.Fatal(err)
		}
		spec.Sites[0].Devices[0].Checks = []tenants.Check{{Name: "ssh", Collector: "tcp", Interval: api.Duration(time.Duration(i+2) * time.Second), Params: map[string]string{"port": "22"}}}
		data, err := spec.JSON()
		if err != nil {
			t.Fatal(err)
		}
		var put api.TenantRevision
		if err := admin.Do(ctx, api.TenantPut, api.PutTenant{Spec: data, Revision: was.Revision}, &put); err != nil {
			t.Fatal(err)
		}
		stored := time.Now()
		var hint api.Hint
		for hint.Revision < put.Revision {
			msg, err := hints.NextMsg(patience)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(msg.Data, &hint); err != nil {
				t.Fatal(err)
			}
		}
		var now api.PollerConfig
		if err := ch.Do(ctx, api.ChannelConfig, api.ConfigRequest{Have: was.Revision, Want: hint.Revision}, &now); err != nil {
			t.Fatal(err)
		}
		took := time.Since(stored)
		if now.Revision != put.Revision || now.Devices[0].Checks[0].Interval.Std() != time.Duration(i+2)*time.Second || took > 2*time.Second {
			t.Errorf("through node %d after %s: %+v, want revision %d", i+1, took, now, put.Revision)
		}
		var same api.PollerConfig
		if err := ch.Do(ctx, api.ChannelConfig, api.ConfigRequest{Have: now.Revision}, &same); err != nil || !same.Unchanged || same.Devices != nil {
			t.Errorf("asked again: %+v, %v", same, err)
		}
		hints.Unsubscribe()
	}
}
