package ingress

import (
	"sync"
	"time"

	"midplane/event"
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
	flood     flood
}

// flow is what one producer sends here.
type flow struct {
	pair
	refused float64 // lately: halved whenever somebody is shut out
}

// verdict is what the limiter says of a message.
type verdict struct {
	wait  time.Duration  // 0: it may pass
	whose string         // "producer" or "tenant"
	what  string         // "message rate" or "byte rate"
	flood event.Producer // who is to be shut out, "" normally: see flood.go
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
	largest := float64(q.MessageSize) + maxHeaderBytes + 512
	l.tenant.set(float64(q.MessageRate)/float64(nodes), float64(q.ByteRate)/float64(nodes), largest)
	for _, f := range l.producers {
		l.setFlow(f, largest)
	}
}

func (l *limiter) setFlow(f *flow, largest float64) {
	f.set(float64(l.quota.ProducerMessageRate), float64(l.quota.ProducerByteRate), largest)
}

// keep forgets the producers that known does not know.
func (l *limiter) keep(known map[string]User) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.producers {
		if _, ok := known[string(p)]; !ok {
			delete(l.producers, p)
		}
	}
}

// allow takes a message of size bytes, or says when to come back and why.
func (l *limiter) allow(now time.Time, producer event.Producer, known bool, size int) verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	var f *flow
	if known { // whoever is not known is refused anyway, and not remembered
		if f = l.producers[producer]; f == nil {
			f = &flow{}
			l.setFlow(f, float64(l.quota.MessageSize)+maxHeaderBytes+512)
			l.producers[producer] = f
		}
		if wait, what := f.wait(now, float64(size)); wait > 0 {
			return verdict{wait: wait, whose: "producer", what: what, flood: l.refused(now, f)}
		}
	}
	if wait, what := l.tenant.wait(now, float64(size)); wait > 0 {
		return verdict{wait: wait, whose: "tenant", what: what, flood: l.refused(now, f)}
	}
	if f != nil {
		f.take(float64(size))
	}
	l.tenant.take(float64(size))
	return verdict{}
}

// pair is a rate of messages and one of bytes.
type pair struct{ messages, bytes bucket }

func (p *pair) set(messages, bytes, largest float64) {
	p.messages.set(messages, max(messages, 1))
	// The largest message must fit, or it would wait for ever.
	p.bytes.set(bytes, max(bytes, largest))
}

func (p *pair) wait(now time.Time, size float64) (wait time.Duration, what string) {
	m, b := p.messages.wait(now, 1), p.bytes.wait(now, size)
	if b > m {
		return b, "byte rate"
	}
	return m, "message rate"
}

func (p *pair) take(size float64) {
	p.messages.tokens--
	p.bytes.tokens -= min(size, p.bytes.burst)
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

// wait says how long until there are n tokens; 0 when they are there.
func (b *bucket) wait(now time.Time, n float64) time.Duration {
	if d := now.Sub(b.at); d > 0 {
		if !b.at.IsZero() {
			b.tokens = min(b.burst, b.tokens+d.Seconds()*b.rate)
		}
		b.at = now
	}
	// Rounding must not make who came back when told wait again.
	missing := min(n, b.burst) - b.tokens
	if missing <= 1e-6 {
		return 0
	}
	return time.Duration(missing/b.rate*float64(time.Second)) + 1
}
