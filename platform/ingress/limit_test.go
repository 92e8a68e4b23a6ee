package ingress

import (
	"testing"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/platform/ingress/admit"
	"midplane/tenants"
)

// quota has room for everything but what a test is about.
func quota(messages, perProducer int) tenants.Quota {
	return tenants.Quota{MessageRate: messages, ProducerMessageRate: perProducer, ByteRate: 1 << 30, ProducerByteRate: 1 << 30, MessageSize: 1 << 10}
}

// ask is one message of 100 bytes.
func ask(l *limiter, at time.Time, p event.Producer) verdict { return l.allow(at, p, true, 100) }

// count sends every millisecond for d and returns how many passed.
func count(l *limiter, p event.Producer, from time.Time, d time.Duration) (passed int) {
	for at := from; at.Before(from.Add(d)); at = at.Add(time.Millisecond) {
		if ask(l, at, p).wait == 0 {
			passed++
		}
	}
	return passed
}

func TestLimiterKeepsTheNodesShare(t *testing.T) {
	var l limiter
	l.set(quota(300, 1000), 3)
	// A bucket of one second to begin with, then 100 a second.
	if got := count(&l, "a", noon, 10*time.Second); got < 1090 || got > 1101 {
		t.Errorf("%d passed in ten seconds, want the first second's 100 and 1,000 more", got)
	}
	l.set(quota(300, 1000), 1) // the others are gone: all of it is this node's
	at := noon.Add(20 * time.Second)
	if got := count(&l, "a", at, 10*time.Second); got < 3090 || got > 3301 {
		t.Errorf("%d passed in ten seconds, want about 3,300", got)
	}
}

func TestLimiterSaysWhen(t *testing.T) {
	var l limiter
	l.set(quota(1, 1000), 3)
	if ask(&l, noon, "a").wait != 0 {
		t.Fatal("the first one has to wait")
	}
	v := ask(&l, noon, "a")
	if v.wait <= 0 || v.wait > 3*time.Second+time.Millisecond || v.limit != api.LimitTenantMessages {
		t.Fatalf("%+v, want up to 3 s at a third of a message a second", v)
	}
	// What was refused has used nothing up, however often it is tried; but each
	// is asked to come after the one before, up to a bound.
	last := v.wait
	for range 100 {
		again := ask(&l, noon, "a")
		if again.wait < last || again.wait > maxPromise+4*time.Second {
			t.Fatalf("tried again, wait %s after %s", again.wait, last)
		}
		last = again.wait
	}
	if ask(&l, noon.Add(v.wait), "a").wait != 0 {
		t.Error("it came back when it was asked to and has to wait again")
	}
}

func TestLimiterKeepsWhatWasUsed(t *testing.T) {
	var l limiter
	l.set(quota(100, 1000), 1)
	count(&l, "a", noon, time.Second)
	l.set(quota(100, 1000), 1) // the same again, as at every look at the registry
	if got := count(&l, "a", noon.Add(time.Second), 10*time.Millisecond); got > 2 {
		t.Errorf("%d passed at once: setting the same rate filled the bucket", got)
	}
}

// What one producer is refused for costs the others of its tenant nothing.
func TestLimiterOfAProducer(t *testing.T) {
	var l limiter
	l.set(quota(1000, 100), 1)
	greedy, modest := 0, 0
	for at := noon; at.Before(noon.Add(10 * time.Second)); at = at.Add(time.Millisecond) {
		for range 4 {
			v := ask(&l, at, "greedy")
			if v.wait == 0 {
				greedy++
			} else if v.limit != api.LimitProducerMessages {
				t.Fatalf("%+v", v)
			}
		}
		if at.UnixMilli()%20 == 0 {
			if v := ask(&l, at, "modest"); v.wait != 0 {
				t.Fatalf("at 50 a second of 100 the other one has to wait: %+v", v)
			}
			modest++
		}
	}
	if greedy < 1090 || greedy > 1101 || modest != 500 {
		t.Errorf("%d of the greedy and %d of the modest passed", greedy, modest)
	}
	l.keep(map[string]admit.User{"modest": {}})
	if len(l.producers) != 1 {
		t.Errorf("%d producers are remembered", len(l.producers))
	}
	if l.allow(noon, "stranger", false, 1); len(l.producers) != 1 {
		t.Error("a stranger is remembered")
	}
}

func TestLimiterOfBytes(t *testing.T) {
	q := quota(1_000_000, 1_000_000)
	q.ByteRate, q.ProducerByteRate = 300_000, 50_000
	var l limiter
	l.set(q, 3)
	send := func(p event.Producer) (bytes int, last verdict) {
		for at := noon; at.Before(noon.Add(10 * time.Second)); at = at.Add(time.Millisecond) {
			if v := l.allow(at, p, true, 1000); v.wait == 0 {
				bytes += 1000
			} else {
				last = v
			}
		}
		return bytes, last
	}
	if got, v := send("a"); got < 545_000 || got > 551_000 || v.limit != api.LimitProducerBytes {
		t.Errorf("%d bytes of one producer passed in ten seconds: %+v", got, v)
	}
	l = limiter{}
	q.ProducerByteRate = 1 << 30
	l.set(q, 3)
	if got, v := send("b"); got < 1_090_000 || got > 1_101_000 || v.limit != api.LimitTenantBytes {
		t.Errorf("%d bytes of the tenant passed in ten seconds, want this node's third: %+v", got, v)
	}
	// A message as large as messages may be fits through the smallest rate.
	q.ByteRate, q.ProducerByteRate, q.MessageSize = 1, 1, 100_000
	l = limiter{}
	l.set(q, 3)
	if v := l.allow(noon, "a", true, 100_000+2000); v.wait != 0 {
		t.Errorf("the largest message: %+v", v)
	}
}

// Rates that are raised and lowered hold at once.
func TestLimiterChanges(t *testing.T) {
	var l limiter
	l.set(quota(1000, 100), 1)
	count(&l, "a", noon, time.Second)
	at := noon.Add(time.Second)
	l.set(quota(1000, 500), 1)
	if got := count(&l, "a", at, time.Second); got < 490 || got > 510 {
		t.Errorf("raised to 500: %d passed", got)
	}
	l.set(quota(1000, 10), 1)
	if got := count(&l, "a", at.Add(time.Second), time.Second); got > 21 {
		t.Errorf("lowered to 10: %d passed", got)
	}
}

// A producer that sends on although it is asked to wait is shut out, and no other: the
// worst first, when it is many.
func TestLimiterSeesAFlood(t *testing.T) {
	var l limiter
	l.set(quota(1000, 100), 1)
	out := map[event.Producer]int{}
	for at := noon; at.Before(noon.Add(5 * time.Second)); at = at.Add(time.Millisecond) {
		for p, each := range map[event.Producer]int{"worst": 5, "bad": 3} {
			for range each {
				if out[p] > 0 {
					continue // it is out
				}
				if v := ask(&l, at, p); v.flood != "" {
					out[v.flood]++
				}
			}
		}
		if at.UnixMilli()%8 == 0 { // a little above its rate of 100
			if v := ask(&l, at, "hasty"); v.flood != "" {
				out[v.flood]++
			}
		}
	}
	if out["worst"] != 1 || out["bad"] != 1 || out["hasty"] != 0 {
		t.Errorf("shut out: %v", out)
	}
}

// A burst that was on its way when the producer was asked to wait is no flood, and neither
// is as much too much as the door lets in.
func TestLimiterForgivesABurst(t *testing.T) {
	var l limiter
	l.set(quota(1000, 1000), 1)
	for range 1000 + inFlightMost + floodBurst {
		if v := ask(&l, noon, "a"); v.flood != "" {
			t.Fatal("shut out for a burst")
		}
	}
	for at := noon.Add(2 * maxPromise); at.Before(noon.Add(30 * time.Second)); at = at.Add(time.Second / 1900) {
		if v := ask(&l, at, "a"); v.flood != "" {
			t.Fatal("shut out for less than twice its rate")
		}
	}
}

// Each time it is shut out for longer, until it has behaved for a while.
func TestExclusions(t *testing.T) {
	var x exclusions
	at := noon
	for _, want := range []time.Duration{2, 4, 8, 16, 32, 60, 60} {
		if got := x.add("a", at); got != want*time.Second {
			t.Errorf("shut out for %s, want %d s", got, want)
		}
		if got := x.add("a", at.Add(time.Millisecond)); got != want*time.Second {
			t.Errorf("what was still under way made it %s", got)
		}
		if !x.out("a", at) || x.out("b", at) || x.out("a", at.Add(want*time.Second)) {
			t.Error("it is not out, or another is, or for ever")
		}
		at = at.Add((want + 1) * time.Second)
	}
	at = at.Add(2 * outMost)
	if got := x.add("a", at); got != outFirst {
		t.Errorf("after it behaved, %s", got)
	}
}
