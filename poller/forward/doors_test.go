package forward

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"midplane/event"
	"midplane/poller/collect"
	"midplane/telemetry"
)

// What a door of an older node would refuse is not sent to it, and everything
// else is.
func TestOlderDoorsAreNotSentWhatTheyRefuse(t *testing.T) {
	up := func(method string) event.Event {
		return collect.State("r1", event.TypeReachability, event.Reachability{Device: "r1", Status: event.StatusUp, Method: method})
	}
	check := collect.State(event.Entity("r1").Check("dns"), event.TypeCheck, event.Check{Device: "r1", Name: "dns", Collector: "dns", Status: event.CheckOK})
	own := event.Event{Kind: event.KindEvent, Type: "acme.door.opened.v1", Entity: "r1", Data: json.RawMessage(`{}`)}
	wrong := up("No Name")
	for name, tt := range map[string]struct {
		takes map[event.Type]int
		left  bool // reachability by dns
	}{
		"a node of v0.1.0":    {nil, true},
		"nodes of this one":   {map[event.Type]int{event.TypeReachability: 2}, false},
		"nodes of a later":    {map[event.Type]int{event.TypeReachability: 3, "net.new.v1": 2}, false},
		"nodes with another":  {map[event.Type]int{"net.new.v1": 2}, true},
		"a version below one": {map[event.Type]int{event.TypeReachability: -1}, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := NewDoors(telemetry.Nop())
			d.Set(tt.takes)
			all := []event.Event{check, up("dns"), up("ping"), own}
			want := all
			if tt.left {
				want = []event.Event{check, up("ping"), own}
			}
			if diff := cmp.Diff(want, d.Pass(all), cmpopts.IgnoreFields(event.Event{}, "Time")); diff != "" {
				t.Error(diff)
			}
			if problem := d.Problem(); strings.Contains(problem, "net.reachability.v1") != tt.left {
				t.Errorf("problem %q", problem)
			}
			if got := d.Pass([]event.Event{up("dns")}); (len(got) == 0) != tt.left {
				t.Errorf("alone: %d messages", len(got))
			}
			d.Forget()
			if problem := d.Problem(); problem != "" {
				t.Errorf("after a new configuration: %q", problem)
			}
			// What no version takes is the door's to refuse.
			if got := d.Pass([]event.Event{wrong}); len(got) == 0 && !tt.left {
				t.Error("a message that the newest doors refuse, too, is left out")
			}
		})
	}
}

// The end of an upgrade is enough: no restart, and no new configuration.
func TestDoorsThatLearnAreSentEverything(t *testing.T) {
	d := NewDoors(telemetry.Nop())
	up := collect.State("r1", event.TypeReachability, event.Reachability{Device: "r1", Status: event.StatusUp, Method: "dns"})
	for _, step := range []struct {
		takes map[event.Type]int
		sent  int
	}{{nil, 0}, {map[event.Type]int{event.TypeReachability: 2}, 1}, {nil, 0}, {map[event.Type]int{event.TypeReachability: 2}, 1}} {
		d.Set(step.takes)
		if n := len(d.Pass([]event.Event{up})); n != step.sent || (d.Problem() == "") != (step.sent == 1) {
			t.Errorf("%v: %d messages, problem %q", step.takes, n, d.Problem())
		}
	}
}
