package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/primary/fold"
	"midplane/primary/store"
)

// What is down and what fails is counted by site and the first of it named; what
// was removed, and another tenant's, is not in it.
func sites(t *testing.T, e Exam) {
	s := e.open(t, store.Options{})
	f := newFeed(t, s)
	if got := ok(s.Sites(ctx))(t); len(got) != 0 {
		t.Fatalf("%+v", got)
	}
	status := func(device, to string) {
		f.state(event.Entity(device), event.TypeReachability, time.Second, event.Reachability{Device: event.Entity(device), Status: to, Method: "ping"})
	}
	check := func(device, name, to string) {
		f.state(event.Entity(device+"/check/"+name), event.TypeCheck, time.Second, event.Check{Device: event.Entity(device), Name: name, Status: to, Collector: "http"})
	}
	for n := range 8 {
		status(fmt.Sprintf("r%d", n), "down")
	}
	status("r7", "up")
	status("r0", "unknown")
	check("r1", "web", "critical")
	check("r1", "dns", "warning")
	check("r1", "ntp", "ok")
	check("r6", "web", "critical")
	f.state("r6", event.TypeDeclared, 2*time.Second, event.Declared{Device: "r6", Removed: true})
	f.put("globex", event.KindState, "g1", event.TypeReachability, time.Second, event.Reachability{Device: "g1", Status: "down", Method: "ping"})

	want := map[string][]api.SiteReport{
		"acme": {{Site: "syd", Down: api.Found{Count: 5, Names: []string{"r1", "r2", "r3", "r4", "r5"}},
			Critical: api.Found{Count: 1, Names: []string{"r1/check/web"}}, Warning: api.Found{Count: 1, Names: []string{"r1/check/dns"}}}},
		"globex": {{Site: "syd", Down: api.Found{Count: 1, Names: []string{"g1"}}, Critical: api.Found{Names: []string{}}, Warning: api.Found{Names: []string{}}}},
	}
	if diff := cmp.Diff(want, ok(s.Sites(ctx))(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for n := range 3 {
		status(fmt.Sprintf("s%d", n), "down")
	}
	if got := ok(s.Sites(ctx))(t)["acme"][0].Down; got.Count != 8 || len(got.Names) != store.NamesShown {
		t.Errorf("%+v", got)
	}
}

// Where reading begins, and what is odd about it, is recorded once, until the
// control plane knows.
func begin(t *testing.T, e Exam) {
	s := e.open(t, store.Options{Source: "primary/p"})
	if _, err := s.Apply(ctx, "acme", Events(0, 100)); err != nil {
		t.Fatal(err)
	}
	if _, found, ok, err := s.Begin(ctx, "acme", event.StreamEvents, fold.Extent{Incarnation: 1, First: 1, Last: 50}); err != nil || ok || len(found) != 1 {
		t.Fatal(found, ok, err)
	}
	for range 2 { // found at every try, recorded once
		if c, _, ok, err := s.Begin(ctx, "acme", event.StreamEvents, fold.Extent{Incarnation: 1, First: 151, Last: 200}); err != nil || !ok || c.Seq != 150 {
			t.Fatal(c, ok, err)
		}
	}
	replica := fold.Replica(event.StreamEvents, 1, fold.Range{From: 160, To: 160}, "n2")
	for range 2 {
		if err := s.Find(ctx, "acme", replica); err != nil {
			t.Fatal(err)
		}
	}
	var ids []string
	for _, p := range ok(s.Unreported(ctx, 10))(t) {
		ids = append(ids, p.ID)
		if p.Alarm.Source != "primary/p" || p.Alarm.Message == "" || p.Alarm.Hint == "" || p.Tenant != "acme" {
			t.Errorf("%+v", p)
		}
		if err := s.Reported(ctx, p.Pos); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"cursor-ahead/EVENTS/1/100", "purged-ahead/EVENTS/1/101-150", "replica/EVENTS/1/160-160"}, ids); diff != "" {
		t.Fatal(diff)
	}
	if left := ok(s.Unreported(ctx, 10))(t); len(left) != 0 {
		t.Fatal(left)
	}
	if alarms := ok(s.Alarms(ctx, 10))(t); len(alarms) != 3 || !strings.HasPrefix(alarms[0].Message, "acme: ") || alarms[0].Alarm != fold.AlarmReplica {
		t.Fatalf("%+v", alarms)
	}
}

// A cursor is kept with the identities of messages that were read, also over a restart.
// When the stream has another history the cursor goes back, and a state of a stock
// client counts although its sequence is lower than that of the one before.
func histories(t *testing.T, e Exam) {
	dir := t.TempDir()
	s := e.Open(t, dir, store.Options{})
	state := func(seq uint64, status string) {
		t.Helper()
		m := fold.Message{Incarnation: 1, Identity: 1000 + seq, Event: event.Event{Kind: event.KindState, Site: "syd", Entity: "r1", Type: event.TypeReachability,
			Producer: "p1", Stream: event.StreamState, StreamSeq: seq, Received: t0.Add(time.Duration(seq) * time.Second),
			Data: []byte(`{"device":"r1","status":"` + status + `","method":"ping"}`)}}
		if _, err := s.Apply(ctx, "acme", []fold.Message{m}); err != nil {
			t.Fatal(err)
		}
	}
	for seq := uint64(1); seq <= 100; seq++ {
		state(seq, "up")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = e.Open(t, dir, store.Options{})
	t.Cleanup(func() { _ = s.Close() })
	c := ok(s.Cursors(ctx, "acme"))(t)[event.StreamState]
	if c.Seq != 100 || c.Identity != 1100 || len(c.Marks) < 5 || len(c.Marks) > 20 || c.Marks[0] != (fold.Mark{Seq: 100, Identity: 1100}) {
		t.Fatalf("%+v", c)
	}
	common := c.Marks[len(c.Marks)/2]
	back, found, yes, err := s.Begin(ctx, "acme", event.StreamState, fold.Extent{Incarnation: 1, First: 1, Last: 60, Parted: &common})
	if err != nil || !yes || back.Seq != common.Seq || back.Histories != 1 || len(found) != 1 || found[0].Alarm.From != common.Seq+1 || found[0].Alarm.To != 100 {
		t.Fatalf("%+v %+v %v %v", back, found, yes, err)
	}
	if c := ok(s.Cursors(ctx, "acme"))(t)[event.StreamState]; c.Seq != common.Seq || c.Identity != common.Identity || c.Histories != 1 || c.Marks[0] != common {
		t.Fatalf("%+v", c)
	}
	state(common.Seq+1, "down")
	if d := ok(s.Device(ctx, api.DeviceRef{Tenant: "acme", Site: "syd", Device: "r1"}))(t); d.Device.Status != "down" {
		t.Errorf("the state of the new history does not count: %+v", d.Device)
	}
}

// A tenant's id used again is another tenant, also for a primary that was away
// while the old one was deleted; a new name alone makes no other tenant.
func tenantAgain(t *testing.T, e Exam) {
	for what, now := range map[string][]store.Tenant{
		"seen deleted":    {{Name: "Acme", Account: "A", Deleted: true}, {Name: "Acme", Account: "B"}},
		"another account": {{Name: "Acme", Account: "B"}},
		"another name":    {{Name: "Acme Corporation", Account: "A"}},
	} {
		s := e.open(t, store.Options{})
		f := newFeed(t, s)
		for _, v := range append([]store.Tenant{{Name: "Acme", Account: "A"}}, now...) {
			if v.Account == "A" && !v.Deleted {
				f.state("r1", event.TypeDeclared, 0, event.Declared{Device: "r1"})
			}
			if err := s.PutTenant(ctx, "acme", v); err != nil {
				t.Fatal(err)
			}
		}
		cursors, devices := len(ok(s.Cursors(ctx, "acme"))(t)), len(ok(s.Devices(ctx, api.ListRequest{}))(t).Items)
		if kept := what == "another name"; (cursors > 0) != kept || (devices > 0) != kept {
			t.Errorf("%s: %d cursors and %d devices are left", what, cursors, devices)
		}
		if got := ok(s.Tenants(ctx))(t)["acme"]; got != now[len(now)-1] {
			t.Errorf("%s: remembered as %+v", what, got)
		}
	}
}

// Events older than the log is kept are removed, and no position is given twice.
func prune(t *testing.T, e Exam) {
	now := t0
	s := e.open(t, store.Options{EventDays: 10, Now: func() time.Time { return now }})
	f := newFeed(t, s)
	for day := range 20 {
		now = t0.Add(time.Duration(day) * 24 * time.Hour)
		f.put("acme", event.KindEvent, event.Entity(fmt.Sprintf("order-%d", day)), "app.order.v1", now.Sub(t0), map[string]string{})
	}
	if n := ok(s.Prune(ctx))(t); n == 0 {
		t.Fatal("nothing was removed")
	}
	left := ok(s.Events(ctx, api.EventRequest{}))(t).Items
	if len(left) != 11 || left[0].Position != 10 {
		t.Fatalf("%d events left, the first is %+v", len(left), left[0])
	}
	now = now.Add(30 * 24 * time.Hour)
	if _, err := s.Prune(ctx); err != nil {
		t.Fatal(err)
	}
	if left := ok(s.Events(ctx, api.EventRequest{}))(t).Items; len(left) != 0 {
		t.Fatalf("%d events left", len(left))
	}
	if r := f.put("acme", event.KindEvent, "order-0", "app.order.v1", now.Sub(t0), map[string]string{}); r.Position != 21 {
		t.Errorf("position %d after 20", r.Position)
	}
}

// What is refused changes nothing.
func refused(t *testing.T, e Exam) {
	s := e.open(t, store.Options{})
	if _, err := s.Apply(ctx, "acme", make([]fold.Message, store.MaxBatch+1)); !fault.Is(err, fault.Invalid) {
		t.Fatalf("too large a batch: %v", err)
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.Apply(over, "acme", Events(0, 10)); !errors.Is(err, context.Canceled) {
		t.Fatalf("after its context: %v", err)
	}
	if c := ok(s.Cursors(ctx, "acme"))(t); len(c) != 0 {
		t.Fatalf("cursors %+v", c)
	}
	if r := ok(s.Apply(ctx, "acme", Events(0, 10)))(t); r.Folded[event.KindEvent] != 10 || r.Cursors[event.StreamEvents].Seq != 10 {
		t.Fatalf("%+v", r)
	}
	if r := ok(s.Apply(ctx, "acme", Events(0, 10)))(t); r.Skipped != 10 || r.Position != 0 {
		t.Fatalf("again: %+v", r)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(ctx, "acme", Events(10, 10)); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("closed: %v", err)
	}
}

// One long run in one process, and the same cut into random batches with the
// store closed and opened in between and batches coming again, leave the same
// database.
func restarts(t *testing.T, e Exam) {
	const n = 1500
	msgs := mixed(n)
	run := func(batches bool) string {
		dir, opts := t.TempDir(), store.Options{Now: func() time.Time { return t0 }}
		s := e.Open(t, dir, opts)
		for at := 0; at < n; {
			from, to := at, min(at+store.MaxBatch, n)
			if batches {
				from, to = max(0, at-rand.Intn(100)), min(at+1+rand.Intn(300), n)
				if rand.Intn(3) == 0 {
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					s = e.Open(t, dir, opts)
				}
			}
			if _, err := s.Apply(ctx, "acme", append([]fold.Message(nil), msgs[from:to]...)); err != nil {
				t.Fatal(err)
			}
			at = to
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return e.Dump(t, dir)
	}
	if diff := cmp.Diff(run(false), run(true)); diff != "" {
		t.Fatal(diff)
	}
}
