package schedule

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"midplane/event"
	"midplane/poller/collect"
	"midplane/telemetry"
)

// stuckCollector ignores its context on device r0 until it is let go.
type stuckCollector struct {
	letGo chan struct{}

	mu   sync.Mutex
	runs int
	emit []error // what emitting gave it, afterwards
}

func (d *stuckCollector) Collect(ctx context.Context, t collect.Target, emit collect.Emit) error {
	d.mu.Lock()
	d.runs++
	d.mu.Unlock()
	if t.Device != "r0" {
		return nil
	}
	<-d.letGo
	err := emit(context.WithoutCancel(ctx), collect.State(t.Entity(), event.TypeCheck, event.Check{Status: event.CheckOK}))
	d.mu.Lock()
	d.emit = append(d.emit, err)
	d.mu.Unlock()
	return err
}

// emitted returns what emitting gave it.
func (d *stuckCollector) emitted() []error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.emit)
}

// TestARunThatDoesNotEnd: the watchdog says which check overran; the check is
// unknown, never ok; it is not run beside itself; the others go on; and when it
// ends, what it says late is not taken, and the check runs again.
func TestARunThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, b := &stuckCollector{letGo: make(chan struct{})}, &box{}
		s, stop := begin(telemetry.Nop(), c, b)
		s.Apply(fleet(3, time.Minute, 5*time.Second))
		time.Sleep(5 * time.Minute)
		text := s.Problem(time.Now())
		if !strings.Contains(text, "check r0/check/a overran: collector fake") {
			t.Errorf("the problem is %q", text)
		}
		results := map[event.Entity][]event.Check{}
		b.mu.Lock()
		for _, e := range b.got {
			results[e.Entity] = append(results[e.Entity], say(t, e))
		}
		b.mu.Unlock()
		for _, r := range results["r0/check/a"] {
			if r.Status != event.CheckUnknown || !strings.Contains(r.Message, "overran") {
				t.Errorf("the check that hangs is %q: %s", r.Status, r.Message)
			}
		}
		if n := len(results["r0/check/a"]); n < 4 || len(results["r1/check/a"]) < 5 {
			t.Errorf("%d results of the check that hangs, %d of another", n, len(results["r1/check/a"]))
		}
		close(c.letGo)
		time.Sleep(2 * time.Minute)
		if text := s.Problem(time.Now()); text != "" {
			t.Errorf("it has ended, and the problem is %q", text)
		}
		stop()
		if c.emitted()[0] == nil {
			t.Error("what it emitted after its run was over was taken")
		}
		if last := say(t, b.got[len(b.got)-1]); last.Status != event.CheckOK {
			t.Errorf("afterwards: %+v", last)
		}
	})
}

// TestACheckThatLooksElsewhereIsNotStuck: what hangs is the run, not the check.
func TestACheckThatLooksElsewhereIsNotStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, b := &stuckCollector{letGo: make(chan struct{})}, &box{}
		s, stop := begin(telemetry.Nop(), c, b)
		cfg := fleet(1, time.Minute, 5*time.Second)
		s.Apply(cfg)
		time.Sleep(time.Minute)
		cfg = fleet(1, time.Minute, 5*time.Second)
		cfg.Devices[0].Checks[0].Params = map[string]string{"port": "23"}
		s.Apply(cfg)
		time.Sleep(time.Second)
		c.mu.Lock()
		runs := c.runs
		c.mu.Unlock()
		if runs != 2 {
			t.Errorf("%d runs, want one more for the changed target", runs)
		}
		// Gone and back, it is still what hangs.
		s.Apply(fleet(0, time.Minute, 5*time.Second))
		s.Apply(cfg)
		time.Sleep(2 * time.Minute)
		c.mu.Lock()
		runs = c.runs
		c.mu.Unlock()
		if runs != 3 {
			t.Errorf("%d runs: the third was cancelled with its check, and the check came back while it hung", runs)
		}
		close(c.letGo)
		time.Sleep(time.Second)
		stop()
		for i, err := range c.emitted() {
			if err == nil {
				t.Errorf("what run %d emitted after it was over was taken", i)
			}
		}
	})
}
