package tenants

import (
	"encoding/json"
	"time"

	"midplane/api"
)

// The defaults. Every one is finite.
const (
	// METRICS' share of it holds 24 hours of 500 SNMP devices of ten interfaces that
	// are asked once a minute.
	DefaultStorage     Bytes = 4 << 30
	DefaultConnections       = 100
	DefaultMessageRate       = 6000
	DefaultMessageSize Bytes = 256 << 10

	DefaultConnectionsPerUser = 4
	DefaultSubscriptions      = 256
	DefaultConsumers          = 64
	DefaultMaxAckPending      = 10_000
	// What follows from other numbers of the quota when the file does not say.
	bytesPerMessage Bytes = 4 << 10
	producerPart          = 4 // one producer has a fourth of the tenant's rates

	DefaultRetentionEvents  = 30 * 24 * time.Hour
	DefaultRetentionMetrics = 24 * time.Hour
	DefaultRetentionDead    = 7 * 24 * time.Hour

	DefaultInterval     = 30 * time.Second
	DefaultSNMPInterval = 60 * time.Second
	DefaultTimeout      = 5 * time.Second
	DefaultSNMPPort     = 161
)

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// normalise fills the defaults in and gives everything empty one form, so that
// equal specs are equal as values and as JSON. It is idempotent.
func (s *Spec) normalise() {
	setDefault(&s.Name, string(s.ID))
	setDefault(&s.Policy, PolicyEnforce)
	setDefault(&s.Quota.Storage, DefaultStorage)
	setDefault(&s.Quota.Connections, DefaultConnections)
	setDefault(&s.Quota.MessageRate, DefaultMessageRate)
	setDefault(&s.Quota.MessageSize, DefaultMessageSize)
	s.Quota.normalise()
	setDefault(&s.Retention.Events, api.Duration(DefaultRetentionEvents))
	setDefault(&s.Retention.Metrics, api.Duration(DefaultRetentionMetrics))
	setDefault(&s.Retention.Dead, api.Duration(DefaultRetentionDead))
	s.Sites = emptyIsNil(s.Sites)
	for i := range s.Sites {
		site := &s.Sites[i]
		setDefault(&site.Name, string(site.ID))
		site.Pollers = emptyIsNil(site.Pollers)
		site.Devices = emptyIsNil(site.Devices)
		for j := range site.Devices {
			site.Devices[j].normalise()
		}
	}
	s.Subscriptions = emptyIsNil(s.Subscriptions)
	for i := range s.Subscriptions {
		sub := &s.Subscriptions[i]
		setDefault(&sub.WhenFull, WhenFullHold)
		sub.Filter.Severity = emptyIsNil(sub.Filter.Severity)
		sub.Filter.Type = emptyIsNil(sub.Filter.Type)
		sub.Filter.Site = emptyIsNil(sub.Filter.Site)
	}
	s.Schemas = emptyIsNil(s.Schemas)
	for i := range s.Schemas {
		sc := &s.Schemas[i]
		setDefault(&sc.Version, 1)
		sc.Schema, sc.Example = canonical(sc.Schema), canonical(sc.Example)
	}
}

// normalise fills in the limits that follow from others. The fourth that one
// producer has by default is less than a node's share on three nodes: alone it
// cannot use up what the tenant's others need there.
func (q *Quota) normalise() {
	setDefault(&q.ConnectionsPerUser, DefaultConnectionsPerUser)
	setDefault(&q.Subscriptions, DefaultSubscriptions)
	setDefault(&q.Consumers, DefaultConsumers)
	setDefault(&q.MaxAckPending, DefaultMaxAckPending)
	setDefault(&q.ByteRate, min(max(Bytes(q.MessageRate)*bytesPerMessage, MinByteRate), MaxByteRate))
	setDefault(&q.ProducerMessageRate, max(q.MessageRate/producerPart, 1))
	setDefault(&q.ProducerByteRate, max(q.ByteRate/producerPart, MinByteRate))
}

func (d *Device) normalise() {
	if d.SNMP != nil {
		setDefault(&d.SNMP.Port, DefaultSNMPPort)
		if d.SNMP.Version == "" && d.SNMP.Community != "" {
			d.SNMP.Version = "2c"
		}
		if d.SNMP.Version == "" && d.SNMP.User != "" {
			d.SNMP.Version = "3"
		}
	}
	d.Checks = emptyIsNil(d.Checks)
	for i := range d.Checks {
		c := &d.Checks[i]
		setDefault(&c.Interval, api.Duration(DefaultInterval))
		setDefault(&c.Timeout, min(api.Duration(DefaultTimeout), c.Interval))
		if len(c.Params) == 0 {
			c.Params = nil
		}
	}
}

func emptyIsNil[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

// canonical gives JSON the form it has inside a spec's JSON; what is no JSON
// stays, for the validation to complain about.
func canonical(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return nil
	}
	out, err := json.Marshal(raw)
	if err != nil {
		return raw
	}
	return out
}
