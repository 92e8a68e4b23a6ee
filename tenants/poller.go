package tenants

import (
	"hash/fnv"
	"iter"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/internal/spread"
	"midplane/streams"
)

// PollerAt is a declared poller and its site.
type PollerAt struct {
	Site event.Site
	Poller
}

// Pollers returns every declared poller, in the order of the file.
func (s *Spec) Pollers() []PollerAt {
	var out []PollerAt
	for _, site := range s.Sites {
		for _, p := range site.Pollers {
			out = append(out, PollerAt{Site: site.ID, Poller: p})
		}
	}
	return out
}

// SiteOf returns the site that a poller is declared at.
func (s *Spec) SiteOf(poller event.Producer) (Site, bool) {
	for _, site := range s.Sites {
		if slices.ContainsFunc(site.Pollers, func(p Poller) bool { return p.ID == poller }) {
			return site, true
		}
	}
	return Site{}, false
}

// PollerIDs returns the ids of the site's pollers, in the order of the file.
func (s Site) PollerIDs() (out []event.Producer) {
	for _, p := range s.Pollers {
		out = append(out, p.ID)
	}
	return out
}

// DeclaredDevice is what is published of a device so that one never polled
// shows, too.
type DeclaredDevice struct {
	Site event.Site
	event.Declared
}

// Declared returns every device with the poller that watches it, in the order
// of the file.
func (s *Spec) Declared() []DeclaredDevice {
	var out []DeclaredDevice
	for _, site := range s.Sites {
		for _, d := range site.Devices {
			out = append(out, DeclaredDevice{Site: site.ID, Declared: site.Declared(d)})
		}
	}
	return out
}

// Declared is what is published of a device of the site.
func (s Site) Declared(d Device) event.Declared {
	return event.Declared{Device: d.ID, Address: d.Address, Name: d.Name, Poller: string(s.watcher(d))}
}

// PollerConfig returns what a poller has to do: the devices that name it and
// its share of those that name none. false means that no such poller is
// declared. The registry's revision is left to the caller.
func (s *Spec) PollerConfig(poller event.Producer) (api.PollerConfig, bool) {
	site, ok := s.SiteOf(poller)
	if !ok {
		return api.PollerConfig{}, false
	}
	return api.PollerConfig{Tenant: s.ID, Site: site.ID, Poller: poller, Devices: site.Watched(poller, site.Devices)}, true
}

// Watched returns what a poller of the site has to do about those of some of the
// site's devices that it watches.
func (s Site) Watched(poller event.Producer, devices []Device) (out []api.PollerDevice) {
	for _, d := range devices {
		if s.watcher(d) == poller {
			out = append(out, d.forPoller())
		}
	}
	return out
}

// CountWatched is how many devices a poller watches.
func (s *Spec) CountWatched(poller event.Producer) (n int) {
	for range s.WatchedBy(poller) {
		n++
	}
	return n
}

// WatchedBy yields the devices that a poller watches.
func (s *Spec) WatchedBy(poller event.Producer) iter.Seq[Device] {
	return func(yield func(Device) bool) {
		site, _ := s.SiteOf(poller) // without it there are no devices
		for _, d := range site.Devices {
			if site.watcher(d) == poller && !yield(d) {
				return
			}
		}
	}
}

// Pace returns how fast each of a number of pollers may send: it begins with its
// part of what one of the nodes lets in of the tenant, since all may be
// connected to the same one, and never sends more than one producer may.
func (s *Spec) Pace(nodes, pollers int) api.Pace {
	q := s.Quota
	parts := max(nodes, 1) * max(pollers, 1)
	limit := api.Rate{Messages: q.ProducerMessageRate, Bytes: int64(q.ProducerByteRate)}
	return api.Pace{Limit: limit, Share: api.Rate{
		Messages: max(1, min(limit.Messages, q.MessageRate/parts)),
		Bytes:    max(1, min(limit.Bytes, int64(q.ByteRate)/int64(parts))),
	}}
}

// Secrets returns the names of the secrets that the spec refers to as
// "secret:NAME", in order, each once.
func (s *Spec) Secrets() []string {
	out := []string{}
	for _, site := range s.Sites {
		for _, d := range site.Devices {
			out = d.SNMP.AppendSecrets(out)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// SecretsOf is Secrets of what one poller watches.
func (s *Spec) SecretsOf(poller event.Producer) []string {
	out := []string{}
	for d := range s.WatchedBy(poller) {
		out = d.SNMP.AppendSecrets(out)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// watcher returns the poller that watches d: the one it names, or the winner
// of a rendezvous, so that adding or removing a poller moves only the devices
// that it wins or loses.
func (s Site) watcher(d Device) event.Producer {
	if d.Poller != "" {
		return d.Poller
	}
	var best event.Producer
	var highest uint64
	for _, p := range s.Pollers {
		if w := weight(p.ID, d.ID); best == "" || w > highest || w == highest && p.ID < best {
			best, highest = p.ID, w
		}
	}
	return best
}

func weight(p event.Producer, d event.Entity) uint64 {
	h := fnv.New64a()
	h.Write([]byte(p))
	h.Write([]byte{0})
	h.Write([]byte(d))
	return spread.Mix(h.Sum64()) // the highest bits decide
}

func (d Device) forPoller() api.PollerDevice {
	out := api.PollerDevice{ID: d.ID, Name: d.Name, Address: d.Address}
	if d.SNMP != nil {
		snmp := *d.SNMP
		out.SNMP = &snmp
	}
	for _, c := range d.resolvedChecks() {
		out.Checks = append(out.Checks, api.PollerCheck{
			Name: c.Name, Collector: c.Collector, Interval: c.Interval, Timeout: c.Timeout, Params: c.Params,
		})
	}
	return out
}

// Limits returns the limits of the tenant's streams.
func (s *Spec) Limits() streams.Limits { return streams.Split(int64(s.Quota.Storage)) }

// RetentionOf returns how long what has been read of kind k is kept; 0 means
// for ever.
func (s *Spec) RetentionOf(k event.Kind) api.Duration {
	switch k {
	case event.KindEvent:
		return s.Retention.Events
	case event.KindMetric:
		return s.Retention.Metrics
	case event.KindDead:
		return s.Retention.Dead
	}
	return 0
}

// Consumers returns the durable consumers that the subscriptions on a stream
// declare. The error is Invalid; a validated spec gives none.
func (s *Spec) Consumers(stream string) ([]jetstream.ConsumerConfig, error) {
	var out []jetstream.ConsumerConfig
	for _, sub := range s.Subscriptions {
		if sub.Stream != stream {
			continue
		}
		filters, err := streams.Filters(event.KindOfStream(stream), sub.Filter.Severity, sub.Filter.Type, sub.Filter.Site)
		if err != nil {
			return nil, err
		}
		out = append(out, streams.Durable(sub.Application, sub.Name, stream, filters))
	}
	return out, nil
}
