// Package streams describes as data what exists in a tenant's JetStream account:
// its four streams, the declared durable consumers, and which messages may be
// trimmed. Plans are pure; only Ensure, EnsureConsumers, Purge, FirstSince,
// GetMessage and what reads (reader.go) talk to a server, over a connection that
// their caller gives them.
// It may import event, fault, subject and the NATS client.
package streams

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/event"
	"midplane/subject"
)

// MetaOwner is the metadata key that marks a stream or consumer as ours, Owner
// its value. A consumer without it is never deleted.
const (
	MetaOwner = "owner"
	Owner     = "midplane"
)

// How long a stream remembers message ids. It only has to outlast what is still
// under way: a node that stood still discards what waited in it once that was
// 10 seconds, and a client tries again after 5; after it, readers find duplicates
// by their own keys. Hours would cost gigabytes: about 210 bytes per id and node.
//
// METRICS, which fills fastest, remembers for less: nothing inside the window may
// be purged, so a busy METRICS would be full of what may not go. No window is
// below MetricsWindow.
const (
	DuplicateWindow = 10 * time.Minute
	MetricsWindow   = 2 * time.Minute
)

// Window returns how long the stream that keeps kind k remembers message ids.
func Window(k event.Kind) time.Duration {
	if k == event.KindMetric {
		return MetricsWindow
	}
	return DuplicateWindow
}

// Limits is how much a tenant's streams may hold. Bytes are those of one copy,
// not multiplied by the number of replicas.
type Limits struct {
	Events, State, Metrics, Dead int64 // the share of each stream

	MaxMsgSize int32 // bytes of headers and payload together; 0 means 1 MiB
	Replicas   int   // 0 means 3
	// Unbounded leaves the shares to the doors, and the sum to the account: with a
	// MaxBytes the server sums up all subjects in flight for every message.
	Unbounded bool
}

const (
	defaultReplicas   = 3
	defaultMaxMsgSize = 1 << 20 // the payload limit of every account
)

// Shares of the storage quota in percent. Together they are 100, so that a
// tenant's streams can never ask for more than its account allows.
const (
	shareEvents  = 45
	shareState   = 20
	shareMetrics = 25
)

// The least of what an account may store beyond its tenant's quota, and the part
// of the quota that it is above that.
const (
	minReserve  = 8 << 20
	reservePart = 16
)

// Reserve is what an account whose streams are unbounded may store beyond its
// quota: what the control plane publishes past the doors, and what was in flight
// when a door found a share used up. One stream cannot use up another's share then.
func Reserve(storage int64) int64 { return max(storage/reservePart, minReserve) }

// Split divides a tenant's storage quota (bytes of one copy) among its streams:
// events 45 %, state 20 %, metrics 25 %, and the rest for dead letters.
func Split(storage int64) Limits {
	part := func(percent int64) int64 { return storage/100*percent + storage%100*percent/100 }
	l := Limits{Events: part(shareEvents), State: part(shareState), Metrics: part(shareMetrics)}
	l.Dead = storage - l.Events - l.State - l.Metrics
	return l
}

// Share returns how much the stream that keeps kind k may hold, never below 1:
// to the server 0 means unlimited.
func (l Limits) Share(k event.Kind) int64 {
	var n int64
	switch k {
	case event.KindEvent:
		n = l.Events
	case event.KindState:
		n = l.State
	case event.KindMetric:
		n = l.Metrics
	case event.KindDead:
		n = l.Dead
	}
	return max(n, 1)
}

// Tenant returns the streams of a tenant whose ingress publishes under caps:
// one capability, or two while one is rotated out. The configurations carry
// the capabilities, so they are never printed or logged.
func Tenant(limits Limits, caps ...subject.Capability) []jetstream.StreamConfig {
	out := make([]jetstream.StreamConfig, 0, len(event.Kinds))
	for _, k := range event.Kinds {
		out = append(out, stream(k, limits, caps))
	}
	return out
}

func stream(k event.Kind, l Limits, caps []subject.Capability) jetstream.StreamConfig {
	cfg := jetstream.StreamConfig{
		Name:              k.Stream(),
		Retention:         jetstream.LimitsPolicy,
		MaxConsumers:      -1,
		MaxMsgs:           -1,
		MaxBytes:          l.Share(k),
		Discard:           jetstream.DiscardNew, // a full stream refuses; nothing unread is dropped
		MaxMsgsPerSubject: -1,
		MaxMsgSize:        l.MaxMsgSize,
		Storage:           jetstream.FileStorage,
		Replicas:          l.Replicas,
		Duplicates:        Window(k),
		DenyDelete:        true, // of single messages; the trimmer purges
		Compression:       jetstream.NoCompression,
		SubjectTransform: &jetstream.SubjectTransformConfig{
			Source: subject.TransformFrom(k), Destination: subject.TransformTo(k),
		},
		Metadata: map[string]string{MetaOwner: Owner},
	}
	if l.Unbounded {
		cfg.MaxBytes = -1
	}
	if k == event.KindState {
		cfg.MaxMsgsPerSubject = 1
	}
	if cfg.MaxMsgSize <= 0 {
		cfg.MaxMsgSize = defaultMaxMsgSize
	}
	if cfg.Replicas <= 0 {
		cfg.Replicas = defaultReplicas
	}
	for _, c := range caps {
		cfg.Subjects = append(cfg.Subjects, c.Listen(k))
	}
	return cfg
}
