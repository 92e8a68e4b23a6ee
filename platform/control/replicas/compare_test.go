package replicas

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/event"
)

// three are three replicas that hold 1 to 100.
func three(stream string, change ...func(list []at)) []at {
	var list []at
	for _, n := range []string{"n1", "n2", "n3"} {
		list = append(list, at{n, api.HeldReplica{ReplicaRef: api.ReplicaRef{Account: "A", Stream: stream}, Messages: 100, First: 1, Last: 100, Current: true}})
	}
	for _, f := range change {
		f(list)
	}
	return list
}

// What one reading says of three replicas.
func TestCompare(t *testing.T) {
	damage := &api.ReplicaDamage{What: "1.blk at 12", From: 5, To: 9}
	for _, x := range []struct {
		what   string
		stream string
		change func(list []at)
		equal  bool
		bad    []string
	}{
		{what: "equal", stream: event.StreamEvents, change: func([]at) {}, equal: true},
		{what: "equal, with superseded states", stream: event.StreamState, change: func(l []at) {
			for i := range l {
				l[i].Messages, l[i].Deleted = 40, 60
			}
		}, equal: true},
		{what: "messages flow", stream: event.StreamEvents, change: func(l []at) { l[1].Last, l[1].Messages = 103, 103 }, equal: true},
		{what: "one is behind", stream: event.StreamEvents, change: func(l []at) { l[1].Last, l[1].Messages, l[1].Current = 60, 60, false }},
		{what: "states flow", stream: event.StreamState, change: func(l []at) { l[1].Last = 103 }},
		{what: "one lacks events", stream: event.StreamEvents, change: func(l []at) { l[2].Messages, l[2].Deleted = 80, 20 }, bad: []string{"n3"}},
		{what: "one lacks events, while messages flow", stream: event.StreamEvents, change: func(l []at) { l[2].Messages, l[2].Deleted, l[2].Last = 83, 20, 103 }, bad: []string{"n3"}},
		{what: "all lack the same", stream: event.StreamEvents, change: func(l []at) {
			for i := range l {
				l[i].Messages, l[i].Deleted = 80, 20
			}
		}, equal: true},
		{what: "one lacks states", stream: event.StreamState, change: func(l []at) { l[0].Messages, l[0].Deleted = 70, 30 }, bad: []string{"n1"}},
		{what: "one lacks states, and none is at the same place", stream: event.StreamState, change: func(l []at) { l[0].Messages, l[0].Last, l[1].Last = 70, 101, 99 }},
		{what: "two differ and one is behind", stream: event.StreamState, change: func(l []at) { l[0].Messages, l[1].Last = 70, 99 }},
		{what: "all differ", stream: event.StreamState, change: func(l []at) { l[0].Messages, l[1].Messages = 70, 80 }},
		{what: "purged on one first", stream: event.StreamEvents, change: func(l []at) { l[0].First, l[0].Messages = 51, 50 }, bad: []string{"n1"}}, // unless it is over in the next reading
		{what: "damaged files", stream: event.StreamState, change: func(l []at) { l[1].Damage = damage }, bad: []string{"n2"}},
		{what: "two are damaged", stream: event.StreamEvents, change: func(l []at) { l[1].Damage, l[2].Damage = damage, damage }, bad: []string{"n2", "n3"}},
	} {
		v := compare(three(x.stream, x.change))
		if bad := slices.Sorted(maps.Keys(v.bad)); v.equal != x.equal || !slices.Equal(bad, x.bad) {
			t.Errorf("%s: equal %v, bad %v; want %v, %v", x.what, v.equal, bad, x.equal, x.bad)
		}
	}
	if compare(three(event.StreamEvents)[:1]).equal {
		t.Error("one replica is equal to nothing")
	}
}

func TestStateOf(t *testing.T) {
	open := &Finding{}
	for _, x := range []struct {
		what   string
		change func(list []at)
		found  *Finding
		want   string
	}{
		{what: "as it should be", want: api.ReplicaCurrent},
		{what: "behind", change: func(l []at) { l[0].Last, l[0].Current = 4, false }, want: api.ReplicaBehind},
		{what: "found", found: open, want: api.ReplicaDiverged},
		{what: "damaged and not found yet", change: func(l []at) { l[0].Damage = &api.ReplicaDamage{} }, want: api.ReplicaDiverged},
		{what: "asked to repair", found: &Finding{Repairing: true}, want: api.ReplicaRepairing},
		{what: "removed", change: func(l []at) { l[0].Removed = &api.ReplicaDamage{} }, found: open, want: api.ReplicaRepairing},
	} {
		list := three(event.StreamEvents)
		if x.change != nil {
			x.change(list)
		}
		if got := stateOf(list[0], list, x.found); got != x.want {
			t.Errorf("%s: %s, want %s", x.what, got, x.want)
		}
	}
}

// A stream that could not be compared in the last round says when it was.
func TestComparedAt(t *testing.T) {
	now, before := time.Now(), time.Now().Add(-time.Hour)
	ref := func(stream string) api.ReplicaRef { return api.ReplicaRef{Account: "A", Stream: stream} }
	c := compared{At: now, Late: map[string]time.Time{"A/old": before, "A/never": {}}}
	got := []*time.Time{c.comparedAt(ref("fresh")), c.comparedAt(ref("old")), c.comparedAt(ref("never")), compared{}.comparedAt(ref("fresh"))}
	if diff := cmp.Diff([]*time.Time{&now, &before, nil, nil}, got); diff != "" {
		t.Error(diff)
	}
}
