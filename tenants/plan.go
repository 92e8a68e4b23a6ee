package tenants

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"midplane/event"
	"midplane/schemas"
)

// Verbs of a step.
const (
	Create = "create"
	Change = "change"
	Remove = "remove"
)

// Step is one difference between two specs, for a person: "change quota
// acme/storage: 1 GiB → 2 GiB".
type Step struct {
	Verb   string `json:"verb"`
	What   string `json:"what"` // kind and name, "device acme/syd/r1"
	Detail string `json:"detail,omitempty"`
}

// String prints it on one line.
func (s Step) String() string {
	if s.Detail == "" {
		return s.Verb + " " + s.What
	}
	return s.Verb + " " + s.What + ": " + s.Detail
}

// Plan returns what it takes to turn have into want, in a fixed order; nothing
// when they are equal. have is nil for a new tenant, want for one to be
// removed. It is pure.
func Plan(have, want *Spec) []Step {
	switch {
	case have == nil && want == nil:
		return nil
	case want == nil:
		return []Step{{Verb: Remove, What: "tenant " + string(have.ID), Detail: "with all its streams"}}
	}
	p := &plan{prefix: string(want.ID)}
	if have == nil {
		p.step(Create, "tenant", "", fmt.Sprintf("%s of storage, %d connections, %d messages/s",
			want.Quota.Storage.Spaced(), want.Quota.Connections, want.Quota.MessageRate))
		have = &Spec{Quota: want.Quota, Retention: want.Retention}
	} else {
		p.tenant(have, want)
	}
	p.sites(have.Sites, want.Sites)
	items(p, "subscription", have.Subscriptions, want.Subscriptions,
		func(s Subscription) string { return s.Application + "/" + s.Name }, describeSubscription, changedSubscription)
	items(p, "schema", have.Schemas, want.Schemas,
		func(s schemas.Schema) string { return string(s.Type) }, func(s schemas.Schema) string { return string(s.Kind) }, changedSchema)
	return p.steps
}

type plan struct {
	prefix string
	steps  []Step
}

func (p *plan) step(verb, noun, name, detail string) {
	if name != "" {
		name = "/" + name
	}
	p.steps = append(p.steps, Step{Verb: verb, What: noun + " " + p.prefix + name, Detail: detail})
}

func (p *plan) value(noun, name string, have, want any) {
	if have != want {
		p.step(Change, noun, name, show(have)+" → "+show(want))
	}
}

func (p *plan) tenant(have, want *Spec) {
	var d diff
	d.value("name", have.Name, want.Name)
	d.value("contact", have.Contact, want.Contact)
	d.value("policy", have.Policy, want.Policy)
	if len(d) > 0 {
		p.step(Change, "tenant", "", d.String())
	}
	p.value("quota", "storage", have.Quota.Storage, want.Quota.Storage)
	p.value("quota", "connections", have.Quota.Connections, want.Quota.Connections)
	p.value("quota", "messageRate", have.Quota.MessageRate, want.Quota.MessageRate)
	p.value("quota", "messageSize", have.Quota.MessageSize, want.Quota.MessageSize)
	p.value("quota", "connectionsPerUser", have.Quota.ConnectionsPerUser, want.Quota.ConnectionsPerUser)
	p.value("quota", "subscriptions", have.Quota.Subscriptions, want.Quota.Subscriptions)
	p.value("quota", "consumers", have.Quota.Consumers, want.Quota.Consumers)
	p.value("quota", "maxAckPending", have.Quota.MaxAckPending, want.Quota.MaxAckPending)
	p.value("quota", "byteRate", have.Quota.ByteRate, want.Quota.ByteRate)
	p.value("quota", "producerMessageRate", have.Quota.ProducerMessageRate, want.Quota.ProducerMessageRate)
	p.value("quota", "producerByteRate", have.Quota.ProducerByteRate, want.Quota.ProducerByteRate)
	p.value("retention", "events", have.Retention.Events, want.Retention.Events)
	p.value("retention", "metrics", have.Retention.Metrics, want.Retention.Metrics)
	p.value("retention", "dead", have.Retention.Dead, want.Retention.Dead)
}

func (p *plan) sites(have, want []Site) {
	empty := func(s Site) string { return count(len(s.Pollers), "poller") + ", " + count(len(s.Devices), "device") }
	items(p, "site", have, want, func(s Site) string { return string(s.ID) }, empty, func(h, w Site) string {
		var d diff
		d.value("name", h.Name, w.Name)
		return d.String()
	})
	was := byName(have, func(s Site) string { return string(s.ID) })
	for _, w := range want { // what belongs to a removed site is gone with it
		id := string(w.ID)
		h := was[id]
		items(p, "poller", h.Pollers, w.Pollers, func(x Poller) string { return id + "/" + string(x.ID) }, nothing[Poller], changedPoller)
		items(p, "device", h.Devices, w.Devices, func(x Device) string { return id + "/" + string(x.ID) },
			func(x Device) string { return x.Address }, changedDevice)
	}
}

func nothing[T any](T) string { return "" }

// items plans a list of named things: removed ones first, then the rest in the
// order of want.
func items[T any](p *plan, noun string, have, want []T, name, created func(T) string, changed func(have, want T) string) {
	was, is := byName(have, name), byName(want, name)
	for _, h := range have {
		if _, kept := is[name(h)]; !kept {
			p.step(Remove, noun, name(h), "")
		}
	}
	for _, w := range want {
		h, existed := was[name(w)]
		if !existed {
			p.step(Create, noun, name(w), created(w))
		} else if d := changed(h, w); d != "" {
			p.step(Change, noun, name(w), d)
		}
	}
}

func byName[T any](list []T, name func(T) string) map[string]T {
	out := make(map[string]T, len(list))
	for _, x := range list {
		out[name(x)] = x
	}
	return out
}

// diff collects what changed inside one thing.
type diff []string

func (d *diff) value(name string, have, want any) {
	if have != want {
		*d = append(*d, name+" "+show(have)+" → "+show(want))
	}
}

func (d diff) String() string { return strings.Join(d, ", ") }

func changedPoller(h, w Poller) string {
	var d diff
	d.value("embedded", h.Embedded, w.Embedded)
	return d.String()
}

func changedDevice(h, w Device) string {
	var d diff
	d.value("name", h.Name, w.Name)
	d.value("address", h.Address, w.Address)
	d.value("poller", cmp.Or(h.Poller, "any"), cmp.Or(w.Poller, event.Producer("any")))
	if !reflect.DeepEqual(h.SNMP, w.SNMP) {
		d = append(d, "snmp") // references only, but ten fields are too many to read
	}
	was, is := byName(h.Checks, checkName), byName(w.Checks, checkName)
	for _, c := range h.Checks {
		if _, kept := is[c.Name]; !kept {
			d = append(d, "check "+c.Name+" removed")
		}
	}
	for _, c := range w.Checks {
		o, existed := was[c.Name]
		if !existed {
			d = append(d, "check "+c.Name+" added")
		} else {
			d = append(d, changedCheck(o, c)...)
		}
	}
	if len(d) == 0 && !slices.EqualFunc(h.Checks, w.Checks, func(a, b Check) bool { return a.Name == b.Name }) {
		d = append(d, "order of checks") // the first one may decide whether the device is up
	}
	return d.String()
}

func checkName(c Check) string { return c.Name }

func changedCheck(h, w Check) diff {
	var d diff
	d.value("check "+w.Name+" collector", h.Collector, w.Collector)
	d.value("check "+w.Name+" interval", h.Interval, w.Interval)
	d.value("check "+w.Name+" timeout", h.Timeout, w.Timeout)
	if !maps.Equal(h.Params, w.Params) {
		d = append(d, "check "+w.Name+" params")
	}
	return d
}

func describeSubscription(s Subscription) string { return s.Stream }

func changedSubscription(h, w Subscription) string {
	var d diff
	d.value("stream", h.Stream, w.Stream)
	if !reflect.DeepEqual(h.Filter, w.Filter) {
		d = append(d, "filter")
	}
	d.value("whenFull", h.WhenFull, w.WhenFull)
	return d.String()
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
