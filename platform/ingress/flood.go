package ingress

import (
	"time"

	"midplane/api"
	"midplane/event"
)

// A refusal costs the node as much as a message that is let in, and what it
// costs is missing to other tenants: so a producer that sends on although it is
// asked to wait is shut out for a while. What was in flight before it could read
// the first refusal is no flood, and a producer that waits as it is asked to is
// never shut out, however many messages of it are refused.
const (
	// A second's worth of a producer's own rate may be in flight before it reads
	// the first refusal of a run: a sender that keeps to the rate has no more. And
	// so may all that is refused within inFlightFor, inFlightMost of all producers
	// together: what waits at the door at most.
	inFlightFor  = 250 * time.Millisecond
	inFlightMost = pendingMessages
	// A door allows as many other refusals in a second as it lets messages in,
	// floodRate at least, and floodBurst more once in a while. Beyond that the
	// producer with the most of them is shut out, and then the next one every
	// floodNext refusals. One that was shut out and did not learn from it goes
	// after floodAgain of its own.
	floodRate  = 500
	floodBurst = 3000
	floodNext  = 300
	floodAgain = 100
)

// leaky is a count that time takes back.
type leaky struct {
	level float64
	at    time.Time
}

// now returns the count; rate is how many a second time takes back.
func (c *leaky) now(now time.Time, rate float64) float64 {
	if d := now.Sub(c.at); d > 0 {
		c.level = max(0, c.level-d.Seconds()*rate)
		c.at = now
	}
	return c.level
}

// add counts one more.
func (c *leaky) add(now time.Time, rate float64) float64 {
	c.level = c.now(now, rate) + 1
	return c.level
}

// refusals is what one producer was refused lately. A run of refusals ends when
// none came until the last one's wait was over.
type refusals struct {
	began, until time.Time // the run of refusals
	inFlight     int       // refusals that count as in flight before the first
	impatient    leaky     // all others
	shutOut      time.Time // when it last was

	since, last time.Time // since when it is held back
	limit       string
	count       uint64
}

// heldFor is how long after its last refusal a producer counts as held back.
const heldFor = time.Minute

// note enters a refusal and reports whether it may have been in flight before the
// first of its run could be read, and how many have been.
func (r *refusals) note(now time.Time, wait time.Duration, limit string) (inFlight bool, n int) {
	if now.Sub(r.last) > heldFor {
		r.since, r.count = now, 0
	}
	r.last, r.limit = now, limit
	r.count++
	// What is asked to come back later than it can be comes back at once, too.
	if now.After(r.until) || now.Sub(r.began) >= maxPromise {
		r.began, r.inFlight = now, 0
	}
	if until := now.Add(min(max(wait, time.Second), maxPromise)); until.After(r.until) {
		r.until = until
	}
	r.inFlight++
	return now.Sub(r.began) <= inFlightFor, r.inFlight
}

// refused enters a refusal and returns the producer that is to be shut out, ""
// when there is none. The mutex is held.
func (l *limiter) refused(now time.Time, f *flow, wait time.Duration, limit string) (worst event.Producer) {
	if f == nil {
		return ""
	}
	leak := max(floodRate, l.tenant.messages.rate)
	inFlight, n := f.refusals.note(now, wait, limit)
	again := now.Sub(f.refusals.shutOut) < outMost
	if !again && (float64(n) <= f.messages.rate || inFlight && l.free.add(now, leak) <= inFlightMost) {
		return ""
	}
	// Time takes back no more of all producers together than of the door, so when
	// that has too many, one of them has.
	own := leak / float64(max(l.active, 1))
	level := f.refusals.impatient.add(now, own)
	switch {
	case l.flood.add(now, leak) > floodBurst:
		l.flood.level = floodBurst - floodNext
		worst = l.worst(now, own)
	case again && level > floodAgain:
		worst = f.name
	}
	if worst != "" {
		r := &l.producers[worst].refusals
		r.impatient.level, r.shutOut = 0, now
	}
	return worst
}

// worst returns the producer with the most refusals that patience would have
// spared, "" when there are none.
func (l *limiter) worst(now time.Time, own float64) (worst event.Producer) {
	var most float64
	for p, other := range l.producers {
		if level := other.refusals.impatient.now(now, own); level > most {
			worst, most = p, level
		}
	}
	return worst
}

// held returns the producers that were refused within the last minute.
func (l *limiter) held(now time.Time) map[event.Producer]api.Held {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out map[event.Producer]api.Held
	for p, f := range l.producers {
		r := &f.refusals
		if r.count == 0 || now.Sub(r.last) > heldFor {
			continue
		}
		if out == nil {
			out = map[event.Producer]api.Held{}
		}
		out[p] = api.Held{Limit: r.limit, Value: l.value(r.limit), Since: r.since.UTC(), Refused: r.count}
	}
	return out
}

// value returns a limit of the quota by the name of its field.
func (l *limiter) value(limit string) int64 {
	switch limit {
	case api.LimitProducerMessages:
		return int64(l.quota.ProducerMessageRate)
	case api.LimitProducerBytes:
		return int64(l.quota.ProducerByteRate)
	case api.LimitTenantMessages:
		return int64(l.quota.MessageRate)
	}
	return int64(l.quota.ByteRate)
}
