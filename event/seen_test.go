package event_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midplane/event"
)

func TestCountersListGivesBackWhatWasAdded(t *testing.T) {
	in := []event.Counters{
		{}, {InOctets: 7, OutErrors: 1}, {OutOctets: math.MaxUint64, InPackets: 3, OutPackets: 4, InErrors: 5, InDiscards: 6, OutDiscards: 7}, {},
	}
	var l event.CountersList
	for i, c := range in {
		l.Add(string(rune('1'+i)), c)
	}
	if len(l.Index) != len(in) {
		t.Fatal(l.Index)
	}
	for i, want := range in {
		if diff := cmp.Diff(want, l.At(i)); diff != "" {
			t.Errorf("%d: %s", i, diff)
		}
	}
	short := event.CountersList{Index: []string{"1", "2"}, InOctets: []uint64{9}}
	if got := short.At(1); got != (event.Counters{}) {
		t.Errorf("a column that is too short: %+v", got)
	}
}

func TestDigestDependsOnNoOrder(t *testing.T) {
	a, b := event.DigestOf("r1", event.TypeCheck, []byte(`{"a":1}`)), event.DigestOf("r1/if/1", event.TypeInterface, []byte(`{}`))
	if a.Add(b) != b.Add(a) || a.Add(b).Add(a) != b || a == b {
		t.Error(a, b)
	}
	if event.DigestOf("r1", "x.v1", nil) == event.DigestOf("r", "1x.v1", nil) {
		t.Error("entity and type run into each other")
	}
	if got := event.DigestOf("r1", event.TypeCheck, []byte(`{"a":1}`)).String(); len(got) != 16 || got != a.String() {
		t.Error(got)
	}
}
