package status

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/tenants"
)

// limitFacts is what is known of the limits of one tenant.
type limitFacts struct {
	Tenant    event.Tenant
	Quota     tenants.Quota
	SpecBytes int64
	Devices   int
	Share     api.Rate // of the tenant's rates that each producer has in any case
	Producers []event.Producer
	Held      []api.HeldProducer // one for each producer that is held back
	Loads     []api.TenantLoad   // of each node that answered
	Silent    []string           // live nodes that did not
}

// limitRule is one limit: what is allowed, and how much of that is used.
type limitRule struct {
	name  string
	value func(f *limitFacts) int64
	used  func(f *limitFacts, p event.Producer) (n float64, known bool)
}

// tenantLimits are the limits of a tenant. Of a limit of each producer or user,
// what is used is what the one uses that uses most.
var tenantLimits = []limitRule{
	{api.LimitTenantMessages, quotaOf(func(q tenants.Quota) int64 { return int64(q.MessageRate) }), sumOf(func(l api.TenantLoad) float64 { return l.Messages })},
	{api.LimitTenantBytes, quotaOf(func(q tenants.Quota) int64 { return int64(q.ByteRate) }), sumOf(func(l api.TenantLoad) float64 { return l.Bytes })},
	{api.LimitProducerMessages, quotaOf(func(q tenants.Quota) int64 { return int64(q.ProducerMessageRate) }), mostOfProducers(func(f api.Flow) float64 { return f.Messages })},
	{api.LimitProducerBytes, quotaOf(func(q tenants.Quota) int64 { return int64(q.ProducerByteRate) }), mostOfProducers(func(f api.Flow) float64 { return f.Bytes })},
	{api.LimitMessageSize, quotaOf(func(q tenants.Quota) int64 { return int64(q.MessageSize) }), mostOf(func(l api.TenantLoad) float64 { return float64(l.Largest) })},
	{api.LimitStorage, quotaOf(func(q tenants.Quota) int64 { return int64(q.Storage) }), stored},
	shareRule(event.KindEvent), shareRule(event.KindState), shareRule(event.KindMetric), shareRule(event.KindDead),
	{api.LimitConnections, quotaOf(func(q tenants.Quota) int64 { return int64(q.Connections) }), sumOf(connections)},
	{api.LimitConnectionsPerUser, quotaOf(func(q tenants.Quota) int64 { return int64(q.ConnectionsPerUser) }), mostOfUsers},
	{api.LimitSubscriptions, quotaOf(func(q tenants.Quota) int64 { return int64(q.Subscriptions) }), mostOf(func(l api.TenantLoad) float64 { return float64(l.Subscriptions) })},
	{api.LimitConsumers, quotaOf(func(q tenants.Quota) int64 { return int64(q.Consumers) }), mostOf(mostConsumers)},
	{api.LimitMaxAckPending, quotaOf(func(q tenants.Quota) int64 { return int64(q.MaxAckPending) }), unknown},
	{api.LimitDevices, func(*limitFacts) int64 { return tenants.MaxDevices }, func(f *limitFacts, _ event.Producer) (float64, bool) { return float64(f.Devices), true }},
	{api.LimitSpecSize, func(*limitFacts) int64 { return tenants.MaxSpec }, func(f *limitFacts, _ event.Producer) (float64, bool) { return float64(f.SpecBytes), f.SpecBytes > 0 }},
}

// producerLimits are the limits of a producer: its own, and its share of the
// tenant's.
var producerLimits = []limitRule{
	{api.LimitProducerMessages, quotaOf(func(q tenants.Quota) int64 { return int64(q.ProducerMessageRate) }), ofProducer(func(f api.Flow) float64 { return f.Messages })},
	{api.LimitProducerBytes, quotaOf(func(q tenants.Quota) int64 { return int64(q.ProducerByteRate) }), ofProducer(func(f api.Flow) float64 { return f.Bytes })},
	{api.LimitTenantMessages, func(f *limitFacts) int64 { return int64(f.Share.Messages) }, ofProducer(func(f api.Flow) float64 { return f.Messages })},
	{api.LimitTenantBytes, func(f *limitFacts) int64 { return f.Share.Bytes }, ofProducer(func(f api.Flow) float64 { return f.Bytes })},
	{api.LimitConnectionsPerUser, quotaOf(func(q tenants.Quota) int64 { return int64(q.ConnectionsPerUser) }), ofUser},
}

// rows returns the rows of the tenant's limits, if those are asked for, and of its
// producers'. It is pure.
func (f *limitFacts) rows(tenant bool) (out []api.Limit) {
	if tenant {
		for _, r := range tenantLimits {
			out = append(out, f.row(r, ""))
		}
	}
	for _, p := range f.Producers {
		for _, r := range producerLimits {
			out = append(out, f.row(r, p))
		}
	}
	return out
}

func (f *limitFacts) row(r limitRule, p event.Producer) api.Limit {
	out := api.Limit{Tenant: string(f.Tenant), Producer: string(p), Limit: r.name, Value: r.value(f), Refused: f.refused(r.name, p), Hint: api.LiftHint(r.name)}
	if n, known := r.used(f, p); known {
		used := int64(math.Round(n))
		out.Used = &used
	} else if len(f.Silent) > 0 {
		out.Hint += fmt.Sprintf("; what is used is not known, since no figures come from %s: a node of an older version has none", strings.Join(slices.Sorted(slices.Values(f.Silent)), ", "))
	}
	for _, h := range f.Held {
		if h.Limit != r.name || p != "" && p != h.Producer {
			continue
		}
		if out.HeldBackSince == nil || h.Since.Before(*out.HeldBackSince) {
			since := h.Since.UTC().Truncate(time.Millisecond)
			out.HeldBackSince = &since
		}
		if p != "" {
			out.Hint = h.Hint()
		}
	}
	return out
}

// refused is how many messages or connections the nodes that answer have refused.
func (f *limitFacts) refused(limit string, p event.Producer) (n uint64) {
	for _, l := range f.Loads {
		switch {
		case p == "" && limit == api.LimitConnectionsPerUser:
			for _, closed := range l.Closed {
				n += closed
			}
		case p == "":
			n += l.Refused[limit]
		case limit == api.LimitConnectionsPerUser:
			n += l.Closed[string(p)]
		default:
			n += l.Producers[p].Refused[limit]
		}
	}
	return n
}

func quotaOf(field func(tenants.Quota) int64) func(*limitFacts) int64 {
	return func(f *limitFacts) int64 { return field(f.Quota) }
}

// whole reports whether every live node has given figures: without one of them a
// sum says too little.
func (f *limitFacts) whole() bool { return len(f.Silent) == 0 && len(f.Loads) > 0 }

func unknown(*limitFacts, event.Producer) (float64, bool) { return 0, false }

func sumOf(of func(api.TenantLoad) float64) func(*limitFacts, event.Producer) (float64, bool) {
	return func(f *limitFacts, _ event.Producer) (n float64, known bool) {
		for _, l := range f.Loads {
			n += of(l)
		}
		return n, f.whole()
	}
}

func mostOf(of func(api.TenantLoad) float64) func(*limitFacts, event.Producer) (float64, bool) {
	return func(f *limitFacts, _ event.Producer) (n float64, known bool) {
		for _, l := range f.Loads {
			n = max(n, of(l))
		}
		return n, f.whole()
	}
}

func ofProducer(of func(api.Flow) float64) func(*limitFacts, event.Producer) (float64, bool) {
	return func(f *limitFacts, p event.Producer) (n float64, known bool) {
		known = f.whole()
		for _, l := range f.Loads {
			load, named := l.Producers[p]
			n += of(load.Flow)
			known = known && (named || !l.More)
		}
		return n, known
	}
}

func mostOfProducers(of func(api.Flow) float64) func(*limitFacts, event.Producer) (float64, bool) {
	return func(f *limitFacts, _ event.Producer) (n float64, known bool) {
		sums := map[event.Producer]float64{}
		for _, l := range f.Loads {
			for p, load := range l.Producers {
				sums[p] += of(load.Flow)
				n = max(n, sums[p])
			}
		}
		return n, f.whole()
	}
}

func ofUser(f *limitFacts, p event.Producer) (n float64, known bool) {
	for _, l := range f.Loads {
		n += float64(l.Connections[string(p)])
	}
	return n, f.whole()
}

func mostOfUsers(f *limitFacts, _ event.Producer) (n float64, known bool) {
	sums := map[string]int{}
	for _, l := range f.Loads {
		for user, count := range l.Connections {
			sums[user] += count
			n = max(n, float64(sums[user]))
		}
	}
	return n, f.whole()
}

func connections(l api.TenantLoad) (n float64) {
	for _, count := range l.Connections {
		n += float64(count)
	}
	return n
}

func mostConsumers(l api.TenantLoad) (n float64) {
	for _, s := range l.Streams {
		n = max(n, float64(s.Consumers))
	}
	return n
}

// shareRule is a stream's share of the storage.
func shareRule(k event.Kind) limitRule {
	return limitRule{api.LimitStorageOf(k.Stream()), quotaOf(func(q tenants.Quota) int64 { return (&tenants.Spec{Quota: q}).Limits().Share(k) }),
		func(f *limitFacts, _ event.Producer) (float64, bool) {
			bytes, known := f.held()[k.Stream()]
			return float64(bytes), known
		}}
}

// held is what the streams hold, each as the replica that holds most has it: any node
// that answers may do, since each stream has several.
func (f *limitFacts) held() map[string]uint64 {
	most := map[string]uint64{}
	for _, l := range f.Loads {
		for name, s := range l.Streams {
			most[name] = max(most[name], s.Bytes)
		}
	}
	return most
}

func stored(f *limitFacts, _ event.Producer) (n float64, known bool) {
	most := f.held()
	for _, bytes := range most {
		n += float64(bytes)
	}
	return n, len(most) > 0
}
