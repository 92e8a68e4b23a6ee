package control_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/bus"
	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/platform/control"
	"midplane/tenants/account"
)

// edge publishes as a poller's outbox does: with its ids, and what it is done with.
type edge struct {
	t     *testing.T
	js    jetstream.JetStream
	acked uint64
}

func (e *edge) one() error {
	e.t.Helper()
	id := event.MessageID{Producer: "syd-01", Epoch: 7, Stream: event.StreamEvents, Sequence: e.acked + 1}.String()
	_, err := testcluster.Publish(testContext(e.t), e.js, bus.Message("syd-01", &event.Event{Kind: event.KindEvent, Severity: event.Info, Entity: "r1", Type: noteType,
		ID: id, MsgID: id, Epoch: 7, Sequence: e.acked + 1, Low: e.acked, Time: time.Now(), Data: fmt.Appendf(nil, `{"text":%q}`, strings.Repeat("x", 40_000))}))
	if err == nil {
		e.acked++
	}
	return err
}

// TestFullStreamGoesOnWhenItsReaderIsBack: EVENTS is filled within its duplicate window
// while the primary is away. The alarm about it is stored all the same, and the status
// names who is away. When the primary is back, what the poller is done with goes at
// once; what other producers have sent stays until the window ends, and the status says
// until when.
func TestFullStreamGoesOnWhenItsReaderIsBack(t *testing.T) {
	t.Parallel()
	c := testcluster.Start(t, testcluster.Options{NoSync: true, Pace: control.Pace{Check: time.Second, Trim: 100 * time.Millisecond, Age: 300 * time.Millisecond,
		Settled: 3 * time.Second, PrimarySilent: 2 * time.Second, Overlap: time.Second}}) // and the windows are those of every day
	k := core(t, c)
	apply(t, c, small("edge"))
	apply(t, c, small("stock"))
	p := join(t, c, "edge", account.RolePoller, "syd-01")
	js, err := jetstream.New(p.nc)
	if err != nil {
		t.Fatal(err)
	}
	report(t, k, "edge", 0)
	report(t, k, "stock", 0)
	e, f := &edge{t: t, js: js}, fill(t, c, "stock")
	for errCode(err) != 10077 {
		if err = e.one(); err != nil && errCode(err) != 10077 {
			t.Fatal(err)
		}
	}
	f.until(c, "stock", 100)
	askChannel(t, p, api.ChannelStatus, api.PollerReport{Version: "test", Epoch: 7, Outgoing: []api.Outgoing{{Stream: event.StreamEvents, Low: e.acked}}}, nil)

	says := func(tenant, part string) {
		t.Helper()
		testwait.Until(t, "the status of "+tenant, func() error {
			got, ok := hasProblem(ask[api.ClusterStatus](t, c, api.NodeStatus, struct{}{}), "error", tenant, "stream EVENTS is")
			if !ok || !strings.Contains(got.Message, part) {
				return fmt.Errorf("%+v", got)
			}
			return nil
		})
	}
	says("edge", "primary "+testcluster.Primary+" is away since ")
	inspector := c.As(t, "edge", account.RoleInspector, "ops")
	awaitAlarm(t, inspector, "backlog", "held back by primary")
	finding := api.Finding{Tenant: "edge", ID: "gap/syd-01/7/EVENTS/1-1", Severity: event.Critical, Alarm: event.Alarm{Alarm: "gap", Message: "while it is full"}}
	if err := k.Do(testContext(t), api.CoreFinding, finding, nil); err != nil {
		t.Errorf("an alarm is not stored while EVENTS is full: %v", err)
	}
	awaitAlarm(t, inspector, "gap", "while it is full")
	stillFull(t, e.one)

	began := time.Now()
	for _, tenant := range []string{"edge", "stock"} {
		report(t, k, tenant, streamRows(t, c, tenant)[event.StreamEvents].Last)
	}
	testwait.Until(t, "the poller goes on", e.one)
	took := time.Since(began)
	if took > time.Minute { // the window is ten
		t.Errorf("after %s", took)
	}
	t.Logf("the poller goes on after %s", took.Round(time.Millisecond))
	says("stock", "the duplicate window holds it until ")
	if row := streamRows(t, c, "stock")[event.StreamEvents]; row.First != 1 {
		t.Errorf("a stock client's messages went inside the window: %+v", row)
	}
	stillFull(t, f.one)
}

// stillFull checks that a stream refuses. A door that refused at first may have counted
// what was on its way then, so a few messages may still fit.
func stillFull(t *testing.T, one func() error) {
	t.Helper()
	for range 5 {
		if errCode(one()) == 10077 {
			return
		}
	}
	t.Error("the stream is not full any more")
}
