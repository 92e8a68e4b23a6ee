package ingress

import (
	"cmp"
	"slices"
	"time"

	"midplane/api"
	"midplane/event"
)

// load is what a limiter knows of a flow besides its buckets: what was accepted
// lately, and what was refused so far.
type load struct {
	accepted recent
	refused  refusedBy
}

// refusedBy counts refusals, in the order of api.Limits.
type refusedBy [4]uint64

func (r *refusedBy) add(limit string) { r[max(0, slices.Index(api.Limits, limit))]++ }

// byName returns the counts that are not 0.
func (r *refusedBy) byName() map[string]uint64 {
	var out map[string]uint64
	for i, n := range r {
		if n > 0 {
			if out == nil {
				out = map[string]uint64{}
			}
			out[api.Limits[i]] = n
		}
	}
	return out
}

// recentSeconds is over how many whole seconds a rate is the mean.
const recentSeconds = 5

// recent counts what was accepted in each of the last seconds.
type recent [recentSeconds + 1]struct {
	second          int64 // Unix time
	messages, bytes uint64
}

func (r *recent) add(now time.Time, size int) {
	second := now.Unix()
	s := &r[second%int64(len(r))]
	if s.second != second {
		s.second, s.messages, s.bytes = second, 0, 0
	}
	s.messages++
	s.bytes += uint64(size)
}

// rate returns the mean of the last whole seconds.
func (r *recent) rate(now time.Time) (messages, bytes float64) {
	second := now.Unix()
	for _, s := range r {
		if s.second < second && s.second >= second-recentSeconds {
			messages += float64(s.messages)
			bytes += float64(s.bytes)
		}
	}
	return messages / recentSeconds, bytes / recentSeconds
}

func (l *load) flow(now time.Time) api.Flow {
	messages, bytes := l.accepted.rate(now)
	return api.Flow{Messages: messages, Bytes: bytes, Refused: l.refused.byName()}
}

// Producers that metrics name at one door, and what they call all others:
// every name is a series, which Prometheus keeps.
const (
	maxApart    = 32
	otherLabels = "_others" // no producer can have the name
)

// countRefusal counts a refusal; f is nil for a producer that is not known. The
// first producers that are refused are named in metrics. The mutex is held.
func (l *limiter) countRefusal(f *flow, limit string) {
	l.load.refused.add(limit)
	if f == nil {
		l.others.add(limit)
		return
	}
	f.load.refused.add(limit)
	if f.apart == nil && l.apart < maxApart {
		f.apart = &refusedBy{}
		l.apart++
	}
	if f.apart == nil {
		l.others.add(limit)
		return
	}
	f.apart.add(limit)
}

// refusedByProducer returns the refusals by the labels of metrics.
func (l *limiter) refusedByProducer() map[string]refusedBy {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string]refusedBy{otherLabels: l.others}
	for p, f := range l.producers {
		if f.apart != nil {
			out[string(p)] = *f.apart
		}
	}
	return out
}

// maxLoads is how many producers of a tenant a node reports: its answer must fit
// into one message.
const maxLoads = 2000

// loads returns what the limiter sees of the tenant and of its producers that
// have figures, those first that were refused most.
func (l *limiter) loads(now time.Time) api.TenantLoad {
	held := l.held(now)
	l.mu.Lock()
	defer l.mu.Unlock()
	out := api.TenantLoad{Flow: l.load.flow(now), Producers: map[event.Producer]api.ProducerLoad{}}
	type named struct {
		producer event.Producer
		api.ProducerLoad
		refused uint64
	}
	var all []named
	for p, f := range l.producers {
		n := named{producer: p, ProducerLoad: api.ProducerLoad{Flow: f.load.flow(now)}}
		for _, count := range n.Refused {
			n.refused += count
		}
		if h, ok := held[p]; ok {
			n.Held = &h
		}
		if n.Messages > 0 || n.refused > 0 || n.Held != nil {
			all = append(all, n)
		}
	}
	slices.SortFunc(all, func(a, b named) int {
		return cmp.Or(cmp.Compare(b.refused, a.refused), cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.producer, b.producer))
	})
	out.More = len(all) > maxLoads
	for _, n := range all[:min(len(all), maxLoads)] {
		out.Producers[n.producer] = n.ProducerLoad
	}
	return out
}

// Load returns what this node's door of a tenant sees; false when it has none.
func (i *Ingress) Load(tenant event.Tenant) (out api.TenantLoad, ok bool) {
	i.mu.Lock()
	d := i.doors[tenant]
	i.mu.Unlock()
	if d == nil {
		return out, false
	}
	now := time.Now()
	out = d.limit.loads(now)
	users := d.snapshot.Load().Users
	for p, load := range out.Producers {
		if load.Held == nil {
			continue
		}
		load.ShutOut = d.excluded.until(users[string(p)].Key, now)
		out.Producers[p] = load
	}
	out.Largest = d.counts.largest.Load()
	count := func(limit string, n uint64) {
		if n > 0 {
			if out.Refused == nil {
				out.Refused = map[string]uint64{}
			}
			out.Refused[limit] += n
		}
	}
	count(api.LimitMessageSize, d.counts.tooLarge.Load())
	for k := range d.counts.full {
		n := d.counts.full[k].Load()
		count(api.LimitStorage, n)
		count(api.LimitStorageOf(event.Kinds[k].Stream()), n)
	}
	return out, true
}
