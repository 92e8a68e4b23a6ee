package control_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/schemas"
	"midplane/tenants"
	"midplane/tenants/account"
)

const noteType = "test.note.written.v1"

// small is a tenant whose EVENTS is full after some two hundred notes.
func small(id string, subs ...tenants.Subscription) *tenants.Spec {
	spec := testcluster.Tenant(id)
	spec.Quota.Storage = tenants.MinStorage
	spec.Quota.ByteRate, spec.Quota.ProducerByteRate = tenants.MaxByteRate, tenants.MaxByteRate // it is filled as fast as it goes
	spec.Subscriptions = subs
	spec.Schemas = []schemas.Schema{{Type: noteType, Kind: event.KindEvent, Version: 1, Schema: json.RawMessage(`{"type":"object"}`), Example: json.RawMessage(`{}`)}}
	return spec
}

// filler publishes large numbered notes.
type filler struct {
	t     *testing.T
	js    jetstream.JetStream
	acked int
}

func fill(t *testing.T, c *testcluster.Cluster, tenant string) *filler {
	t.Helper()
	js, err := jetstream.New(c.As(t, tenant, account.RoleProducer, "feed"))
	if err != nil {
		t.Fatal(err)
	}
	return &filler{t: t, js: js}
}

// one publishes the next note and returns the refusal, if it is one.
func (f *filler) one() error {
	f.t.Helper()
	_, err := testcluster.Publish(testContext(f.t), f.js, &nats.Msg{Subject: "in.feed.event.info.r1." + noteType,
		Data: fmt.Appendf(nil, `{"n":%d,"text":%q}`, f.acked+1, strings.Repeat("x", 40_000))})
	if err == nil {
		f.acked++
	}
	return err
}

// until publishes until EVENTS holds so many percent, or is full at 100.
func (f *filler) until(c *testcluster.Cluster, tenant string, percent uint64) {
	f.t.Helper()
	for {
		row := streamRows(f.t, c, tenant)[event.StreamEvents]
		if row.Bytes*100 >= uint64(row.MaxBytes)*percent {
			return
		}
		for range 5 {
			err := f.one()
			if percent == 100 && errCode(err) == 10077 {
				return
			}
			if err != nil {
				f.t.Fatal(err)
			}
		}
	}
}

// report is what a primary says after its commit.
func report(t *testing.T, k *api.Core, tenant string, seq uint64) {
	t.Helper()
	spec, _ := toRead(t, k, event.Tenant(tenant))
	err := k.Do(testContext(t), api.CoreCursor, api.CursorReport{Tenant: event.Tenant(tenant), Reading: true,
		Cursors: []api.Cursor{{Stream: event.StreamEvents, Incarnation: spec.Incarnations[event.StreamEvents], Seq: seq}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
}

func awaitAlarm(t *testing.T, nc *nats.Conn, word, part string) event.Alarm {
	t.Helper()
	var a event.Alarm
	testwait.Until(t, "alarm "+word, func() error {
		all := alarms(t, nc)
		if a = all[word]; !strings.Contains(a.Message, part) || a.Alarm == "" {
			return fmt.Errorf("alarms %+v", all)
		}
		return nil
	})
	return a
}

// No one reads: the stream fills, reports it while there is room to report it, and
// then refuses; what it holds stays. As soon as a primary has committed some of
// it, exactly that may go, and producers go on.
func TestUnreadEventsAreNeverTrimmedAndReadOnesMakeRoom(t *testing.T) {
	inBothForms(t, fullOfUnread)
}

func fullOfUnread(t *testing.T, c *testcluster.Cluster) {
	k := core(t, c)
	apply(t, c, small("unread"))
	inspector := c.As(t, "unread", account.RoleInspector, "ops")
	f := fill(t, c, "unread")
	f.until(c, "unread", 70)
	awaitAlarm(t, inspector, "backlog", "held back by")
	f.until(c, "unread", 100)
	err := f.one()
	var refusal *jetstream.APIError
	if !errors.As(err, &refusal) || refusal.ErrorCode != 10077 || refusal.Code != 503 {
		t.Fatalf("a full stream answers %v", err)
	}
	full := streamRows(t, c, "unread")[event.StreamEvents]
	if full.First != 1 || full.Messages != full.Last || full.Messages < uint64(f.acked) {
		t.Fatalf("%d were acknowledged, the stream is %+v", f.acked, full)
	}
	if _, ok := hasProblem(ask[api.ClusterStatus](t, c, api.NodeStatus, struct{}{}), "error", "unread", "stream EVENTS is"); !ok {
		t.Error("status does not say that EVENTS is full and no one reads it")
	}

	read := full.Last / 10
	report(t, k, "unread", read)
	testwait.Until(t, "what was read goes", func() error {
		if row := streamRows(t, c, "unread")[event.StreamEvents]; row.First != read+1 || row.Last < full.Last {
			return fmt.Errorf("%+v, read up to %d", row, read)
		}
		return nil
	})
	testwait.Until(t, "there is room again, also where the producer's door looks", f.one)
	last := streamRows(t, c, "unread")[event.StreamEvents].Last
	report(t, k, "unread", last)
	testwait.Until(t, "brought down to 60 %", func() error {
		row := streamRows(t, c, "unread")[event.StreamEvents]
		if row.First > last+1 {
			t.Fatalf("trimmed to %d, read up to %d", row.First, last)
		}
		if row.Bytes*100 > uint64(row.MaxBytes)*62 {
			return fmt.Errorf("%+v", row)
		}
		if row.Bytes*100 < uint64(row.MaxBytes)*50 {
			t.Fatalf("more went than had to: %+v", row)
		}
		return nil
	})
}

// A primary that reported for another incarnation has read nothing of this one.
func TestCursorOfAnotherIncarnationFreesNothing(t *testing.T) {
	t.Parallel()
	c, k := cluster(t), core(t, cluster(t))
	apply(t, c, small("foreign"))
	f := fill(t, c, "foreign")
	err := k.Do(testContext(t), api.CoreCursor, api.CursorReport{Tenant: "foreign", Cursors: []api.Cursor{{Stream: event.StreamEvents, Incarnation: 77, Seq: 1 << 40}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.until(c, "foreign", 90)
	awaitAlarm(t, c.As(t, "foreign", account.RoleInspector, "ops"), "backlog", "primary "+testcluster.Primary)
	if row := streamRows(t, c, "foreign")[event.StreamEvents]; row.First != 1 || row.Floor != 0 {
		t.Errorf("trimmed by a cursor that means nothing here: %+v", row)
	}
}

// A subscription that holds keeps what it has not acknowledged, and is named;
// once it has, there is room.
func TestSubscriptionThatHoldsIsWaitedForAndNamed(t *testing.T) {
	t.Parallel()
	c, k := cluster(t), core(t, cluster(t))
	apply(t, c, small("hold", tenants.Subscription{Application: "billing", Name: "all", Stream: "EVENTS", WhenFull: tenants.WhenFullHold}))
	inspector := c.As(t, "hold", account.RoleInspector, "ops")
	f := fill(t, c, "hold")
	f.until(c, "hold", 85)
	report(t, k, "hold", streamRows(t, c, "hold")[event.StreamEvents].Last)
	awaitAlarm(t, inspector, "backlog", "subscription billing/all")
	if row := streamRows(t, c, "hold")[event.StreamEvents]; row.First != 1 {
		t.Fatalf("trimmed although the subscription holds: %+v", row)
	}
	js, err := jetstream.New(c.As(t, "hold", account.RoleReader, "billing", "all"))
	if err != nil {
		t.Fatal(err)
	}
	drain(t, js, "billing_all", 30)
	testwait.Until(t, "what was acknowledged goes", func() error {
		row := streamRows(t, c, "hold")[event.StreamEvents]
		if row.First > 31 {
			t.Fatalf("trimmed to %d, 30 were acknowledged", row.First)
		}
		if row.First < 2 {
			return fmt.Errorf("%+v", row)
		}
		return nil
	})
}

// drain acknowledges n messages of a durable.
func drain(t *testing.T, js jetstream.JetStream, durable string, n int) {
	t.Helper()
	con, err := js.Consumer(testContext(t), event.StreamEvents, durable)
	if err != nil {
		t.Fatal(err)
	}
	for n > 0 {
		batch, err := con.Fetch(n, jetstream.FetchMaxWait(5*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		for m := range batch.Messages() {
			if err := m.DoubleAck(testContext(t)); err != nil {
				t.Fatal(err)
			}
			n--
		}
	}
}

// A subscription that does not hold is overtaken, and learns what it missed.
func TestSubscriptionThatSkipsIsOvertakenAndLearnsOfIt(t *testing.T) {
	t.Parallel()
	c, k := cluster(t), core(t, cluster(t))
	apply(t, c, small("skip", tenants.Subscription{Application: "billing", Name: "all", Stream: "EVENTS", WhenFull: tenants.WhenFullSkip}))
	inspector := c.As(t, "skip", account.RoleInspector, "ops")
	f := fill(t, c, "skip")
	f.until(c, "skip", 70)
	report(t, k, "skip", streamRows(t, c, "skip")[event.StreamEvents].Last)
	f.until(c, "skip", 82)
	awaitAlarm(t, inspector, "overtaken", "subscription billing/all")
	// It may be overtaken more than once, and an alarm follows its purge: what
	// is reported, together, is everything that went, from the first message on.
	testwait.Until(t, "everything that went is reported", func() error {
		first := streamRows(t, c, "skip")[event.StreamEvents].First
		reported := uint64(0)
		for _, a := range allAlarms(t, inspector) {
			if a.Alarm != "overtaken" {
				continue
			}
			if a.From > reported+1 || a.To <= reported || a.Stream != event.StreamEvents {
				t.Fatalf("reported %+v after up to %d", a, reported)
			}
			reported = a.To
		}
		if reported+1 < first {
			return fmt.Errorf("reported up to %d, the stream begins at %d", reported, first)
		}
		return nil
	})
}

// A stream between two purges is more than half full of what everybody has
// read. That is no reader's backlog, and no reader is blamed for it.
func TestReaderThatIsUpToDateIsNotBlamed(t *testing.T) {
	t.Parallel()
	c, k := cluster(t), core(t, cluster(t))
	apply(t, c, small("diligent"))
	apply(t, c, small("lazy"))
	f := fill(t, c, "diligent")
	for _, percent := range []uint64{20, 40, 55, 65, 75} {
		f.until(c, "diligent", percent)
		report(t, k, "diligent", streamRows(t, c, "diligent")[event.StreamEvents].Last)
	}
	// Every pass of the trimmer looks at all tenants: when it has seen this one,
	// it has seen the other.
	fill(t, c, "lazy").until(c, "lazy", 70)
	awaitAlarm(t, c.As(t, "lazy", account.RoleInspector, "ops"), "backlog", "held back by")
	if got := alarms(t, c.As(t, "diligent", account.RoleInspector, "ops")); len(got) != 0 {
		t.Errorf("a reader that has read everything is blamed: %+v", got)
	}
}

// A device that is no longer declared leaves STATE altogether, once the primary
// has read that it is gone.
func TestRemovedDeviceLeavesStateOnceItsRemovalIsRead(t *testing.T) {
	t.Parallel()
	c, k := cluster(t), core(t, cluster(t))
	spec := testcluster.Tenant("forgotten")
	spec.Sites[0].Devices = append(spec.Sites[0].Devices, tenants.Device{ID: "r2", Address: "127.0.0.2"})
	apply(t, c, spec)
	nc := c.As(t, "forgotten", account.RoleInspector, "ops")
	feed, err := jetstream.New(c.As(t, "forgotten", account.RoleProducer, "feed"))
	if err != nil {
		t.Fatal(err)
	}
	seen := "state._.r2." + string(event.TypeReachability)
	if _, err := feed.Publish(testContext(t), "in.feed.state.r2."+string(event.TypeReachability), []byte(`{"device":"r2","status":"up","method":"ping"}`)); err != nil {
		t.Fatal(err)
	}
	spec.Sites[0].Devices = slices.DeleteFunc(spec.Sites[0].Devices, func(d tenants.Device) bool { return d.ID == "r2" })
	apply(t, c, spec)
	declared := "state.syd.r2." + string(event.TypeDeclared)
	data, seq, ok := lastState(t, nc, declared)
	if !ok || !strings.Contains(string(data), `"removed":true`) {
		t.Fatalf("before anybody has read it, STATE says %s", data)
	}
	k2, _ := toRead(t, k, "forgotten")
	testwait.Until(t, "the device leaves STATE", func() error {
		err := k.Do(testContext(t), api.CoreCursor, api.CursorReport{Tenant: "forgotten", Reading: true,
			Cursors: []api.Cursor{{Stream: event.StreamState, Incarnation: k2.Incarnations[event.StreamState], Seq: seq}}}, nil)
		if err != nil {
			return err
		}
		if _, _, ok := lastState(t, nc, declared); ok {
			return fmt.Errorf("%s is still there", declared)
		}
		return nil
	})
	if _, _, ok := lastState(t, nc, "state.syd.r1."+string(event.TypeDeclared)); !ok {
		t.Error("r1 went with it")
	}
	if _, _, ok := lastState(t, nc, seen); !ok {
		t.Error("what a producer of no site says of its own r2 went with it")
	}
}
