package ingress

import (
	"strings"
	"sync"
	"time"

	"midplane/api"
	"midplane/bus"
	"midplane/event"
	"midplane/platform/ingress/admit"
	"midplane/tenants"
)

// limiter keeps a tenant's rates at this node's door: those of each producer,
// and this node's share of the tenant's. A message that has to wait uses
// nothing up, and a producer's own rate is looked at first: what it is refused
// for costs the others nothing.
type limiter struct {
	mu        sync.Mutex
	quota     tenants.Quota
	nodes     int
	tenant    pair
	producers map[event.Producer]*flow
	flood     leaky     // refusals that patience would have spared, of all producers
	free      leaky     // those that may have been in flight
	active    int       // producers that sent something lately
	counted   time.Time // when they were counted
	load      load      // of all producers
	apart     int       // producers that have their own label in metrics
	others    refusedBy // refusals of all others
}

// flow is what one producer sends here.
type flow struct {
	name     event.Producer
	pair            // its own rates
	part     bucket // its part of the tenant's messages, when others take more than theirs
	owed     owed   // places that were promised of its own rates,
	shared   owed   // and of the tenant's
	seen     time.Time
	refusals refusals
	load     load
	apart    *refusedBy // what it was refused since it has its own label in metrics; nil: it has none
}

// verdict is what the limiter decides about a message.
type verdict struct {
	wait  time.Duration  // 0: it may pass
	limit string         // what was passed, by the name of the quota's field
	flood event.Producer // the producer that is to be shut out, "" normally: see flood.go
}

// refusal answers a message that has to wait; bus.RetryAfter reads when to come
// back, bus.LimitOf which limit it was.
func (v verdict) refusal() *admit.Refusal {
	code := admit.CodeRate
	if v.limit == api.LimitProducerMessages || v.limit == api.LimitProducerBytes {
		code = admit.CodeProducerRate
	}
	over := bus.OverLimit(v.limit)
	r := admit.Refuse(code, "%s; %s", over, bus.RetryIn(v.wait))
	r.Detail = strings.NewReplacer("over the ", "", "'s", "").Replace(over) // "producer message rate"
	return r
}

// set changes the rates. Buckets keep what has been used up.
func (l *limiter) set(q tenants.Quota, nodes int) {
	nodes = max(nodes, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.producers == nil {
		l.producers = map[event.Producer]*flow{}
	}
	l.quota, l.nodes = q, nodes
	largest := float64(q.MessageSize) + admit.MaxHeaderBytes + 512
	l.tenant.set(float64(q.MessageRate)/float64(nodes), float64(q.ByteRate)/float64(nodes), largest)
	for _, f := range l.producers {
		l.setFlow(f, largest)
	}
}

func (l *limiter) setFlow(f *flow, largest float64) {
	f.set(float64(l.quota.ProducerMessageRate), float64(l.quota.ProducerByteRate), largest)
}

// keep drops the producers that are not in known.
func (l *limiter) keep(known map[string]admit.User) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p, f := range l.producers {
		if _, ok := known[string(p)]; !ok {
			if f.apart != nil {
				l.apart--
			}
			delete(l.producers, p)
		}
	}
}

// allow takes a message of size bytes, or returns when to come back and why.
func (l *limiter) allow(now time.Time, producer event.Producer, known bool, size int) verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	var f *flow
	if known { // a producer that is not known is refused anyway, and not remembered
		if f = l.producers[producer]; f == nil {
			f = &flow{name: producer}
			l.setFlow(f, float64(l.quota.MessageSize)+admit.MaxHeaderBytes+512)
			l.producers[producer] = f
		}
		l.count(now)
		f.seen = now
		if wait, limit := f.wait(now, float64(size), &f.owed, producerLimits); wait > 0 {
			return l.refuse(now, f, wait, limit)
		}
	}
	if wait, limit := l.tenant.wait(now, float64(size), f.sharedOwed(), tenantLimits); wait > 0 && !l.hasPart(now, f) {
		return l.refuse(now, f, wait, limit)
	}
	if f != nil {
		f.take(float64(size))
		f.part.tokens--
		f.load.accepted.add(now, size)
	}
	l.tenant.take(float64(size))
	l.load.accepted.add(now, size)
	return verdict{}
}

// activeFor is how long a producer counts after its last message.
const activeFor = 10 * time.Second

// count shares the tenant's rate out to the producers that send, once a second.
func (l *limiter) count(now time.Time) {
	if now.Sub(l.counted) < time.Second {
		return
	}
	l.counted, l.active = now, 0
	for _, f := range l.producers {
		if now.Sub(f.seen) < activeFor {
			l.active++
		}
	}
	for _, f := range l.producers {
		rate := l.tenant.messages.rate / float64(max(l.active, 1))
		f.part.set(rate, max(rate/2, 1))
	}
}

// hasPart reports whether a message passes although the tenant's others have
// used up what there was: each producer that keeps to its part of the rate has
// it, and the others wait the longer.
func (l *limiter) hasPart(now time.Time, f *flow) bool {
	return f != nil && l.active > 1 && f.part.wait(now, 1) == 0 && l.tenant.messages.tokens > -l.tenant.messages.burst && l.tenant.bytes.tokens > -l.tenant.bytes.burst
}

func (f *flow) sharedOwed() *owed {
	if f == nil {
		return nil
	}
	return &f.shared
}

func (l *limiter) refuse(now time.Time, f *flow, wait time.Duration, limit string) verdict {
	l.countRefusal(f, limit)
	return verdict{wait: wait, limit: limit, flood: l.refused(now, f, wait, limit)}
}

// pair is a rate of messages and one of bytes.
type pair struct{ messages, bytes bucket }

func (p *pair) set(messages, bytes, largest float64) {
	p.messages.set(messages, max(messages, 1))
	// The largest message must fit, or it would wait for ever.
	p.bytes.set(bytes, max(bytes, largest))
}

// limitNames are the quota's names for the two rates of a pair.
type limitNames struct{ messages, bytes string }

var (
	producerLimits = limitNames{api.LimitProducerMessages, api.LimitProducerBytes}
	tenantLimits   = limitNames{api.LimitTenantMessages, api.LimitTenantBytes}
)

// wait returns how long until a message of size bytes may pass, and the name of
// the limit that it waits for. One that has to wait is asked to come after those
// of the same producer that were asked before, or a whole window would come back
// for one place.
func (p *pair) wait(now time.Time, size float64, o *owed, names limitNames) (wait time.Duration, limit string) {
	m, b := p.messages.wait(now, 1), p.bytes.wait(now, size)
	if o != nil {
		if m > 0 {
			m += o.messages.promise(now, 1, p.messages.rate)
		}
		if b > 0 {
			b += o.bytes.promise(now, min(size, p.bytes.burst), p.bytes.rate)
		}
	}
	if b > m {
		return b, names.bytes
	}
	return m, names.messages
}

func (p *pair) take(size float64) {
	p.messages.tokens--
	p.bytes.tokens -= min(size, p.bytes.burst)
}

// maxPromise is how far ahead a message is asked to come back: what a client
// believes (bus.RetryAfter).
const maxPromise = time.Minute

// owed are the places that refused messages of one producer were asked to come
// back for. Nothing is kept free for them.
type owed struct{ messages, bytes leaky }

// promise returns how long the places that are owed already take, and adds n.
func (c *leaky) promise(now time.Time, n, rate float64) time.Duration {
	before := c.now(now, rate)
	most := rate * maxPromise.Seconds()
	c.level = min(before+n, most)
	return time.Duration(min(before, most) / rate * float64(time.Second))
}

// bucket is a token bucket, filled by time.
type bucket struct {
	rate, burst, tokens float64
	at                  time.Time
}

// set changes rate and size; a new bucket is full.
func (b *bucket) set(rate, burst float64) {
	if b.rate == 0 {
		b.tokens = burst
	}
	b.rate, b.burst = rate, burst
	b.tokens = min(b.tokens, burst)
}

// wait returns how long until there are n tokens; 0 when they are there.
func (b *bucket) wait(now time.Time, n float64) time.Duration {
	if d := now.Sub(b.at); d > 0 {
		if !b.at.IsZero() {
			b.tokens = min(b.burst, b.tokens+d.Seconds()*b.rate)
		}
		b.at = now
	}
	// Rounding must not make a message wait again that comes when it was asked to.
	missing := min(n, b.burst) - b.tokens
	if missing <= 1e-6 {
		return 0
	}
	return time.Duration(missing/b.rate*float64(time.Second)) + 1
}
