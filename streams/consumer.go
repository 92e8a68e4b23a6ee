package streams

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/event"
	"midplane/fault"
	"midplane/subject"
)

// Settings of every durable consumer.
const (
	AckWait       = 60 * time.Second
	MaxDeliver    = 10
	MaxAckPending = 1000
)

// MaxFilters bounds the number of filters that a subscription's lists multiply
// out to: the server compares every filter with every other.
const MaxFilters = 256

// DurableName returns the name of the durable consumer of a declared
// subscription. It is unambiguous: neither name has an underscore.
func DurableName(app, name string) string { return app + durableSeparator + name }

const durableSeparator = "_"

// Durable returns the consumer of the subscription name that application app
// has declared on a stream, with the filters of Filters (none: everything).
func Durable(app, name, stream string, filters []string) jetstream.ConsumerConfig {
	if len(filters) == 0 {
		filters = []string{subject.StoredOf(event.KindOfStream(stream))}
	}
	return jetstream.ConsumerConfig{
		Durable:        DurableName(app, name),
		Name:           DurableName(app, name),
		DeliverPolicy:  jetstream.DeliverAllPolicy,
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        AckWait,
		MaxDeliver:     MaxDeliver,
		MaxAckPending:  MaxAckPending,
		ReplayPolicy:   jetstream.ReplayInstantPolicy,
		FilterSubjects: filters,
		Metadata:       map[string]string{MetaOwner: Owner, "application": app, "subscription": name},
	}
}

// Filters returns the subject filters for messages of kind k with one of the
// severities, one of the types and one of the sites; an empty list means any. A
// type without its version stands for all types that begin with it
// ("net.interface"). No two filters overlap, since the server refuses filters
// that do. The error is Invalid.
func Filters(k event.Kind, severities []event.Severity, types []string, sites []event.Site) ([]string, error) {
	switch {
	case k.Stream() == "":
		return nil, fault.New(fault.Invalid, "there is no stream of kind %q", string(k))
	case len(severities) > 0 && k != event.KindEvent:
		return nil, fault.WithHint(fault.New(fault.Invalid, "stream %s cannot be filtered by severity", k.Stream()),
			"only messages in %s have one", event.StreamEvents)
	case len(sites) > 0 && k == event.KindDead:
		return nil, fault.New(fault.Invalid, "stream %s cannot be filtered by site: dead letters are kept by producer", k.Stream())
	}
	if err := checkFilter(severities, types, sites); err != nil {
		return nil, err
	}
	sev, typ, site := unique(severities), outermost(types), unique(sites)
	if n := max(len(sev), 1) * max(len(typ), 1) * max(len(site), 1); n > MaxFilters {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the filter multiplies out to %d subjects, at most %d are allowed", n, MaxFilters),
			"use a type's first words, or split the subscription in two")
	}
	var out []string
	for _, si := range orAny(site) {
		for _, se := range orAny(sev) {
			for _, t := range orAny(typ) {
				out = append(out, subject.Filter(k, si, se, t))
			}
		}
	}
	return out, nil
}

// checkFilter keeps wildcards and empty tokens out of the subjects of filters.
func checkFilter(severities []event.Severity, types []string, sites []event.Site) error {
	for _, s := range severities {
		if s.Level() < 0 {
			return fault.WithHint(fault.New(fault.Invalid, "severity %q is not one of RFC 5424", string(s)),
				"emergency, alert, critical, error, warning, notice, info or debug")
		}
	}
	for _, t := range types {
		if event.CheckType(event.Type(t)) != nil && event.CheckType(event.Type(t+".v1")) != nil {
			return fault.WithHint(fault.New(fault.Invalid, "type %q is neither a type nor the first words of one", t),
				"like net.interface.status.v1, or net.interface for all below it")
		}
	}
	for _, s := range sites {
		if s == event.NoSite {
			continue
		}
		if err := event.CheckName("site", string(s)); err != nil {
			return err
		}
	}
	return nil
}

func unique[T ~string](list []T) []T {
	return slices.Compact(slices.Sorted(slices.Values(list)))
}

func orAny[T ~string](list []T) []T {
	if len(list) == 0 {
		return []T{""}
	}
	return list
}

// outermost drops every type that another type of the list covers.
func outermost(types []string) []string {
	all := unique(types)
	return slices.DeleteFunc(slices.Clone(all), func(t string) bool {
		return slices.ContainsFunc(all, func(o string) bool {
			return event.CheckType(event.Type(o)) != nil && strings.HasPrefix(t, o+".")
		})
	})
}

// PlanConsumers returns the steps that turn the consumers of a stream into those
// of want. A consumer without our metadata is left alone, unless it has a name
// of want: then it becomes ours.
func PlanConsumers(stream string, want, have []jetstream.ConsumerConfig) []Step {
	var steps []Step
	for _, h := range have {
		wanted := slices.ContainsFunc(want, func(w jetstream.ConsumerConfig) bool { return w.Durable == h.Durable })
		if !wanted && h.Durable != "" && h.Metadata[MetaOwner] == Owner {
			steps = append(steps, Step{Verb: Delete, What: consumerName(stream, h), consumer: h})
		}
	}
	for _, w := range want {
		i := slices.IndexFunc(have, func(h jetstream.ConsumerConfig) bool { return h.Durable == w.Durable })
		if i < 0 {
			steps = append(steps, Step{Verb: Create, What: consumerName(stream, w), consumer: w})
			continue
		}
		if merged, changes := mergeConsumer(w, have[i]); len(changes) > 0 {
			steps = append(steps, Step{Verb: Update, What: consumerName(stream, w), Detail: strings.Join(changes, ", "), consumer: merged})
		}
	}
	return steps
}

func consumerName(stream string, c jetstream.ConsumerConfig) string {
	return "consumer " + stream + "/" + c.Durable
}

func mergeConsumer(w, h jetstream.ConsumerConfig) (jetstream.ConsumerConfig, []string) {
	var c []string
	if h.FilterSubject != "" { // the server keeps a single filter in a field of its own
		h.FilterSubjects, h.FilterSubject = []string{h.FilterSubject}, ""
	}
	if !sameSet(w.FilterSubjects, h.FilterSubjects) {
		change(&c, "filter", &h.FilterSubjects, w.FilterSubjects, false)
	}
	change(&c, "deliver policy", &h.DeliverPolicy, w.DeliverPolicy, false)
	change(&c, "ack policy", &h.AckPolicy, w.AckPolicy, false)
	change(&c, "ack wait", &h.AckWait, w.AckWait, false)
	change(&c, "max deliver", &h.MaxDeliver, w.MaxDeliver, false)
	change(&c, "max ack pending", &h.MaxAckPending, w.MaxAckPending, false)
	change(&c, "replay policy", &h.ReplayPolicy, w.ReplayPolicy, false)
	change(&c, "headers only", &h.HeadersOnly, w.HeadersOnly, false)
	change(&c, "deliver subject", &h.DeliverSubject, w.DeliverSubject, false)
	change(&c, "memory storage", &h.MemoryStorage, w.MemoryStorage, false)
	h.Metadata = mergeMetadata(&c, w.Metadata, maps.Clone(h.Metadata))
	return h, c
}

// EnsureConsumers makes the declared consumers of a stream exist as configured,
// and deletes those of ours that are no longer declared. It returns the steps
// that were done; doing it again changes nothing. After a temporary error it
// tries again while ctx lives.
func EnsureConsumers(ctx context.Context, js jetstream.JetStream, stream string, want []jetstream.ConsumerConfig) ([]Step, error) {
	var done []Step
	err := retry(ctx, "consumers of "+stream, func(ctx context.Context) error {
		if len(want) == 0 {
			// To list consumers, each one's leader is asked; their names are known to one.
			if none, err := noneDeclared(ctx, js, stream); none || err != nil {
				return err
			}
		}
		have, err := readConsumers(ctx, js, stream)
		if err != nil {
			return err
		}
		for _, s := range PlanConsumers(stream, want, have) {
			if err := applyConsumer(ctx, js, stream, s); err != nil {
				return fmt.Errorf("%s %s: %w", s.Verb, s.What, err)
			}
			done = append(done, s)
		}
		return nil
	})
	return done, err
}

// noneDeclared reports whether no consumer of a stream can be a subscription's, by
// the names.
func noneDeclared(ctx context.Context, js jetstream.JetStream, stream string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*requestTimeout)
	defer cancel()
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return false, fmt.Errorf("read stream %s: %w", stream, err)
	}
	none := true
	list := s.ConsumerNames(ctx)
	for name := range list.Name() {
		if !strings.HasPrefix(name, event.SystemPrefix) && strings.Contains(name, durableSeparator) {
			none = false
		}
	}
	if err := list.Err(); err != nil {
		return false, fmt.Errorf("list consumers of %s: %w", stream, err)
	}
	return none, nil
}

func readConsumers(ctx context.Context, js jetstream.JetStream, stream string) ([]jetstream.ConsumerConfig, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*requestTimeout)
	defer cancel()
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", stream, err)
	}
	var have []jetstream.ConsumerConfig
	list := s.ListConsumers(ctx)
	for info := range list.Info() {
		have = append(have, info.Config)
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("list consumers of %s: %w", stream, err)
	}
	return have, nil
}

func applyConsumer(ctx context.Context, js jetstream.JetStream, stream string, s Step) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var err error
	switch s.Verb {
	case Create:
		_, err = js.CreateConsumer(ctx, stream, s.consumer)
	case Update:
		_, err = js.UpdateConsumer(ctx, stream, s.consumer)
	case Delete:
		err = js.DeleteConsumer(ctx, stream, s.consumer.Durable)
	}
	return err
}
