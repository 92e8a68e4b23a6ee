package forward

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"midplane/api"
	"midplane/bus"
	"midplane/event"
	"midplane/internal/testwait"
	"midplane/poller/pollertest"
	"midplane/telemetry"
)

// fast is a pace that holds nothing back.
func fast() *Pacer {
	p := NewPacer()
	r := api.Rate{Messages: 1_000_000, Bytes: 1 << 40}
	p.Set(api.Pace{Share: r, Limit: r})
	return p
}

func paceOf(share, limit int) api.Pace {
	return api.Pace{Share: api.Rate{Messages: share, Bytes: int64(share) * 4096}, Limit: api.Rate{Messages: limit, Bytes: int64(limit) * 4096}}
}

// spend sends as fast as p allows for d and returns how many, and how many at
// once at most.
func spend(p *Pacer, from time.Time, d time.Duration) (sent, atOnce int) {
	for at := from; at.Before(from.Add(d)); {
		n, wait := p.ready(at)
		if n == 0 {
			at = at.Add(max(wait, time.Microsecond))
			continue
		}
		for range n {
			p.sent(100)
		}
		sent, atOnce = sent+n, max(atOnce, n)
	}
	return sent, atOnce
}

// TestPaceBeginsAtItsShare: it sends its share from the first second on, smoothly,
// climbs to the limit within a minute, and never passes it.
func TestPaceBeginsAtItsShare(t *testing.T) {
	p := NewPacer()
	p.Set(paceOf(200, 1000))
	now := time.Unix(1000, 0)
	if n, atOnce := spend(p, now, time.Second); n < 180 || n > 220 || atOnce > 15 {
		t.Errorf("%d in the first second, %d at once: want about the share of 200, spread", n, atOnce)
	}
	spend(p, now.Add(time.Second), time.Minute)
	if n, _ := spend(p, now.Add(61*time.Second), 10*time.Second); n < 9300 || n > 9600 {
		t.Errorf("%d in ten seconds after a minute, want a little less than the limit of 1000/s", n)
	}
	// After a pause nothing is made up for.
	if n, _ := p.ready(now.Add(time.Hour)); n > 50 {
		t.Errorf("%d at once after an hour: that is a burst", n)
	}
}

// TestPaceSlowsOnceAWindow: many refusals of one window are one decrease, and
// nothing is sent before the latest time that was named.
func TestPaceSlowsOnceAWindow(t *testing.T) {
	p := NewPacer()
	p.Set(paceOf(100, 1000))
	now := time.Unix(1000, 0)
	spend(p, now, time.Second)
	now = now.Add(time.Second)
	before := p.rate
	for i := range 500 {
		p.refused(now.Add(time.Duration(i)*time.Millisecond), now, time.Duration(i)*time.Millisecond, api.LimitTenantMessages)
	}
	if p.rate != before*paceCut {
		t.Errorf("500 refusals of one window made %.0f/s of %.0f/s, want half", p.rate, before)
	}
	if n, wait := p.ready(now.Add(900 * time.Millisecond)); n != 0 || wait < 90*time.Millisecond {
		t.Errorf("%d may be sent, wait %s: the last refusal asked for 98 ms more", n, wait)
	}
	now = now.Add(time.Second)
	p.refused(now.Add(time.Millisecond), now, time.Millisecond, api.LimitTenantMessages)
	if p.rate != before*paceCut*paceCut {
		t.Errorf("a refusal of what was sent after the decrease made %.0f/s", p.rate)
	}
	h := p.Held(now, 5000, time.Minute)
	if h == nil || h.Limit != api.LimitTenantMessages || h.Waiting != 5000 {
		t.Errorf("held back: %+v", h)
	}
	if h := p.Held(now, 10, time.Second); h != nil {
		t.Errorf("held back with nothing older than a second: %+v", h)
	}
}

// TestPaceComesBackFromTheBottom: refused until it sends one message a second,
// it climbs again when it is not.
func TestPaceComesBackFromTheBottom(t *testing.T) {
	p := NewPacer()
	p.Set(paceOf(1000, 1000))
	now := time.Unix(1000, 0)
	for range 20 {
		now = now.Add(time.Second)
		p.refused(now.Add(time.Millisecond), now, time.Millisecond, api.LimitProducerMessages)
	}
	if p.rate < 100 || p.rate > 250 {
		t.Fatalf("after 20 refusals it sends %.1f/s, want a quarter of its share at least", p.rate)
	}
	p.rate = minRate
	now = now.Add(time.Second)
	spend(p, now, time.Minute)
	if n, _ := spend(p, now.Add(time.Minute), 10*time.Second); n < 8500 {
		t.Errorf("%d in ten seconds, a minute after the last refusal", n)
	}
}

// TestPaceOfLargeMessages: the rate of bytes is kept as well.
func TestPaceOfLargeMessages(t *testing.T) {
	p := NewPacer()
	p.Set(paceOf(1000, 1000)) // 4 MB/s
	now := time.Unix(1000, 0)
	p.rate = 10 // and it climbs with large messages, too
	for at := now; at.Before(now.Add(time.Minute)); {
		n, wait := p.ready(at)
		if at = at.Add(wait); n > 0 {
			p.sent(200_000)
		}
	}
	now = now.Add(time.Minute)
	bytes := 0
	for at := now; at.Before(now.Add(10 * time.Second)); {
		n, wait := p.ready(at)
		if n == 0 {
			at = at.Add(wait)
			continue
		}
		p.sent(200_000)
		bytes += 200_000
	}
	if bytes > 42_000_000 || bytes < 36_000_000 {
		t.Errorf("%d bytes in ten seconds at a limit of 4 MB/s", bytes)
	}
	if h := p.Held(now.Add(10*time.Second), 10, time.Minute); h == nil || h.Limit != api.LimitProducerBytes {
		t.Errorf("held back by %+v, want the bytes", h)
	}
}

// slowDoor is a door that counts as a real one does: a bucket of one second,
// each refusal with the wait for one token, as an old node says it.
type slowDoor struct {
	mu      sync.Mutex
	rate    float64
	tokens  float64
	at      time.Time
	refused []time.Time
}

func (d *slowDoor) answer(e event.Event) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if d.at.IsZero() {
		d.tokens = d.rate
	} else {
		d.tokens = min(d.rate, d.tokens+now.Sub(d.at).Seconds()*d.rate)
	}
	d.at = now
	if d.tokens < 1 {
		d.refused = append(d.refused, now)
		wait := time.Duration((1 - d.tokens) / d.rate * float64(time.Second))
		return `{"error":{"code":429,"err_code":24051,"description":"over the producer's message rate; ` + bus.RetryIn(wait) + `"},"stream":"` + e.Kind.Stream() + `"}`
	}
	d.tokens--
	return pollertest.Ack(e)
}

// TestABacklogDrainsWithinTheRate: a backlog, a door with a rate, and a poller
// whose configuration says it: not one refusal. One that is not given its pace
// finds it, with few.
func TestABacklogDrainsWithinTheRate(t *testing.T) {
	const rate, backlog = 2000, 6000
	for name, tt := range map[string]struct {
		pace *api.Pace
		most int // refusals
	}{
		"with its pace":       {new(paceOf(rate, rate)), 0},
		"with another's pace": {new(paceOf(4*rate, 4*rate)), rate / 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := pollertest.Broker(t, t.TempDir(), -1)
			door := &slowDoor{rate: rate}
			pollertest.Ingress(t, pollertest.Connect(t, s.ClientURL(), "door"), func(_ string, e event.Event) string { return door.answer(e) })
			o := pollertest.Open(t, pollertest.TempPath(t), time.Hour)
			var all []event.Event
			for n := range backlog {
				all = append(all, pollertest.Message(event.KindMetric, fmt.Sprint("r", n), n))
			}
			for part := range slices.Chunk(all, 500) {
				pollertest.Put(t, o, part...)
			}
			p := NewPacer()
			p.Set(*tt.pace)
			f := New(pollertest.Connect(t, s.ClientURL(), "syd-01"), "syd-01", o, p, telemetry.Nop())
			pollertest.Background(t, f.Run)
			began := time.Now()
			pollertest.Drained(t, o)
			took := time.Since(began)
			door.mu.Lock()
			defer door.mu.Unlock()
			if len(door.refused) > tt.most {
				t.Errorf("%d refusals, want %d at most", len(door.refused), tt.most)
			}
			t.Logf("%d messages at %d/s: %s, %d refusals", backlog, rate, took.Round(time.Millisecond), len(door.refused))
		})
	}
}

// TestNoBurstAfterAReconnect: what was in flight when the connection went is
// sent once more at the pace, not all at once.
func TestNoBurstAfterAReconnect(t *testing.T) {
	const rate = 200
	s := pollertest.Broker(t, t.TempDir(), -1)
	door := pollertest.Connect(t, s.ClientURL(), "door")
	var mu sync.Mutex
	silent := true
	pollertest.Ingress(t, door, func(_ string, e event.Event) string {
		mu.Lock()
		defer mu.Unlock()
		if silent {
			return ""
		}
		return pollertest.Ack(e)
	})
	o := pollertest.Open(t, pollertest.TempPath(t), time.Hour)
	var all []event.Event
	for n := range 400 {
		all = append(all, pollertest.Message(event.KindEvent, fmt.Sprint("r", n), n))
	}
	pollertest.Put(t, o, all...)
	p := NewPacer()
	p.Set(paceOf(rate, rate))
	f := New(pollertest.Connect(t, s.ClientURL(), "syd-01"), "syd-01", o, p, telemetry.Nop())
	f.timeout = time.Hour
	pollertest.Background(t, f.Run)
	testwait.True(t, "a window is in flight", func() bool { return f.waiting() >= rate*9/10 })
	mu.Lock()
	silent = false
	mu.Unlock()
	began := time.Now()
	f.again(true) // as after a reconnect
	pollertest.Drained(t, o)
	// The 190 that were in flight and the 210 others take two seconds; sent all
	// at once, the first would take none.
	if took := time.Since(began); took < 1200*time.Millisecond {
		t.Errorf("400 messages at %d/s were sent in %s", rate, took)
	}
}
