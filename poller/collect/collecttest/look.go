package collecttest

import (
	"context"
	"encoding/json"
	"net"
	"testing"

	"midplane/event"
	"midplane/poller/collect"
)

// Look runs c once and returns what it found: the check's result, and the
// device's reachability and the timing when it emitted them.
func Look(t *testing.T, c collect.Collector, target collect.Target) (check event.Check, up *event.Reachability, timing *event.Timing) {
	t.Helper()
	got, err := collectOnce(context.Background(), c, target)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range got {
		var into any
		switch e.Type {
		case event.TypeCheck:
			into = &check
		case event.TypeReachability:
			up = new(event.Reachability)
			into = up
		case event.TypeTiming:
			timing = new(event.Timing)
			into = timing
		default:
			t.Errorf("it emits %s", e.Type)
			continue
		}
		if err := json.Unmarshal(e.Data, into); err != nil {
			t.Error(err)
		}
	}
	return check, up, timing
}

// Accept gives each connection to l to handle, in a goroutine of its own, and
// closes what is open when the test ends.
func Accept(t *testing.T, l net.Listener, handle func(net.Conn)) {
	t.Helper()
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go handle(c)
		}
	}()
}
