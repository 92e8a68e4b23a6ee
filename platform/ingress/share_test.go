package ingress

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/platform/ingress/admit"
	"midplane/platform/registry"
	"midplane/streams"
)

// tested are shares whose streams hold what a test says.
type tested struct {
	shares
	holds           Measured
	broken          error // instead of an answer of STATE
	stored          map[string]bool
	measured, asked int
	now             time.Time
}

func sharesOf(l streams.Limits, nodes int) *tested {
	s := &tested{holds: Measured{Bytes: map[string]uint64{}}, stored: map[string]bool{}, now: noon}
	s.measure = func(context.Context) (Measured, error) { s.measured++; return s.holds, nil }
	s.known = func(_ context.Context, subj string) (bool, error) { s.asked++; return s.stored[subj], s.broken }
	s.set(l, nodes)
	return s
}

// holdsNow has a stream hold so many bytes, and the door notice.
func (s *tested) holdsNow(stream string, bytes uint64) {
	s.holds.Bytes[stream] = bytes
	s.now = s.now.Add(2 * measureEvery)
}

func (s *tested) takes(k event.Kind, size int, subj string) *admit.Refusal {
	return s.take(s.now, k, size, func() string { return subj })
}

var thousand = streams.Limits{Events: 1000, State: 1000, Metrics: 1000, Dead: 1000}

func TestStateTakesUpdatesOnlyFromFourFifthsOn(t *testing.T) {
	s := sharesOf(thousand, 1)
	s.stored["old"] = true
	if s.takes(event.KindState, 10, "new") != nil || s.asked != 0 {
		t.Error("an empty stream takes everything, without asking")
	}
	s.holdsNow(event.StreamState, 800)
	if s.takes(event.KindState, 0, "new") != nil {
		t.Error("at 80 % a new entity is still taken")
	}
	s.holdsNow(event.StreamState, 801)
	if r := s.takes(event.KindState, 10, "new"); r == nil || r.Code != admit.CodeStreamFull || !strings.Contains(r.Description, "known entities only") {
		t.Errorf("above 80 %% a new entity: %+v", r)
	}
	if r := s.takes(event.KindState, 10, "old"); r != nil {
		t.Errorf("above 80 %% an update: %+v", r)
	}
	s.asked = 0
	for range 10 {
		s.takes(event.KindState, 10, "old")
		s.takes(event.KindState, 10, "new")
	}
	if s.asked != 0 {
		t.Errorf("asked %d times about known subjects", s.asked)
	}
	s.broken = errors.New("no answer")
	if s.takes(event.KindState, 10, "other") == nil {
		t.Error("STATE did not answer, and the subject was taken for known")
	}
	s.holdsNow(event.StreamState, 1000)
	for range 30 { // more than fits beside what it holds: each takes another's place
		if r := s.takes(event.KindState, 100, "old"); r != nil {
			t.Errorf("an update of a stream that is just full: %+v", r)
		}
	}
	s.holdsNow(event.StreamState, 1001)
	if r := s.takes(event.KindState, 10, "old"); r == nil || strings.Contains(r.Description, "known entities only") {
		t.Errorf("an update of a full stream: %+v", r)
	}
	s.holdsNow(event.StreamState, 100)
	s.takes(event.KindState, 10, "old")
	s.holdsNow(event.StreamState, 900)
	if s.broken = nil; s.takes(event.KindState, 10, "gone") == nil {
		t.Error("what was known is kept over a trim")
	}
}

// One stream that is full says so, and leaves the others theirs.
func TestAStreamThatIsFullLeavesTheOthersTheirs(t *testing.T) {
	s := sharesOf(thousand, 3)
	for _, k := range event.Kinds {
		for _, other := range event.Streams {
			s.holds.Bytes[other] = 0
		}
		s.holdsNow(k.Stream(), 990)
		for _, other := range event.Kinds {
			r := s.takes(other, 30, "new")
			switch {
			case other != k && r != nil:
				t.Errorf("%s is full, and %s refuses: %s", k.Stream(), other.Stream(), r.Description)
			case other == k && (r == nil || r.Code != admit.CodeStreamFull || r.Status != 503 || !strings.Contains(r.Description, k.Stream())):
				t.Errorf("%s is full: %+v", k.Stream(), r)
			}
		}
	}
}

// Between two measurements a burst cannot use up more than there is room for, also
// when the doors of all nodes let as much through; and what is not used up is not
// refused: before that, the door measures again.
func TestABurstIsCountedAndMeasured(t *testing.T) {
	s := sharesOf(streams.Limits{Metrics: 300_000}, 3)
	for _, asked := range []bool{false, true} { // another node, whose answer takes longer
		s.holds.Asked, s.measured = asked, 0
		s.holdsNow(event.StreamMetrics, 0)
		holds := uint64(0)
		for s.takes(event.KindMetric, 1000, "") == nil { // and the other doors let nothing through
			holds += 1000
			s.holds.Bytes[event.StreamMetrics] = holds
		}
		if holds != 298_000 || s.measured > 30 {
			t.Errorf("%d bytes passed at one of three doors, want all of 300 kB but what one message at each of three doors takes; measured %d times", holds, s.measured)
		}
		s.measured = 0
		for range 100 {
			if s.takes(event.KindMetric, 1000, "") == nil {
				t.Fatal("it is full")
			}
		}
		if s.measured > 1 {
			t.Errorf("measured %d times at the same moment, and nothing has passed", s.measured)
		}
	}
	s.measured = 0
	s.holdsNow(event.StreamMetrics, 299_000)
	for range 100 {
		if s.takes(event.KindMetric, 1000, "") == nil {
			t.Fatal("it is full")
		}
		s.now = s.now.Add(10 * time.Millisecond)
	}
	if s.measured > 5 {
		t.Errorf("another node was asked %d times within a second", s.measured)
	}

	// One that does not answer is not asked for each message either.
	s.holdsNow(event.StreamMetrics, 0)
	s.takes(event.KindMetric, 1000, "")
	delete(s.holds.Bytes, event.StreamMetrics)
	s.measured = 0
	for range 200 {
		s.takes(event.KindMetric, 1000, "")
	}
	if s.measured > 1 {
		t.Errorf("measured %d times at the same moment, and nobody has answered", s.measured)
	}
}

// Before any node's store is full, nothing of tenants is taken, and it is taken again
// when there is room.
func TestNothingIsTakenWhileANodesStoreIsNearlyFull(t *testing.T) {
	here := api.Store{Limit: 1000, Used: 949}
	s := &stores{here: func() api.Store { return here }}
	now := noon
	full := func() *admit.Refusal { now = now.Add(time.Second); return s.full(now) }
	if r := full(); r != nil {
		t.Errorf("below 95 %%: %+v", r)
	}
	here.Used = 950
	if s.full(now.Add(storeOften)) == nil {
		t.Error("above 90 % it is looked at often")
	}
	if r := full(); r == nil || r.Code != admit.CodeNodeFull || r.Status != 503 {
		t.Errorf("at 95 %%: %+v", r)
	}
	here.Used = 100
	if r := full(); r != nil {
		t.Errorf("there is room again: %+v", r)
	}
	s.others([]registry.Presence{{Name: "n1"}, {Name: "n2", Store: &api.Store{Limit: 10, Used: 10}}})
	if r := full(); r == nil || !strings.Contains(r.Description, "n2") {
		t.Errorf("another node is full: %+v", r)
	}
	s.others(nil)
	here = api.Store{}
	if r := full(); r != nil {
		t.Errorf("nothing is known: %+v", r)
	}
}
