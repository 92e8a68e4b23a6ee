package ingress

import (
	"container/heap"
	"testing"
	"time"

	"midplane/api"
	"midplane/event"
)

// retries are messages by when they come back.
type retries []time.Time

func (r retries) Len() int           { return len(r) }
func (r retries) Less(i, j int) bool { return r[i].Before(r[j]) }
func (r retries) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *retries) Push(x any)        { *r = append(*r, x.(time.Time)) }
func (r *retries) Pop() any {
	n := len(*r) - 1
	x := (*r)[n]
	*r = (*r)[:n]
	return x
}

// TestAStockClientsBurstComesBackInTurn: 5,000 messages at once, each retried
// when its refusal asks: all are stored, at the rate, and the client stays in,
// also when its rate is so low that they cannot all be asked to come in turn.
func TestAStockClientsBurstComesBackInTurn(t *testing.T) {
	for _, own := range []int{1500, 500, 100, 50, 10} {
		var l limiter
		l.set(quota(12*own, own), 3)
		r := &retries{}
		for range 5000 {
			*r = append(*r, noon)
		}
		stored, refused := 0, 0
		var last time.Time
		for r.Len() > 0 {
			at := heap.Pop(r).(time.Time)
			last = at
			v := ask(&l, at, "a")
			if v.flood != "" {
				t.Fatalf("at %d/s it is shut out after %d refusals and %s", own, refused, at.Sub(noon))
			}
			if v.wait == 0 {
				stored++
				continue
			}
			if refused++; refused > 100_000 {
				t.Fatalf("at %d/s it is refused without end", own)
			}
			heap.Push(r, at.Add(v.wait))
		}
		want := time.Duration(5000-own) * time.Second / time.Duration(own) // a second's worth passes at once
		if took := last.Sub(noon); stored != 5000 || took < want*8/10 || took > want*12/10+time.Minute {
			t.Errorf("at %d/s: %d stored in %s, want all in about %s", own, stored, took, want)
		}
		if own >= 100 && refused > 6000 {
			t.Errorf("at %d/s: %d refusals: the waits that were named do not fit", own, refused)
		}
	}
}

// TestManyThatDoNotWaitAreShutOut: also when each of them is refused less than
// its own rate.
func TestManyThatDoNotWaitAreShutOut(t *testing.T) {
	var l limiter
	l.set(quota(6000, 1500), 3)
	out := map[event.Producer]bool{}
	for at := noon; at.Before(noon.Add(30 * time.Second)); at = at.Add(10 * time.Millisecond) {
		for i := range 20 {
			p := event.Producer(rune('a' + i))
			for range 14 { // 1,400 a second each
				if v := ask(&l, at, p); v.flood != "" {
					out[v.flood] = true
				}
			}
		}
	}
	if len(out) < 15 {
		t.Errorf("%d of 20 were shut out", len(out))
	}
}

// TestEveryProducerHasItsPart: two that send more than the tenant may do not
// keep a third from its part of the rate.
func TestEveryProducerHasItsPart(t *testing.T) {
	var l limiter
	l.set(quota(6000, 1600), 3) // 2,000 at this node
	passed := map[event.Producer]int{}
	for at := noon; at.Before(noon.Add(60 * time.Second)); at = at.Add(10 * time.Millisecond) {
		for range 16 {
			for _, p := range []event.Producer{"loud", "louder"} {
				if ask(&l, at, p).wait == 0 {
					passed[p]++
				}
			}
		}
		for range 4 {
			if ask(&l, at, "modest").wait == 0 {
				passed["modest"]++
			}
		}
	}
	all := passed["loud"] + passed["louder"] + passed["modest"]
	if passed["modest"] < 23_000 {
		t.Errorf("%d of the modest one's 24,000 passed, 400 a second where its part is 666: %v", passed["modest"], passed)
	}
	if all > 125_000 {
		t.Errorf("%d passed in a minute at 2,000 a second", all)
	}
}

// TestWhoPacesIsNeverShutOut: a poller that sends a window of 1,000 at a time, and
// then waits as long as its last refusal asks, as one of an older version does,
// stays in beside a producer that floods, which does not.
func TestWhoPacesIsNeverShutOut(t *testing.T) {
	var l limiter
	l.set(quota(2000, 500), 3)
	out := map[event.Producer]int{}
	see := func(v verdict) verdict {
		if v.flood != "" {
			out[v.flood]++
		}
		return v
	}
	at, end := noon, noon.Add(5*time.Minute)
	var next time.Time // of the poller's window
	gone := noon       // until when the flooder is shut out
	for ; at.Before(end); at = at.Add(time.Millisecond) {
		for range 10 {
			if at.After(gone) && see(ask(&l, at, "flood")).flood == "flood" {
				gone = at.Add(10 * time.Second)
			}
		}
		if at.Before(next) {
			continue
		}
		var wait time.Duration
		for range 1000 {
			wait = max(wait, see(ask(&l, at, "poller")).wait)
		}
		next = at.Add(max(wait, time.Second))
	}
	if out["poller"] > 0 || out["flood"] == 0 {
		t.Errorf("shut out: %v", out)
	}
}

// TestHeldProducersAreNamed: with the limit, since when, and how often.
func TestHeldProducersAreNamed(t *testing.T) {
	var l limiter
	l.set(quota(2000, 100), 1)
	for range 150 {
		ask(&l, noon, "busy")
	}
	ask(&l, noon, "calm")
	held := l.held(noon.Add(30 * time.Second))
	if want := (api.Held{Limit: api.LimitProducerMessages, Value: 100, Since: noon.UTC(), Refused: 50}); len(held) != 1 || held["busy"] != want {
		t.Errorf("%+v, want only busy: %+v", held, want)
	}
	if held := l.held(noon.Add(2 * heldFor)); len(held) != 0 {
		t.Errorf("two minutes later: %+v", held)
	}
}
