package primary

import (
	"context"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testwait"
	"midplane/telemetry"
)

// Each oddity of a stream raises an alarm that reaches the control plane,
// the alarms table and the status, and reading goes on where it can.
func TestOddStreams(t *testing.T) {
	for _, tc := range []struct {
		name    string
		spoil   func(t *testing.T, w *world, acme *worldTenant)
		finding string // or what it begins with
	}{
		{"purged above the reader", func(t *testing.T, w *world, acme *worldTenant) {
			purge(t, acme, 8)
		}, "purged-ahead/EVENTS/1/6-7"},
		{"a sequence is missing", func(t *testing.T, w *world, acme *worldTenant) {
			s := ok(acme.js.Stream(context.Background(), event.StreamEvents))(t)
			if err := s.DeleteMsg(context.Background(), 7); err != nil {
				t.Fatal(err)
			}
		}, "hole/EVENTS/1/7-7"},
		{"restored behind our back", func(t *testing.T, w *world, acme *worldTenant) {
			remake(t, w, acme, 2)
		}, "history/EVENTS/1/1-5/"},
		{"restored properly", func(t *testing.T, w *world, acme *worldTenant) {
			remake(t, w, acme, 2)
			acme.core.Incarnations = map[string]uint64{"EVENTS": 2, "STATE": 1, "METRICS": 1, "DEAD": 1}
		}, "renewed/EVENTS/2"},
		{"everything trimmed", func(t *testing.T, w *world, acme *worldTenant) {
			purge(t, acme, 11)
		}, "purged-ahead/EVENTS/1/6-10"},
		{"a message that cannot be read", func(t *testing.T, w *world, acme *worldTenant) {
			acme.put(t, event.KindEvent, "r1", "app.thing.v1", 1, event.HeaderSequence, "many")
		}, "unreadable/EVENTS/1/11"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			acme := w.add("acme")
			cfg := w.config("p1")
			q := w.query()
			cursor := func() uint64 {
				st := ask[api.PrimaryReport](t, q, api.PrimaryStatus, struct{}{})
				if len(st.Tenants) == 0 {
					return 0
				}
				return st.Tenants[0].Streams[0].Cursor
			}
			_, stop := run(t, cfg, telemetry.Nop())
			for range 5 {
				acme.put(t, event.KindEvent, "r1", "app.thing.v1", map[string]int{})
			}
			testwait.True(t, "five events", func() bool { return cursor() == 5 })
			stop()
			for range 5 {
				acme.put(t, event.KindEvent, "r1", "app.thing.v1", map[string]int{})
			}
			tc.spoil(t, w, acme)
			run(t, cfg, telemetry.Nop())
			testwait.True(t, tc.finding+" is reported", func() bool { return w.finding("acme " + tc.finding) })
			st := ask[api.PrimaryReport](t, q, api.PrimaryStatus, struct{}{})
			if len(st.Alarms) == 0 || st.Alarms[len(st.Alarms)-1].Source != "primary/p1" || st.Alarms[0].Hint == "" {
				t.Fatalf("alarms %+v", st.Alarms)
			}
			// It goes on by itself.
			info := ok(ok(acme.js.Stream(context.Background(), event.StreamEvents))(t).Info(context.Background()))(t)
			last := info.State.LastSeq
			for more := true; more; more = last < 6 {
				last = acme.put(t, event.KindEvent, "r1", "app.thing.v1", map[string]int{})
			}
			testwait.True(t, fmt.Sprintf("it reads on to %d", last), func() bool { return cursor() == last })
		})
	}
}

func purge(t *testing.T, acme *worldTenant, to uint64) {
	t.Helper()
	s := ok(acme.js.Stream(context.Background(), event.StreamEvents))(t)
	if err := s.Purge(context.Background(), jetstream.WithPurgeSequence(to)); err != nil {
		t.Fatal(err)
	}
}

// remake makes EVENTS again with n messages.
func remake(t *testing.T, w *world, acme *worldTenant, n int) {
	t.Helper()
	if err := acme.js.DeleteStream(context.Background(), event.StreamEvents); err != nil {
		t.Fatal(err)
	}
	w.makeStream(acme, event.StreamEvents, 1)
	for range n {
		acme.put(t, event.KindEvent, "r1", "app.thing.v1", map[string]int{})
	}
}

// A stream made again while it is being read is read from its start.
func TestRenewedWhileReading(t *testing.T) {
	w := newWorld(t)
	acme := w.add("acme")
	run(t, w.config("p1"), telemetry.Nop())
	q := w.query()
	for range 5 {
		acme.put(t, event.KindEvent, "r1", "app.thing.v1", map[string]int{})
	}
	testwait.True(t, "five events", func() bool { return len(events(t, q, api.EventRequest{})) == 5 })
	remake(t, w, acme, 3)
	w.change(func() { acme.core.Incarnations = map[string]uint64{"EVENTS": 2, "STATE": 1, "METRICS": 1, "DEAD": 1} })
	testwait.True(t, "eight events", func() bool { return len(events(t, q, api.EventRequest{})) == 8 })
	if !w.finding("acme renewed/EVENTS/2") {
		testwait.True(t, "it is reported", func() bool { return w.finding("acme renewed/EVENTS/2") })
	}
}
