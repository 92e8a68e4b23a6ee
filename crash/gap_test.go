package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/bus"
	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/internal/testwait"
	"midplane/platform/deployment"
	"midplane/poller"
	"midplane/poller/collect"
	"midplane/primary"
	"midplane/streams"
	"midplane/telemetry"
	"midplane/tenants"
	"midplane/tenants/account"
)

// flip says of a device that it is up and down by turns.
type flip struct {
	mu   sync.Mutex
	runs map[event.Entity]int
}

func (f *flip) Collect(ctx context.Context, target collect.Target, emit collect.Emit) error {
	f.mu.Lock()
	f.runs[target.Device]++
	status := []string{event.StatusUp, event.StatusDown}[f.runs[target.Device]%2]
	f.mu.Unlock()
	data, err := json.Marshal(event.Reachability{Device: target.Device, Status: status, Method: "ping"})
	if err != nil {
		return err
	}
	return emit(ctx, event.Event{Kind: event.KindState, Entity: target.Device, Type: event.TypeReachability, Data: data})
}

// TestGapIsFilledAgain: while the primary is away, events of one device are taken out
// of EVENTS behind the system's back. The primary finds that they are missing, which is
// a critical event within a minute; the poller sends them once more, and in the end the
// primary has each event exactly once, and nothing is missing.
func TestGapIsFilledAgain(t *testing.T) {
	spec, err := tenants.ParseJSON([]byte(`{"apiVersion":"midplane/v1","kind":"Tenant","id":"acme","name":"Acme","quota":{"storage":"1GiB"},
		"sites":[{"id":"syd","name":"Sydney","pollers":[{"id":"syd-01"}],"devices":[` +
		strings.Join(each(func(n int) string {
			return fmt.Sprintf(`{"id":"r%d","address":"127.0.0.1","checks":[{"name":"ping","collector":"ping","interval":"1s","timeout":"1s"}]}`, n)
		}), ",") + `]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	c := testcluster.Start(t, testcluster.Options{NoSync: true, Tenants: []*tenants.Spec{spec}})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	creds, err := c.User(ctx, "acme", account.RolePoller, "syd-01")
	if err != nil {
		t.Fatal(err)
	}
	_, nc, secret := testcluster.Straight(ctx, t, c, "acme")
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	query := api.NewQuery(c.Conn, testcluster.Admin)
	dir := t.TempDir()
	startPrimary := func() (stop func()) {
		p, err := primary.New(primary.Config{Name: testcluster.Primary, Dir: filepath.Join(dir, "primary"), Servers: c.Servers(),
			CoreCreds:  deployment.PrimaryCreds(c.Deployment(), account.RoleCore),
			QueryCreds: deployment.PrimaryCreds(c.Deployment(), account.RoleQuery)}, telemetry.Nop())
		if err != nil {
			t.Fatal(err)
		}
		return background(t, p.Run)
	}
	p, err := poller.New(poller.Config{User: "syd-01", Dir: filepath.Join(dir, "poller"), CredsFile: creds, Servers: c.Servers(),
		Collectors: map[string]collect.Collector{"ping": &flip{runs: map[event.Entity]int{}}}}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	background(t, p.Run)

	// events are those of a kind that the primary has, by id.
	events := func(req api.EventRequest) (map[string]int, []api.Event) {
		rows := []api.Event{}
		req.Tenant, req.Limit = "acme", 1000
		for {
			var page api.Page[api.Event]
			if err := query.Do(ctx, api.EventList, req, &page); err != nil {
				return nil, nil // until a primary answers
			}
			if rows = append(rows, page.Items...); page.Next == "" {
				break
			}
			req.After = page.Next
		}
		ids := map[string]int{}
		for _, r := range rows {
			ids[r.ID]++
		}
		return ids, rows
	}
	ofR2 := api.EventRequest{Type: string(event.TypeReachabilityChanged), Entity: "r2"}
	stop := startPrimary()
	testwait.True(t, "the primary has events of r2", func() bool { ids, _ := events(ofR2); return len(ids) >= 2 })
	before, _ := events(ofR2)
	stop()

	// What is stored while it is away, and then is not.
	const taken = "event.*.*.r2.>"
	stored := map[string]bool{}
	testwait.True(t, "three more of r2 are stored", func() bool {
		clear(stored)
		for _, e := range readSubject(ctx, t, js, taken) {
			if before[e.ID] == 0 {
				stored[e.ID] = true
			}
		}
		return len(stored) >= 3
	})
	s, err := secret.Stream(ctx, event.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSubject(taken)); err != nil {
		t.Fatal(err)
	}
	purged := time.Now()
	stop = startPrimary()
	alarms := func(word string) (out []api.Event) {
		_, rows := events(api.EventRequest{Type: string(event.TypeAlarm)})
		for _, r := range rows {
			var a event.Alarm
			if json.Unmarshal(r.Data, &a) == nil && a.Alarm == word {
				out = append(out, r)
			}
		}
		return out
	}
	var gap []api.Event
	testwait.True(t, "the gap is an event", func() bool { gap = alarms("gap"); return len(gap) > 0 })
	t.Logf("the gap is an event after %.1f s; within 60 is aimed at", time.Since(purged).Seconds())
	if gap[0].Severity != event.Critical {
		t.Errorf("severity %s: %s", gap[0].Severity, gap[0].Message)
	}

	// The stream remembers the ids for ten minutes; here for a moment.
	forget := func() {
		info, err := s.Info(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if cfg := info.Config; cfg.Duplicates > time.Second {
			cfg.Duplicates = 100 * time.Millisecond
			if _, err := secret.UpdateStream(ctx, cfg); err != nil {
				t.Fatal(err)
			}
		}
	}
	testwait.True(t, "all that was taken out is with the primary again", func() bool {
		forget()
		now, _ := events(ofR2)
		for id := range stored {
			if now[id] == 0 {
				return false
			}
		}
		return true
	})
	testwait.True(t, "nothing is missing any more", func() bool {
		var page api.Page[api.Account]
		if err := query.Do(ctx, api.LedgerList, api.ListRequest{Tenant: "acme", Site: "syd"}, &page); err != nil {
			return false
		}
		for _, a := range page.Items {
			if a.Stream == event.StreamEvents && a.Producer == "syd-01" && len(a.Missing) == 0 && a.Acknowledged > 0 && a.Received > 0 {
				return len(alarms("gap-filled")) > 0
			}
		}
		return false
	})
	now, _ := events(ofR2)
	for id, n := range now {
		if n != 1 {
			t.Errorf("%s is there %d times", id, n)
		}
	}
	for id := range before {
		if now[id] != 1 {
			t.Errorf("%s was there, and is %d times now", id, now[id])
		}
	}
	if lost := alarms("lost"); len(lost) > 0 {
		t.Errorf("called lost: %+v", lost)
	}
	stop()
}

func each(f func(n int) string) (out []string) {
	for n := range 4 {
		out = append(out, f(n))
	}
	return out
}

// background runs something until stop, or the end of the test.
func background(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// readSubject reads what EVENTS has under a subject.
func readSubject(ctx context.Context, t *testing.T, js jetstream.JetStream, subj string) (out []event.Event) {
	t.Helper()
	err := streams.ReadAll(ctx, js, streams.ReadConfig{Stream: event.StreamEvents, Filters: []string{subj}}, func(m jetstream.Msg, _ *jetstream.MsgMetadata) error {
		e, err := bus.Parse(m.Subject(), m.Headers(), m.Data())
		out = append(out, e)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
