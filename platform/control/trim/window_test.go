package trim

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/internal/once"
	"midplane/internal/testregistry"
	"midplane/internal/testwait"
	"midplane/platform/registry"
	"midplane/streams"
	"midplane/telemetry"
	"midplane/tenants"
	"midplane/tenants/account"
)

type silent struct{}

func (silent) RaiseOnce(context.Context, *registry.Tenant, string, event.Severity, event.Alarm) {}
func (silent) RaiseHourly(context.Context, *once.Every, *registry.Tenant, string, event.Severity, event.Alarm) {
}

// window is a full EVENTS, all of which was read, and all of which is inside the
// duplicate window.
type window struct {
	*testing.T
	reg  *testregistry.Node
	js   jetstream.JetStream
	acme *registry.Tenant
	trim *Trimmer
	last uint64
}

func newWindow(t *testing.T) *window {
	w := &window{T: t, reg: testregistry.Open(t)}
	var err error
	if w.js, err = jetstream.New(testregistry.Connect(w.reg)); err != nil {
		t.Fatal(err)
	}
	w.acme = &registry.Tenant{ID: "acme", Spec: &tenants.Spec{ID: "acme"}, Users: map[string]registry.User{
		"syd-01": {Name: "syd-01", Role: account.RolePoller}, "feed": {Name: "feed", Role: account.RoleProducer}}}
	w.acme.Spec.Quota.Storage = tenants.MinStorage
	w.acme.Account.Incarnations = map[string]uint64{event.StreamEvents: 1}
	if _, err := w.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: event.StreamEvents, Subjects: []string{"events"}, Duplicates: streams.DuplicateWindow}); err != nil {
		t.Fatal(err)
	}
	w.inUse(2)
	w.trim = New(Config{Registry: w.reg.Registry, Alarms: silent{}, Log: telemetry.Nop().Log, Settled: 100 * time.Millisecond})
	return w
}

// inUse stores what the last upgrade was ended with.
func (w *window) inUse(space int) {
	w.Helper()
	formats := api.CurrentFormats()
	formats[api.FormatSpace] = space
	level, err := json.Marshal(map[string]any{"formats": formats})
	if err != nil {
		w.Fatal(err)
	}
	testregistry.PutRaw(w.reg, registry.BucketRegistry, "upgrade._", level)
}

// fill stores so many percent of the share more, under ids that id makes.
func (w *window) fill(percent int, id func(n int) string) {
	w.Helper()
	share := int(w.acme.Spec.Limits().Share(event.KindEvent))
	data := []byte(strings.Repeat("x", share/200))
	for n := range 2 * percent {
		ack, err := w.js.Publish(w.Context(), "events", data, jetstream.WithMsgID(id(n+1)))
		if err != nil {
			w.Fatal(err)
		}
		w.last = ack.Sequence
	}
	w.reg.Say(registry.PrimaryKey("core-1"), time.Now())
	w.reg.Say(registry.CursorKey("acme", "core-1"), registry.CursorStatus{Reading: true, Cursors: []api.Cursor{{Stream: event.StreamEvents, Incarnation: 1, Seq: w.last}}})
}

// report is what syd-01 says of its epoch 7.
func (w *window) report(low uint64) {
	w.Helper()
	w.reg.Say(registry.PollerKey("acme", "syd-01"), registry.PollerStatus{PollerReport: api.PollerReport{Epoch: 7, Outgoing: []api.Outgoing{{Stream: event.StreamEvents, Low: low}}}})
}

// look has the trimmer look once, and returns where the stream begins then.
func (w *window) look() uint64 {
	w.Helper()
	if err := w.trim.stream(w.Context(), w.acme, w.js, event.KindEvent, false); err != nil {
		w.Fatal(err)
	}
	s, err := w.js.Stream(w.Context(), event.StreamEvents)
	if err != nil {
		w.Fatal(err)
	}
	return s.CachedInfo().State.FirstSeq
}

func (w *window) held() (registry.Held, bool) {
	h, _, ok := registry.Get[registry.Held](w.reg.Registry, registry.HeldKey("acme", event.StreamEvents))
	return h, ok
}

func poller(n int) string { return fmt.Sprintf("syd-01/7/EVENTS/%d", n) }

// What a poller has been done with goes from a full stream although it is inside the
// duplicate window, up to what it is not done with, or what another producer sent; and
// nothing goes while a node of an earlier version may run.
func TestWhatAPollerIsDoneWithGoes(t *testing.T) {
	w := newWindow(t)
	w.fill(90, poller) // 180 messages
	if first := w.look(); first != 1 {
		t.Fatalf("trimmed to %d although no poller has said anything", first)
	}
	until := time.Now().Add(streams.DuplicateWindow)
	testwait.Until(t, "the registry says until when it is held", func() error {
		if h, ok := w.held(); !ok || h.Until.Before(until.Add(-time.Minute)) || h.Until.After(until.Add(2*time.Minute)) {
			return fmt.Errorf("%v, %v", h, ok)
		}
		return nil
	})
	w.inUse(1)
	w.report(20)
	for range 10 {
		if first := w.look(); first != 1 {
			t.Fatalf("trimmed to %d while an earlier version may run", first)
		}
		time.Sleep(20 * time.Millisecond) // longer in all than a poller must have been done
	}
	w.inUse(2)
	testwait.True(t, "what it is done with goes", func() bool { return w.look() == 21 })
	for range 10 {
		if first := w.look(); first != 21 {
			t.Fatalf("trimmed to %d, the poller is done with 20", first)
		}
	}
	w.report(170)
	testwait.True(t, "the stream is brought down", func() bool { return w.look() > 21 })
	if first := w.look(); first > 171 || first < 50 {
		t.Errorf("trimmed to %d of %d", first, w.last)
	}
	testwait.True(t, "nothing holds it", func() bool { w.look(); _, ok := w.held(); return !ok })
}

func TestWhatOthersSentIsKeptForTheWindow(t *testing.T) {
	w := newWindow(t)
	w.fill(10, poller)
	w.fill(80, func(n int) string { return fmt.Sprintf("feed/7/EVENTS/%d", n) }) // an application's ids may look like that
	w.report(1000)
	w.look()
	testwait.True(t, "what the poller is done with goes", func() bool { return w.look() == 21 })
	for range 20 {
		if first := w.look(); first != 21 {
			t.Fatalf("trimmed to %d", first)
		}
	}
	testwait.True(t, "it is held", func() bool { w.look(); _, ok := w.held(); return ok })
}
