package primary

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testwait"
	"midplane/telemetry"
)

// TestAsksForMissingMessages: while the primary is away, acknowledged events are taken
// out of EVENTS. It reports a critical gap within a minute and asks the poller for just
// these; when they come again it has each once, and nothing is missing any more.
func TestAsksForMissingMessages(t *testing.T) {
	w := newWorld(t)
	acme := w.add("acme")
	changed := func(device event.Entity) {
		acme.put(t, event.KindEvent, device, event.TypeReachabilityChanged, event.Changed{Device: device, From: "up", To: "down", Message: string(device)})
	}
	changed("r1")
	_, stop := run(t, w.config("p1"), telemetry.Nop())
	q := w.query()
	rows := func(entity string) []api.Event {
		return ask[api.Page[api.Event]](t, q, api.EventList, api.EventRequest{Tenant: "acme", Entity: entity}).Items
	}
	testwait.True(t, "the first event", func() bool { return len(rows("r1")) == 1 })
	stop()

	for range 3 {
		changed("r2") // 2 to 4
	}
	changed("r1")
	s, err := acme.js.Stream(t.Context(), event.StreamEvents)
	if err == nil {
		err = s.Purge(t.Context(), jetstream.WithPurgeSubject("event.*.*.r2.>"))
	}
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	run(t, w.config("p1"), telemetry.Nop())
	testwait.True(t, "it is reported", func() bool { return w.found("acme", "gap/syd-01/1/EVENTS/2-4").Severity == event.Critical })
	if took := time.Since(began); took > time.Minute {
		t.Errorf("a gap is reported after %s", took)
	}
	want := api.ResendRequest{Tenant: "acme", Poller: "syd-01", Devices: []event.Entity{}, Messages: []api.MessageRange{{Stream: "EVENTS", Epoch: 1, From: 2, To: 4}}}
	testwait.True(t, "it is asked for", func() bool { return len(w.resends("p1")) > 0 })
	if diff := cmp.Diff(want, w.resends("p1")[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	account := func() api.Account {
		page := ask[api.Page[api.Account]](t, q, api.LedgerList, api.ListRequest{Tenant: "acme", Site: "syd", Name: "syd-01/1/EVENTS"})
		if len(page.Items) != 1 {
			t.Fatalf("%+v", page)
		}
		return page.Items[0]
	}
	has := api.Account{ID: "syd-01/1/EVENTS", Tenant: "acme", Site: "syd", Producer: "syd-01", Epoch: 1, Stream: "EVENTS", Acknowledged: 4, Received: 5, Missing: [][2]uint64{{2, 4}}}
	if diff := cmp.Diff(has, account()); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}

	// The stream forgets the ids, and one comes twice.
	forgotten(t, acme.js)
	testwait.True(t, "nothing is missing", func() bool {
		acme.seqs[event.StreamEvents] = 1
		for range 3 {
			changed("r2") // a duplicate, as long as the id is remembered
		}
		return len(account().Missing) == 0 && account().Duplicates > 0
	})
	if got := rows("r2"); len(got) != 3 {
		t.Errorf("%d events of r2: %+v", len(got), got)
	}
	testwait.True(t, "that it has come is reported", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, f := range w.findings {
			if f.Alarm.Alarm == "gap-filled" && f.Severity == event.Notice {
				return true
			}
		}
		return false
	})
}

// found is what was reported under an id.
func (w *world) found(tenant event.Tenant, id string) api.Finding {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.findings[string(tenant)+" "+id]
}

// forgotten has EVENTS remember ids for a moment only.
func forgotten(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	s, err := js.Stream(context.Background(), event.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.Duplicates = 100 * time.Millisecond
	if _, err := js.UpdateStream(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
}
