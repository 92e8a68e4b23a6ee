// Package change says what happened, given how an entity was and how it is
// now: a device went down, an interface came back, a certificate is about to
// expire, a device restarted, its inventory changed.
//
// It is pure: no clock, no network, no logger, so that the same two states
// always give the same events and a retry cannot make others. It may import
// event only.
package change

import (
	"encoding/json"

	"midplane/event"
)

// Of returns the events that follow from the state next when prev was the
// state before it (nil: next is the first reading). They have the time and the
// trace of next, and its entity. A state of a type that no rule is about, one
// of another entity or type than prev, and one that cannot be decoded give
// none; a prev that cannot be decoded counts as none.
//
// A first reading counts as a change from "unknown" for reachability and
// checks, as "first seen" for an inventory, and for an interface only when it
// should work and does not.
func Of(prev *event.Event, next event.Event) []event.Event {
	if next.Kind != event.KindState {
		return nil
	}
	if prev != nil && (prev.Kind != next.Kind || prev.Type != next.Type || prev.Entity != next.Entity) {
		return nil
	}
	switch next.Type {
	case event.TypeReachability:
		return follow(prev, next, reachability)
	case event.TypeInterface:
		return follow(prev, next, iface)
	case event.TypeCheck:
		return follow(prev, next, check)
	case event.TypeInventory:
		return follow(prev, next, inventory)
	}
	return nil
}

// finding is an event before it has an envelope.
type finding struct {
	severity event.Severity
	typ      event.Type
	payload  any
}

// moment is what a rule may know beside the payloads: when both were seen.
type moment struct{ prev, next *event.Event }

// follow decodes both payloads, asks rule, and puts its findings in envelopes.
func follow[T any](prev *event.Event, next event.Event, rule func(at moment, was *T, is T) []finding) []event.Event {
	var is T
	if json.Unmarshal(next.Data, &is) != nil {
		return nil
	}
	var was *T
	if prev != nil {
		was = new(T)
		if json.Unmarshal(prev.Data, was) != nil {
			was, prev = nil, nil
		}
	}
	var out []event.Event
	for _, f := range rule(moment{prev, &next}, was, is) {
		data, err := json.Marshal(f.payload)
		if err != nil { // our own structs of strings, numbers and times
			continue
		}
		out = append(out, event.Event{
			Kind: event.KindEvent, Severity: f.severity, Entity: next.Entity, Type: f.typ,
			Time: next.Time, Data: data,
			TraceParent: next.TraceParent, TraceState: next.TraceState,
		})
	}
	return out
}

// maxText is the longest text in runes that an event carries.
const maxText = 250

// clip shortens a text that a device may have made as long as it liked.
func clip(s string) string {
	if runes := []rune(s); len(runes) > maxText {
		return string(runes[:maxText-1]) + "…"
	}
	return s
}
