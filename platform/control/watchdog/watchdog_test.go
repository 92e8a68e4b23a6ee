package watchdog

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/platform/node"
	"midplane/platform/registry"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func after(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

func keys(list []Trouble) (out []string) {
	for _, t := range list {
		name := t.key()
		if t.Stalled {
			name += " stalled"
		}
		out = append(out, name)
	}
	return out
}

// A stream that has no leader for a moment is an election. It is reported when it
// lasts, when it lasts although all nodes live, and when it is over, each once.
func TestTroublesAreReportedOnce(t *testing.T) {
	events := func(leader string) []sight {
		return []sight{{tenant: "acme", stream: "EVENTS", leader: leader}, {tenant: "acme", stream: "STATE", leader: "n1"}}
	}
	all := troubles{}
	for _, x := range []struct {
		at    int
		seen  []sight
		live  bool
		over  []string
		raise []string
	}{
		{0, events("n1"), true, nil, nil},
		{2, events(""), true, nil, nil},
		{8, events("n2"), true, []string{"acme/EVENTS"}, nil},
		{10, events(""), true, nil, nil},
		{24, events(""), true, nil, nil},
		{26, events(""), true, nil, []string{"acme/EVENTS"}},
		{28, nil, true, nil, nil}, // this node's server does not say
		{60, events(""), false, nil, nil},
		{62, events(""), true, nil, []string{"acme/EVENTS stalled"}},
		{64, events(""), true, nil, nil},
		{66, events("n3"), true, []string{"acme/EVENTS stalled"}, nil},
		{68, events("n3"), true, nil, nil},
	} {
		over := all.see(x.seen, after(x.at))
		if diff := cmp.Diff(x.over, keys(over)); diff != "" {
			t.Errorf("after %d s, over (-want +got):\n%s", x.at, diff)
		}
		if diff := cmp.Diff(x.raise, keys(all.due(after(x.at), x.live))); diff != "" {
			t.Errorf("after %d s, raised (-want +got):\n%s", x.at, diff)
		}
	}
	if len(all) != 0 {
		t.Errorf("left: %+v", all)
	}
}

// A node that begins to lead goes on where the one before was: it raises nothing a second
// time, and what ended in between is reported.
func TestNextLeaderGoesOn(t *testing.T) {
	before, next := troubles{}, troubles{}
	seen := []sight{{tenant: "acme", stream: "EVENTS"}, {tenant: "acme", stream: "DEAD"}}
	before.see(seen, after(0))
	if got := keys(before.due(after(20), true)); len(got) != 2 {
		t.Fatalf("raised %v", got)
	}
	next.see(seen[:1], after(12))
	over := next.take(before.reported())
	if diff := cmp.Diff([]string{"acme/DEAD"}, keys(over)); diff != "" || !over[0].Raised {
		t.Errorf("over: %+v\n%s", over, diff)
	}
	if got := next.due(after(30), true); len(got) != 0 {
		t.Errorf("raised again: %+v", got)
	}
	if got := keys(next.due(after(46), true)); !slices.Equal(got, []string{"acme/EVENTS stalled"}) {
		t.Errorf("raised %v", got)
	}
	if !maps.Equal(next.reported(), troubles{"acme/EVENTS": {Tenant: "acme", Stream: "EVENTS", Since: after(0), Raised: true, Stalled: true}}) {
		t.Errorf("kept: %+v", next.reported())
	}
}

// A leader is stuck when it has something to store and gets no further for a while, or
// when its own replica is not healthy. One that has nothing to do, that gets further
// slowly, or that does not lead, is not. Nor is there to say that nobody leads before
// an election had its time.
func TestStep(t *testing.T) {
	idle := node.Progress{Proposed: 7, Committed: 7, Applied: 7}
	for what, x := range map[string]struct {
		leads, nobody, sick bool
		at                  func(second uint64) node.Progress
		stuck, leaderless   int // second from which on that is said; 0: never
	}{
		"idle": {leads: true},
		"slow": {leads: true, at: func(s uint64) node.Progress {
			return node.Progress{Proposed: 100, Committed: 7 + s/10, Applied: 7 + s/10}
		}},
		"not committed": {leads: true, stuck: 16, at: func(s uint64) node.Progress { return node.Progress{Proposed: 8 + s, Committed: 7, Applied: 7} }},
		"not applied":   {leads: true, stuck: 16, at: func(uint64) node.Progress { return node.Progress{Proposed: 9, Committed: 9, Applied: 7} }},
		"committed all the while and not applied": {leads: true, stuck: 16, at: func(s uint64) node.Progress { return node.Progress{Proposed: 9 + s, Committed: 9 + s, Applied: 7} }},
		"a follower":        {at: func(uint64) node.Progress { return node.Progress{Proposed: 9, Committed: 9, Applied: 7} }},
		"a follower behind": {sick: true},
		"a halted leader":   {leads: true, sick: true, stuck: 16},
		"no leader":         {nobody: true, leaderless: 6},
	} {
		if x.at == nil {
			x.at = func(uint64) node.Progress { return idle }
		}
		p := progress{}
		for s := 0; s <= 30; s += 2 {
			stuck, leaderless := p.step("acme/EVENTS", x.leads, x.nobody, !x.sick, x.at(uint64(s)), after(s))
			if stuck != (x.stuck > 0 && s >= x.stuck) || leaderless != (x.leaderless > 0 && s >= x.leaderless) {
				t.Errorf("%s, after %d s: stuck %v, without a leader %v", what, s, stuck, leaderless)
			}
		}
	}
}

// Who leads is what the node says that is named, when it says something.
func TestLeaderOf(t *testing.T) {
	nodes := []registry.Presence{
		{Name: "n1", Stuck: []api.StuckStream{{Tenant: "acme", Stream: "EVENTS", NoLeader: true}, {Tenant: "acme", Stream: "DEAD"}}},
		{Name: "n2", Stuck: []api.StuckStream{{Tenant: "acme", Stream: "STATE", NoLeader: true}}},
	}
	for stream, x := range map[string]struct {
		named, leader string
		stuck         bool
	}{
		"EVENTS": {"n1", "", false}, "DEAD": {"n1", "n1", true}, "STATE": {"n1", "n1", false}, "METRICS": {"", "", false}, "OTHER": {"n3", "n3", false},
	} {
		if leader, stuck := LeaderOf(nodes, "acme", stream, x.named); leader != x.leader || stuck != x.stuck {
			t.Errorf("%s: %q, %v", stream, leader, stuck)
		}
	}
}
