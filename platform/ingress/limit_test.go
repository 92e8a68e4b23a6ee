package ingress

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/event"
	"midplane/subject"
)

// count sends every millisecond for d and returns how many passed.
func count(l *limiter, from time.Time, d time.Duration) (passed int) {
	for at := from; at.Before(from.Add(d)); at = at.Add(time.Millisecond) {
		if l.allow(at) == 0 {
			passed++
		}
	}
	return passed
}

func TestLimiterKeepsTheNodesShare(t *testing.T) {
	var l limiter
	l.set(300, 3)
	// A bucket of one second to begin with, then 100 a second.
	if got := count(&l, noon, 10*time.Second); got < 1090 || got > 1101 {
		t.Errorf("%d passed in ten seconds, want the first second's 100 and 1,000 more", got)
	}
	l.set(300, 1) // the others are gone: all of it is this node's
	at := noon.Add(20 * time.Second)
	if got := count(&l, at, 10*time.Second); got < 3090 || got > 3301 {
		t.Errorf("%d passed in ten seconds, want about 3,300", got)
	}
}

func TestLimiterSaysWhen(t *testing.T) {
	var l limiter
	l.set(1, 3)
	if l.allow(noon) != 0 {
		t.Fatal("the first one has to wait")
	}
	wait := l.allow(noon)
	if wait <= 0 || wait > 3*time.Second {
		t.Fatalf("wait %s, want up to 3 s at a third of a message a second", wait)
	}
	// Who was turned away has used nothing up, however often it asks.
	for range 100 {
		if again := l.allow(noon); again != wait {
			t.Fatalf("asked again, wait %s, want %s", again, wait)
		}
	}
	if l.allow(noon.Add(wait)) != 0 {
		t.Error("it came back when it was told to and has to wait again")
	}
}

func TestLimiterKeepsWhatWasUsed(t *testing.T) {
	var l limiter
	l.set(100, 1)
	count(&l, noon, time.Second)
	l.set(100, 1) // the same again, as at every look at the registry
	if got := count(&l, noon.Add(time.Second), 10*time.Millisecond); got > 2 {
		t.Errorf("%d passed at once: setting the same rate filled the bucket", got)
	}
}

func state(entity event.Entity, size int) *Admitted {
	in := subject.In{Producer: "syd-01", Kind: event.KindState, Entity: entity, Type: "net.reachability.v1"}
	return &Admitted{In: in, Site: "syd", Msg: &nats.Msg{Subject: in.StoredAs("syd").String(), Data: make([]byte, size)}}
}

func TestHeadroom(t *testing.T) {
	stored := map[string]bool{state("old", 0).Msg.Subject: true}
	var asked int
	var broken error
	h := &headroom{known: func(_ context.Context, s string) (bool, error) { asked++; return stored[s], broken }}
	if !h.has(state("new", 10)) || asked != 0 {
		t.Error("before anything is measured everything is taken, without asking")
	}
	h.fill(800, 1000)
	if !h.has(state("new", 0)) {
		t.Error("at 80 % a new entity is still taken")
	}
	h.fill(801, 1000)
	if h.has(state("new", 10)) {
		t.Error("above 80 % a new entity was taken")
	}
	if !h.has(state("old", 10)) {
		t.Error("above 80 % an update was refused")
	}
	asked = 0
	for range 10 {
		h.has(state("old", 10))
	}
	if asked != 0 {
		t.Errorf("asked %d times about a known entity", asked)
	}
	broken = errors.New("no answer")
	if h.has(state("other", 10)) {
		t.Error("nobody could tell, and it was taken for known")
	}
	h.fill(100, 1000)
	h.fill(900, 1000)
	if broken = nil; h.has(state("other", 10)) || asked == 0 {
		t.Error("what was known is kept over a trim")
	}
}

// A burst between two measurements cannot eat the head room of the updates.
func TestHeadroomCountsWhatPassed(t *testing.T) {
	h := &headroom{known: func(context.Context, string) (bool, error) { return false, nil }}
	h.set(300_000, 3)
	h.fill(0, 0) // there is no stream yet
	passed := 0
	for i := range 1000 {
		if h.has(state(event.Entity(rune('a'+i%26)), 1000)) {
			passed++
		}
	}
	if passed < 60 || passed > 90 {
		t.Errorf("%d states of 1 KB passed at one of three doors, want about 80: a third of 80 %% of 300 KB", passed)
	}
	h.fill(100_000, 300_000)
	if !h.has(state("z", 1000)) {
		t.Error("measured anew there is room, and it was refused")
	}
}
