package control_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/bus"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/schemas"
	"midplane/tenants"
	"midplane/tenants/account"
)

// storing is a tenant that may write as fast as it can, so large messages that a test
// fills its streams with.
func storing(id string, storage tenants.Bytes) *tenants.Spec {
	spec := testcluster.Tenant(id)
	spec.Subscriptions = nil
	spec.Quota.Storage, spec.Quota.MessageSize = storage, tenants.MaxMessageSize
	spec.Quota.MessageRate, spec.Quota.ProducerMessageRate = 1_000_000, 1_000_000
	spec.Quota.ByteRate, spec.Quota.ProducerByteRate = tenants.MaxByteRate, tenants.MaxByteRate
	for _, k := range []event.Kind{event.KindEvent, event.KindState, event.KindMetric} {
		spec.Schemas = append(spec.Schemas, schemas.Schema{Type: blobType(k), Kind: k, Version: 1, Schema: json.RawMessage(`{"type":"object"}`), Example: json.RawMessage(`{}`)})
	}
	return spec
}

func blobType(k event.Kind) event.Type { return event.Type("test." + string(k) + ".blob.v1") }

// blob publishes a message of about size bytes and returns the refusal, if it is one.
func blob(t *testing.T, nc *nats.Conn, k event.Kind, entity string, size int) error {
	t.Helper()
	subject := fmt.Sprintf("in.feed.%s.%s.%s", k, entity, blobType(k))
	if k == event.KindEvent {
		subject = fmt.Sprintf("in.feed.event.info.%s.%s", entity, blobType(k))
	}
	msg, err := nc.RequestWithContext(testContext(t), subject, fmt.Appendf(nil, `{"blob":%q}`, strings.Repeat("x", size)))
	if err != nil {
		t.Fatal(err)
	}
	return ackError(msg.Data)
}

func ackError(answer []byte) error {
	_, err := bus.ParseAck(answer)
	return err
}

// inBothForms runs a test where streams have no limit of their own, and where they have.
func inBothForms(t *testing.T, f func(t *testing.T, c *testcluster.Cluster)) {
	t.Parallel()
	t.Run("unbounded", func(t *testing.T) { f(t, cluster(t)) })
	t.Run("bounded", func(t *testing.T) {
		c := testcluster.Start(t, testcluster.Options{NoSync: true, Pace: pace})
		(&moving{T: t, Cluster: c}).inUse(1)
		f(t, c)
	})
}

// A tenant that fills METRICS has EVENTS and updates of STATE stored all the same, by
// the doors' shares in both forms of its streams.
func TestFullMetricsLeaveRoomForEventsAndState(t *testing.T) {
	inBothForms(t, fullMetrics)
}

func fullMetrics(t *testing.T, c *testcluster.Cluster) {
	apply(t, c, storing("metrics", tenants.MinStorage))
	nc := c.As(t, "metrics", account.RoleProducer, "feed")
	if err := blob(t, nc, event.KindState, "r1", 1000); err != nil {
		t.Fatal(err)
	}
	// Many at once, so that there is something in flight when the share is used up.
	flood := make(chan error, 64)
	for range cap(flood) {
		go func() {
			for {
				msg, err := nc.Request("in.feed.metric.r1."+string(blobType(event.KindMetric)), fmt.Appendf(nil, `{"blob":%q}`, strings.Repeat("x", 20_000)), patience)
				if err == nil {
					err = ackError(msg.Data)
				}
				if err != nil {
					flood <- err
					return
				}
			}
		}()
	}
	for range cap(flood) {
		// A bounded stream may refuse before the door does, and names itself by nothing.
		if err := <-flood; errCode(err) != 10077 || !strings.Contains(err.Error(), event.StreamMetrics) && !strings.Contains(err.Error(), "maximum bytes exceeded") {
			t.Fatalf("the flood ended with %v", err)
		}
	}
	share := uint64(storing("metrics", tenants.MinStorage).Limits().Share(event.KindMetric))
	if row := streamRows(t, c, "metrics")[event.StreamMetrics]; row.Bytes > share+64*21_000 || row.MaxBytes != int64(share) {
		t.Errorf("METRICS holds %d bytes of its share of %d", row.Bytes, share)
	}
	if row := limitRow(limitRows(t, c, api.ListRequest{Tenant: "metrics"}), "", api.LimitStorageOf(event.StreamMetrics)); row.Refused == 0 || row.Value != int64(share) || row.Used == nil || *row.Used < int64(share)/2 {
		t.Errorf("limits: %+v", row)
	}
	before := streamRows(t, c, "metrics")[event.StreamEvents].MaxBytes
	for i := int64(0); i < before*9/10; i += 100_000 {
		if err := blob(t, nc, event.KindEvent, "r1", 99_000); err != nil {
			t.Fatalf("after %d bytes of events: %v", i, err)
		}
	}
	for range 20 {
		if err := blob(t, nc, event.KindState, "r1", 100_000); err != nil {
			t.Fatalf("an update of STATE: %v", err)
		}
	}
}

// What the nodes have no room for is refused at once, unless it is asked for; then the
// doors refuse when a store is nearly full, the control plane goes on, and when there
// is room again, so do the producers.
func TestStoresThatAreNearlyFull(t *testing.T) {
	t.Parallel()
	const maxStore = 736 << 20
	c := testcluster.Start(t, testcluster.Options{NoSync: true, Pace: pace, MaxStore: maxStore})
	spec := storing("first", 32<<20)
	apply(t, c, spec)

	second := storing("second", 64<<20)
	data, err := second.JSON()
	if err != nil {
		t.Fatal(err)
	}
	err = do(t, c, api.TenantPut, api.PutTenant{Spec: data}, nil)
	if !fault.Is(err, fault.Exhausted) || !strings.Contains(err.Error(), "736.0 MiB") || !strings.Contains(err.Error(), "second") || !strings.Contains(fault.HintOf(err), "--overcommit") {
		t.Fatalf("%v", err)
	}
	wantKind(t, "a check", do(t, c, api.TenantCheck, api.PutTenant{Spec: data}, nil), fault.Exhausted)
	wantKind(t, "both together", do(t, c, api.SpaceCheck, api.SpaceRequest{Storage: map[string]int64{"second": 16 << 20, "third": 16 << 20}}, nil), fault.Exhausted)
	spec.Name = "who changes something else is not refused"
	apply(t, c, spec)

	second.Quota.Storage = 4 << 30
	if data, err = second.JSON(); err != nil {
		t.Fatal(err)
	}
	var put api.TenantRevision
	if err := do(t, c, api.TenantPut, api.PutTenant{Spec: data, Overcommit: true}, &put); err != nil {
		t.Fatal(err)
	}
	served(t, c, "second", put.Revision)
	nc := c.As(t, "second", account.RoleProducer, "feed")
	kinds, stored := []event.Kind{event.KindEvent, event.KindMetric}, 0
	for err = nil; err == nil; stored++ {
		err = blob(t, nc, kinds[stored%2], "r1", 900_000)
		if stored > 2*maxStore/900_000 {
			t.Fatal("nothing is refused")
		}
	}
	if errCode(err) != 10047 || !strings.Contains(err.Error(), "max-store") {
		t.Fatalf("a store that is nearly full: %v", err)
	}
	first := c.As(t, "first", account.RoleProducer, "feed")
	if err := blob(t, first, event.KindEvent, "r1", 10); errCode(err) != 10047 {
		t.Errorf("another tenant: %v", err)
	}
	testwait.Until(t, "the status says so", func() error {
		if _, ok := hasProblem(ask[api.ClusterStatus](t, c, api.NodeStatus, struct{}{}), "critical", "", "nothing of tenants is taken"); !ok {
			return fmt.Errorf("it does not")
		}
		return nil
	})
	for i := range 5 { // the control plane and the server's own records go on
		spec.Name = fmt.Sprintf("renamed %d times", i)
		apply(t, c, spec)
		c.As(t, "first", account.RoleProducer, fmt.Sprintf("late-%d", i))
		time.Sleep(200 * time.Millisecond)
	}
	if st := ask[api.ClusterStatus](t, c, api.NodeStatus, struct{}{}); st.MetaLead == "" || st.Leader == "" {
		t.Errorf("leaders: %+v", st)
	}

	k := core(t, c)
	toReadSpec, _ := toRead(t, k, "second")
	testwait.Until(t, "what was read goes, and there is room again", func() error {
		rows := streamRows(t, c, "second")
		var cursors []api.Cursor
		for _, kind := range kinds {
			cursors = append(cursors, api.Cursor{Stream: kind.Stream(), Incarnation: toReadSpec.Incarnations[kind.Stream()], Seq: rows[kind.Stream()].Last})
		}
		if err := k.Do(testContext(t), api.CoreCursor, api.CursorReport{Tenant: "second", Reading: true, Cursors: cursors}, nil); err != nil {
			return err
		}
		return blob(t, nc, event.KindEvent, "r1", 900_000)
	})
}
