package primary

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/primary/fold"
	"midplane/primary/store"
	"midplane/telemetry"
)

// Whatever is odd about a stream is an alarm that reaches the control plane,
// the alarms table and the status, and reading goes on where it can.
func TestOddStreams(t *testing.T) {
	for _, tc := range []struct {
		name    string
		spoil   func(t *testing.T, w *world, acme *worldTenant)
		finding string
		problem string // reading stops
	}{
		{"purged above the reader", func(t *testing.T, w *world, acme *worldTenant) {
			purge(t, acme, 8)
		}, "purged-ahead/EVENTS/1/6-7", ""},
		{"a sequence is missing", func(t *testing.T, w *world, acme *worldTenant) {
			s := ok(acme.js.Stream(context.Background(), event.StreamEvents))(t)
			if err := s.DeleteMsg(context.Background(), 7); err != nil {
				t.Fatal(err)
			}
		}, "hole/EVENTS/1/7-7", ""},
		{"restored behind our back", func(t *testing.T, w *world, acme *worldTenant) {
			remake(t, w, acme, 2)
		}, "cursor-ahead/EVENTS/1/5", "is not read on until it passes 5"},
		{"restored properly", func(t *testing.T, w *world, acme *worldTenant) {
			remake(t, w, acme, 2)
			acme.core.Incarnations = map[string]uint64{"EVENTS": 2, "STATE": 1, "METRICS": 1, "DEAD": 1}
		}, "renewed/EVENTS/2", ""},
		{"everything trimmed", func(t *testing.T, w *world, acme *worldTenant) {
			purge(t, acme, 11)
		}, "purged-ahead/EVENTS/1/6-10", ""},
		{"a message nobody can read", func(t *testing.T, w *world, acme *worldTenant) {
			acme.put(t, event.KindEvent, "r1", "app.thing.v1", 1, event.HeaderSequence, "many")
		}, "unreadable/EVENTS/1/11", ""},
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
			eventually(t, "five events", func() bool { return cursor() == 5 })
			stop()
			for range 5 {
				acme.put(t, event.KindEvent, "r1", "app.thing.v1", map[string]int{})
			}
			tc.spoil(t, w, acme)
			run(t, cfg, telemetry.Nop())
			eventually(t, "the control plane is told "+tc.finding, func() bool { return w.finding("acme " + tc.finding) })
			st := ask[api.PrimaryReport](t, q, api.PrimaryStatus, struct{}{})
			if len(st.Alarms) == 0 || st.Alarms[len(st.Alarms)-1].Source != "primary/p1" || st.Alarms[0].Hint == "" {
				t.Fatalf("alarms %+v", st.Alarms)
			}
			if tc.problem != "" {
				eventually(t, "the status says what to do", func() bool {
					st := ask[api.PrimaryReport](t, q, api.PrimaryStatus, struct{}{}).Tenants[0]
					return !st.Reading && strings.Contains(st.Problem, tc.problem) && strings.Contains(st.Problem, "move its database away")
				})
				if c := cursor(); c != 5 {
					t.Fatalf("cursor went to %d", c)
				}
			}
			// It goes on by itself: at once, or when the stream passes the cursor.
			info := ok(ok(acme.js.Stream(context.Background(), event.StreamEvents))(t).Info(context.Background()))(t)
			last := info.State.LastSeq
			for more := true; more; more = last < 6 {
				last = acme.put(t, event.KindEvent, "r1", "app.thing.v1", map[string]int{})
			}
			eventually(t, fmt.Sprintf("it reads on to %d", last), func() bool { return cursor() == last })
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

// A stream made anew while it is being read is read from its start.
func TestRenewedWhileReading(t *testing.T) {
	w := newWorld(t)
	acme := w.add("acme")
	run(t, w.config("p1"), telemetry.Nop())
	q := w.query()
	for range 5 {
		acme.put(t, event.KindEvent, "r1", "app.thing.v1", map[string]int{})
	}
	eventually(t, "five events", func() bool { return len(events(t, q, api.EventRequest{})) == 5 })
	remake(t, w, acme, 3)
	w.change(func() { acme.core.Incarnations = map[string]uint64{"EVENTS": 2, "STATE": 1, "METRICS": 1, "DEAD": 1} })
	eventually(t, "eight events", func() bool { return len(events(t, q, api.EventRequest{})) == 8 })
	if !w.finding("acme renewed/EVENTS/2") {
		eventually(t, "told", func() bool { return w.finding("acme renewed/EVENTS/2") })
	}
}

// What the replica we read from lacks is fetched from the leader.
func TestFill(t *testing.T) {
	w := newWorld(t)
	acme := w.add("acme")
	for range 6 {
		acme.put(t, event.KindEvent, "r1", "app.thing.v1", map[string]int{})
	}
	s := ok(acme.js.Stream(context.Background(), event.StreamEvents))(t)
	if err := s.DeleteMsg(context.Background(), 4); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	p := ok(New(w.config("p1"), telemetry.Nop()))(t)
	p.store = ok(store.Open(ctx, store.Config{Dir: p.cfg.Dir}))(t)
	defer p.store.Close()
	b := batch{r: newReader(newTenant(p, acme.core), event.StreamEvents), nc: acme.js.Conn(), incarnation: 1}
	cons := ok(acme.js.OrderedConsumer(ctx, event.StreamEvents, jetstream.OrderedConsumerConfig{}))(t)
	it := ok(cons.Messages())(t)
	defer it.Stop()
	for range 5 {
		m := ok(it.Next())(t)
		if meta := ok(m.Metadata())(t); meta.Sequence.Stream == 2 || meta.Sequence.Stream == 3 || meta.Sequence.Stream == 5 {
			continue // as if a replica had lost them
		}
		if err := b.add(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.commit(ctx); err != nil {
		t.Fatal(err)
	}
	page := ok(p.store.Events(ctx, api.EventRequest{}))(t)
	var seqs []uint64
	for _, e := range page.Items {
		seqs = append(seqs, e.Seq)
	}
	if diff := cmp.Diff([]uint64{1, 2, 3, 5, 6}, seqs); diff != "" {
		t.Fatal(diff)
	}
	var ids []string
	for _, f := range ok(p.store.Untold(ctx, 10))(t) {
		ids = append(ids, f.ID)
	}
	if diff := cmp.Diff([]string{"replica/EVENTS/1/2-2", "replica/EVENTS/1/3-3", "replica/EVENTS/1/5-5", "hole/EVENTS/1/4-4", "gap/syd-01/1/EVENTS/4-4"}, ids); diff != "" {
		t.Fatal(diff)
	}
}

// The start checks use nothing but what the role may ask, on every shape of stream.
func TestExtent(t *testing.T) {
	w := newWorld(t)
	acme := w.add("acme")
	is := func(want fold.Extent) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if got := ok(extent(ctx, acme.js.Conn(), acme.js, event.StreamEvents, 1))(t); got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	}
	is(fold.Extent{Incarnation: 1, First: 1, Last: 0})
	for range 5 {
		acme.put(t, event.KindEvent, "r1", "app.thing.v1", map[string]int{})
	}
	is(fold.Extent{Incarnation: 1, First: 1, Last: 5})
	purge(t, acme, 3)
	is(fold.Extent{Incarnation: 1, First: 3, Last: 5})
	purge(t, acme, 6)
	is(fold.Extent{Incarnation: 1, First: 6, Last: 5})
	if _, err := extent(context.Background(), acme.js.Conn(), acme.js, "NONE", 1); err == nil {
		t.Fatal("a stream that is not there has an extent")
	}
}

// What is stored while the extent of an empty stream is asked for is not taken
// for purged.
func TestExtentWhileWriting(t *testing.T) {
	w := newWorld(t)
	acme := w.add("acme")
	ctx := context.Background()
	for round := range 60 {
		before := uint64(round)
		stored := make(chan struct{})
		go func() {
			defer close(stored)
			time.Sleep(time.Duration(round%12) * 100 * time.Microsecond) // any moment of the asking
			acme.put(t, event.KindEvent, "r1", "app.thing.v1", map[string]int{})
		}()
		got, err := extent(ctx, acme.js.Conn(), acme.js, event.StreamEvents, 1)
		<-stored
		if err != nil || got.First != before+1 {
			t.Fatalf("round %d: %+v, %v", round, got, err)
		}
		purge(t, acme, before+2)
	}
}
