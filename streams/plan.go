package streams

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Verbs of a step.
const (
	Create = "create"
	Update = "update"
	Delete = "delete" // consumers only; a stream is never deleted by a plan
)

// Step is one step towards the wanted streams or consumers. Detail names what
// changes, but never a subject that a stream listens on: that is a secret.
type Step struct {
	Verb   string // Create, Update or Delete
	What   string // "stream EVENTS", "consumer EVENTS/billing_outages"
	Detail string

	stream   jetstream.StreamConfig
	consumer jetstream.ConsumerConfig
}

// String describes the step for a person.
func (s Step) String() string {
	if s.Detail == "" {
		return s.Verb + " " + s.What
	}
	return s.Verb + " " + s.What + ": " + s.Detail
}

// Plan returns the steps that turn have into want, none when they agree. A
// stream that exists and is not wanted stays. Only fields that a tenant's
// streams depend on are compared; the rest (placement, defaults that the server
// filled in, its own metadata) stays as it is.
func Plan(want, have []jetstream.StreamConfig) []Step {
	// Steps that free space come first, or the account has none for the others.
	var shrink, steps []Step
	for _, w := range want {
		i := slices.IndexFunc(have, func(h jetstream.StreamConfig) bool { return h.Name == w.Name })
		if i < 0 {
			steps = append(steps, Step{Verb: Create, What: "stream " + w.Name, stream: w})
			continue
		}
		if merged, changes := mergeStream(w, have[i]); len(changes) > 0 {
			s := Step{Verb: Update, What: "stream " + w.Name, Detail: strings.Join(changes, ", "), stream: merged}
			if merged.MaxBytes < have[i].MaxBytes {
				shrink = append(shrink, s)
			} else {
				steps = append(steps, s)
			}
		}
	}
	return append(shrink, steps...)
}

// change records a difference and takes the wanted value. With hide the values
// are left out of the text.
func change[T any](changes *[]string, name string, have *T, want T, hide bool) {
	if reflect.DeepEqual(*have, want) {
		return
	}
	if hide {
		*changes = append(*changes, name)
	} else {
		*changes = append(*changes, fmt.Sprintf("%s %v → %v", name, *have, want))
	}
	*have = want
}

// mergeStream applies the wanted fields to the existing configuration and returns
// what differed.
func mergeStream(w, h jetstream.StreamConfig) (jetstream.StreamConfig, []string) {
	var c []string
	if !sameSet(w.Subjects, h.Subjects) {
		change(&c, "subjects", &h.Subjects, w.Subjects, true)
	}
	change(&c, "retention", &h.Retention, w.Retention, false)
	change(&c, "max bytes", &h.MaxBytes, w.MaxBytes, false)
	change(&c, "max messages", &h.MaxMsgs, w.MaxMsgs, false)
	change(&c, "max consumers", &h.MaxConsumers, w.MaxConsumers, false)
	change(&c, "discard", &h.Discard, w.Discard, false)
	change(&c, "discard new per subject", &h.DiscardNewPerSubject, w.DiscardNewPerSubject, false)
	change(&c, "max age", &h.MaxAge, w.MaxAge, false)
	change(&c, "max messages per subject", &h.MaxMsgsPerSubject, w.MaxMsgsPerSubject, false)
	change(&c, "max message size", &h.MaxMsgSize, w.MaxMsgSize, false)
	change(&c, "storage", &h.Storage, w.Storage, false)
	change(&c, "replicas", &h.Replicas, w.Replicas, false)
	change(&c, "no ack", &h.NoAck, w.NoAck, false)
	change(&c, "duplicate window", &h.Duplicates, w.Duplicates, false)
	change(&c, "sealed", &h.Sealed, w.Sealed, false)
	change(&c, "deny delete", &h.DenyDelete, w.DenyDelete, false)
	change(&c, "deny purge", &h.DenyPurge, w.DenyPurge, false)
	change(&c, "rollup", &h.AllowRollup, w.AllowRollup, false)
	change(&c, "compression", &h.Compression, w.Compression, false)
	change(&c, "republish", &h.RePublish, w.RePublish, true)
	change(&c, "direct get", &h.AllowDirect, w.AllowDirect, false)
	change(&c, "persist mode", &h.PersistMode, w.PersistMode, false)
	change(&c, "subject transform", &h.SubjectTransform, w.SubjectTransform, true)
	h.Metadata = mergeMetadata(&c, w.Metadata, h.Metadata)
	return h, c
}

// mergeMetadata keeps keys that are not ours, and drops the server's own keys,
// which the server sets again.
func mergeMetadata(c *[]string, want, have map[string]string) map[string]string {
	out := maps.Clone(have)
	maps.DeleteFunc(out, func(k, _ string) bool { return strings.HasPrefix(k, "_nats.") })
	if out == nil {
		out = map[string]string{}
	}
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if out[k] != want[k] {
			*c = append(*c, fmt.Sprintf("metadata %s %q → %q", k, out[k], want[k]))
			out[k] = want[k]
		}
	}
	return out
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
