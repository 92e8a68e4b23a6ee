package poller

import (
	"path/filepath"
	"strings"
	"testing"

	"midplane/event"
	"midplane/poller/change"
	"midplane/poller/collect"
	"midplane/poller/outbox"
	"midplane/poller/pollertest"
	"midplane/telemetry"
)

// TestEmitAsksTheDoors: the way into the outbox leads past them, and what is left
// out stands in the poller's report.
func TestEmitAsksTheDoors(t *testing.T) {
	dir := t.TempDir()
	p, err := New(Config{User: "syd-01", Dir: dir, CredsFile: filepath.Join(dir, "c"), Servers: []string{"nats://127.0.0.1:1"}}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	out, err := outbox.Open(t.Context(), outbox.Config{Path: filepath.Join(dir, "outbox.db"), Producer: "syd-01", Derive: change.Of}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	p.out.Store(out)
	defer pollertest.Background(t, out.Run)()
	up := collect.State("r1", event.TypeReachability, event.Reachability{Device: "r1", Status: event.StatusUp, Method: "dns"})
	emit := func(waiting int64, problem bool) {
		t.Helper()
		if err := p.emit(t.Context(), up); err != nil {
			t.Fatal(err)
		}
		if r := p.report(); r.Outbox != waiting || strings.Contains(r.Problem, "left out") != problem {
			t.Errorf("%+v", r)
		}
	}
	emit(0, true)
	p.doors.Set(map[event.Type]int{event.TypeReachability: 2})
	emit(2, false) // the state, and the event that the device is up
}
