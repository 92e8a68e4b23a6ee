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
		{what: "two have not purged yet, or one was emptied", stream: event.StreamEvents, change: func(l []at) { l[2].First, l[2].Messages = 101, 0 }, bad: []string{"n3"}},
		{what: "one has not purged yet", stream: event.StreamEvents, change: func(l []at) {
			for i := range 2 {
				l[i].First, l[i].Messages = 51, 50
			}
		}},
		{what: "damaged files", stream: event.StreamState, change: func(l []at) { l[1].Damage = damage }, bad: []string{"n2"}},
		{what: "two are damaged", stream: event.StreamEvents, change: func(l []at) { l[1].Damage, l[2].Damage = damage, damage }, bad: []string{"n2", "n3"}},
	} {
		list := three(x.stream, x.change)
		v := compare(list, list)
		if bad := slices.Sorted(maps.Keys(v.bad)); v.equal != x.equal || !slices.Equal(bad, x.bad) {
			t.Errorf("%s: equal %v, bad %v; want %v, %v", x.what, v.equal, bad, x.equal, x.bad)
		}
	}
	if one := three(event.StreamEvents)[:1]; compare(one, one).equal {
		t.Error("one replica is equal to nothing")
	}
}

// A leader that is trimmed all the time is ahead of its followers in every reading, and
// lacks nothing; one that has lost its front lacks what the others still hold later.
func TestCompareWhileTrimmed(t *testing.T) {
	reading := func(first ...uint64) []at {
		return three(event.StreamEvents, func(l []at) {
			for i := range l {
				l[i].First, l[i].Messages = first[i], 101-first[i]
			}
		})
	}
	began := reading(51, 41, 41)
	if v := compare(reading(61, 51, 51), began); len(v.bad) > 0 {
		t.Errorf("the others followed: %v", v.bad)
	}
	v := compare(reading(51, 49, 49), began)
	if want := (api.ReplicaDamage{What: "it begins at 51, the others at 49", From: 49, To: 50}); v.bad["n1"] != want || len(v.bad) != 1 {
		t.Errorf("the others still hold what it lacked: %v", v.bad)
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

// A range that one node holds differently from two others.
func TestDiffering(t *testing.T) {
	part, whole := api.ReplicaRange{From: 11, To: 20}, api.ReplicaRange{}
	sums := func(change func(m map[string]api.ReplicaSum)) map[string]api.ReplicaSum {
		m := map[string]api.ReplicaSum{}
		for _, n := range []string{"n1", "n2", "n3"} {
			m[n] = api.ReplicaSum{Node: n, OK: true, Messages: 10, Hash: 7, First: 1, Last: 50}
		}
		change(m)
		return m
	}
	set := func(m map[string]api.ReplicaSum, n string, f func(s *api.ReplicaSum)) {
		s := m[n]
		f(&s)
		m[n] = s
	}
	other := func(m map[string]api.ReplicaSum, n string, hash uint64) {
		set(m, n, func(s *api.ReplicaSum) { s.Hash = hash })
	}
	for _, x := range []struct {
		what   string
		of     api.ReplicaRange
		change func(m map[string]api.ReplicaSum)
		want   []string
	}{
		{what: "equal", of: part, change: func(map[string]api.ReplicaSum) {}},
		{what: "one differs", of: part, change: func(m map[string]api.ReplicaSum) { other(m, "n2", 8) }, want: []string{"n2"}},
		{what: "all differ", of: part, change: func(m map[string]api.ReplicaSum) { other(m, "n2", 8); other(m, "n3", 9) }},
		{what: "two nodes differ", of: part, change: func(m map[string]api.ReplicaSum) { other(m, "n2", 8); delete(m, "n3") }},
		{what: "one could not read it", of: part, change: func(m map[string]api.ReplicaSum) { m["n2"] = api.ReplicaSum{Node: "n2"} }},
		{what: "trimmed on one meanwhile", of: part, change: func(m map[string]api.ReplicaSum) {
			set(m, "n2", func(s *api.ReplicaSum) { s.First, s.Hash = 15, 3 })
		}},
		{what: "a whole stream that stood still", of: whole, change: func(m map[string]api.ReplicaSum) { other(m, "n1", 8) }, want: []string{"n1"}},
		{what: "a whole stream that did not", of: whole, change: func(m map[string]api.ReplicaSum) {
			set(m, "n1", func(s *api.ReplicaSum) { s.Hash, s.Last = 8, 0 })
		}},
		{what: "at different places", of: whole, change: func(m map[string]api.ReplicaSum) {
			set(m, "n1", func(s *api.ReplicaSum) { s.Hash, s.Last = 8, 51 })
		}},
	} {
		if got := slices.Sorted(maps.Keys(differing(x.of, sums(x.change)))); !slices.Equal(got, x.want) {
			t.Errorf("%s: %v, want %v", x.what, got, x.want)
		}
	}
}

// The ranges of a stream follow each other, and end at what all replicas hold; they begin at
// round numbers, wherever the stream begins.
func TestNextRange(t *testing.T) {
	long := func(l []at) {
		for i := range l {
			l[i].First, l[i].Last = uint64(100+i), uint64(25_000-i)
		}
	}
	var got [][2]uint64
	from, more := uint64(0), true
	for more {
		var of api.ReplicaRange
		of, more = nextRange(three(event.StreamEvents, long), from)
		got = append(got, [2]uint64{of.From, of.To})
		from = of.To + 1
	}
	if diff := cmp.Diff([][2]uint64{{102, 9_999}, {10_000, 19_999}, {20_000, 24_998}}, got); diff != "" {
		t.Error(diff)
	}
	if of, more := nextRange(three(event.StreamState), 0); more || of.To != 0 {
		t.Errorf("STATE is compared whole: %+v", of)
	}
}
