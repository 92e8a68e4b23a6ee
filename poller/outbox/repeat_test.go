package outbox

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/event"
)

func sameData(prev, next event.Event) bool { return string(prev.Data) == string(next.Data) }

// sentNow returns what waits, as if it were sent and acknowledged.
func sentNow(t *testing.T, o *Outbox) (out []string) {
	t.Helper()
	for o.Stats().Depth > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		events, err := o.Next(ctx, 100)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		for i := range events {
			out = append(out, string(events[i].Entity)+string(events[i].Data))
			o.Ack(&events[i])
		}
	}
	return out
}

func changesOnly(t *testing.T, dir string, derive func(prev *event.Event, next event.Event) []event.Event) (*Outbox, func()) {
	o, stop := opened(t, Config{Path: filepath.Join(dir, "outbox.db"), Unchanged: sameData, Derive: derive,
		Timeless: func(event.Type) bool { return derive == nil }})
	o.SetChangesOnly(true)
	return o, stop
}

// want puts events and compares what is sent of them.
func sends(t *testing.T, o *Outbox, why string, want []string, events ...event.Event) {
	t.Helper()
	put(t, o, events...)
	if diff := cmp.Diff(want, sentNow(t, o)); diff != "" {
		t.Errorf("%s: %s", why, diff)
	}
}

func TestUnchangedStatesAreLeftOut(t *testing.T) {
	dir := t.TempDir()
	o, stop := changesOnly(t, dir, nil)
	sends(t, o, "the first", []string{`r1{"a":1}`}, state("r1", `{"a":1}`))
	sends(t, o, "the same", nil, state("r1", `{"a":1}`))
	sends(t, o, "a change, once", []string{`r1{"a":2}`}, state("r1", `{"a":2}`), state("r1", `{"a":2}`))
	sends(t, o, "events and metrics always", []string{`r1{}`, `r1{}`}, happened("r1", `{}`), sample("r1", `{}`))
	sends(t, o, "another entity", []string{`r1/if/1{"a":2}`}, state("r1/if/1", `{"a":2}`))
	o.SendAgain("r2")
	sends(t, o, "again, of another device", nil, state("r1", `{"a":2}`))
	o.SendAgain("r1")
	sends(t, o, "again, of this device and its parts", []string{`r1{"a":2}`, `r1/if/1{"a":2}`}, state("r1", `{"a":2}`), state("r1/if/1", `{"a":2}`))
	o.SendAgain()
	sends(t, o, "again, everything", []string{`r1{"a":2}`}, state("r1", `{"a":2}`))
	o.SetChangesOnly(false)
	sends(t, o, "switched off", []string{`r1{"a":2}`, `r1{"a":2}`}, state("r1", `{"a":2}`), state("r1", `{"a":2}`))
	o.SetChangesOnly(true)
	sends(t, o, "switched on", []string{`r1{"a":2}`}, state("r1", `{"a":2}`), state("r1", `{"a":2}`))
	stop()
	o, _ = changesOnly(t, dir, nil)
	sends(t, o, "after a start everything once", []string{`r1{"a":2}`}, state("r1", `{"a":2}`), state("r1", `{"a":2}`))
}

// A state from which something follows is sent, or it would follow again.
func TestStateThatSomethingFollowsFromIsSent(t *testing.T) {
	o, _ := changesOnly(t, t.TempDir(), func(prev *event.Event, next event.Event) []event.Event {
		if prev != nil && next.Time.Sub(prev.Time) > time.Hour {
			return []event.Event{happened("r1", `{}`)}
		}
		return nil
	})
	at := func(d time.Duration) event.Event {
		e := state("r1", `{}`)
		e.Time = time.Unix(1_000_000, 0).Add(d).UTC()
		return e
	}
	sends(t, o, "the first", []string{`r1{}`}, at(0))
	sends(t, o, "an hour later", nil, at(time.Hour))
	sends(t, o, "more than an hour later", []string{`r1{}`, `r1{}`}, at(time.Hour+time.Second))
	sends(t, o, "and at once again", nil, at(time.Hour+2*time.Second))
}

// A state that the ingress refused is sent again although it is unchanged.
func TestRefusedStateIsSentAgain(t *testing.T) {
	o, _ := changesOnly(t, t.TempDir(), nil)
	put(t, o, state("r1", `{"a":1}`))
	events, err := o.Next(context.Background(), 10)
	if err != nil || len(events) != 1 {
		t.Fatal(events, err)
	}
	o.Refuse(&events[0])
	sends(t, o, "after a refusal", []string{`r1{"a":1}`}, state("r1", `{"a":1}`))
}

// Every state is sent again within six hours, each at a time of its own.
func TestStatesAreSentAgainInTime(t *testing.T) {
	o, _ := changesOnly(t, t.TempDir(), nil)
	began := time.Unix(1_000_000, 0).UTC()
	when := map[event.Entity]time.Duration{}
	ids := []event.Entity{"r1", "r2", "r3", "r4", "r5"}
	for d := time.Duration(0); d <= 13*time.Hour; d += 10 * time.Minute {
		for _, id := range ids {
			e := state(string(id), `{}`)
			e.Time = began.Add(d)
			put(t, o, e)
			if n := len(sentNow(t, o)); n == 1 {
				if d > 0 && d-when[id] > resendEvery+10*time.Minute {
					t.Errorf("%s was not sent for %s", id, d-when[id])
				}
				when[id] = d
			}
		}
	}
	times := map[time.Duration]bool{}
	for _, id := range ids {
		times[when[id]] = true
		if when[id] < 6*time.Hour {
			t.Errorf("%s was sent last after %s", id, when[id])
		}
	}
	if len(times) == 1 {
		t.Error("all at the same time")
	}
}

// What a heartbeat says of a device is what was sent of it and holds.
func TestCurrent(t *testing.T) {
	o, _ := changesOnly(t, t.TempDir(), nil)
	beat := state("r1", `{"n":1}`)
	beat.Type = event.TypeSeen
	put(t, o, state("r9", `{}`), state("r1", `{"a":1}`), state("r1/if/1", `{"b":1}`), beat, state("r1", `{"a":1}`), beat, state("r1", `{"a":2}`))
	if sent := sentNow(t, o); len(sent) != 6 { // the second of r1 is unchanged
		t.Errorf("a heartbeat is always sent: %v", sent)
	}
	want := event.DigestOf("r1", "net.test.v1", []byte(`{"a":2}`)).Add(event.DigestOf("r1/if/1", "net.test.v1", []byte(`{"b":1}`)))
	from, states, digest := o.Current("r1")
	if from != 3 || states != 2 || digest != want { // 1 r9, 2 r1, 3 its interface, 4 and 5 heartbeats, 6 r1
		t.Errorf("from %d, %d states, %s, want %s", from, states, digest, want)
	}
	if from, states, digest := o.Current("r2"); from != 0 || states != 0 || digest != 0 {
		t.Error("a device that was never seen", from, states, digest)
	}
}

// A state whose readings differ each time is compared with what was sent, which is
// read once and kept as long as it is what was sent.
func TestReadingsAreComparedWithWhatWasSent(t *testing.T) {
	const compared = len(`{"a":1`)
	o, _ := opened(t, Config{Path: filepath.Join(t.TempDir(), "outbox.db"), Unchanged: func(prev, next event.Event) bool {
		return string(prev.Data[:compared]) == string(next.Data[:compared])
	}})
	o.SetChangesOnly(true)
	sends(t, o, "the first", []string{`r1{"a":1,"rtt":1}`}, state("r1", `{"a":1,"rtt":1}`))
	for range 3 {
		sends(t, o, "another reading", nil, state("r1", `{"a":1,"rtt":2}`))
	}
	kept := o.queue.repeats.previous(stateKey{"r1", "net.test.v1"})
	if kept == nil || string(kept.Data) != `{"a":1,"rtt":1}` {
		t.Errorf("kept is %+v", kept)
	}
	sends(t, o, "a change", []string{`r1{"a":2,"rtt":2}`}, state("r1", `{"a":2,"rtt":2}`))
	if kept := o.queue.repeats.previous(stateKey{"r1", "net.test.v1"}); kept != nil {
		t.Errorf("what was sent before is kept: %s", kept.Data)
	}
	sends(t, o, "another reading of it", nil, state("r1", `{"a":2,"rtt":3}`))
	o.SendAgain("r1")
	sends(t, o, "again", []string{`r1{"a":2,"rtt":4}`}, state("r1", `{"a":2,"rtt":4}`))
}
