package trim

import (
	"testing"
	"time"

	"midplane/event"
)

// A message is done with when its poller has been for long enough, in the same epoch
// and stream; an application's ids prove nothing.
func TestLows(t *testing.T) {
	const within = time.Minute
	t0 := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	l := lows{}
	k := lowKey{"acme", "syd-01", event.StreamEvents}
	done := func(id string) bool { return l.done("acme", id) }
	l.note(k, 7, 100, t0, within)
	if done("syd-01/7/EVENTS/1") {
		t.Error("done at once")
	}
	for at := time.Duration(0); at < within; at += 5 * time.Second {
		l.note(k, 7, 100+uint64(at/time.Second), t0.Add(at), within) // it goes on meanwhile
	}
	l.note(k, 7, 200, t0.Add(within), within)
	for id, want := range map[string]bool{
		"syd-01/7/EVENTS/1": true, "syd-01/7/EVENTS/100": true, "syd-01/7/EVENTS/101": false, "syd-01/7/EVENTS/201": false,
		"syd-01/6/EVENTS/1": false, "syd-01/8/EVENTS/1": false, "syd-01/7/METRICS/1": false, "mel-01/7/EVENTS/1": false,
		"midplane-control/alarm/x": false, "": false, "syd-01/7/EVENTS/0": false,
	} {
		if done(id) != want {
			t.Errorf("%q: %v", id, !want)
		}
	}
	if l.done("globex", "syd-01/7/EVENTS/1") {
		t.Error("another tenant's poller of that name")
	}
	l.note(k, 7, 200, t0.Add(within+5*time.Second), within)
	if !done("syd-01/7/EVENTS/105") || done("syd-01/7/EVENTS/106") {
		t.Error("what was done with a minute ago is not what it said a minute ago")
	}
	l.note(k, 8, 3, t0.Add(2*within), within) // a new outbox
	if done("syd-01/7/EVENTS/1") || done("syd-01/8/EVENTS/1") {
		t.Error("of a new outbox nothing is known yet")
	}
	for n := range 1000 {
		l.note(k, 8, uint64(n), t0.Add(2*within+time.Duration(n)*time.Millisecond), within)
	}
	if n := len(l[k].reports); n > lowsKept {
		t.Errorf("%d reports are kept", n)
	}
}
