package change

import (
	"bytes"
	"encoding/json"
	"time"

	"midplane/event"
)

// bootWander is how far apart two boot times are that count as the same. It is
// less than bootTolerance, so that a slow drift is sent before it looks like a
// restart.
const bootWander = bootTolerance / 2

// Unchanged reports whether next says what prev said: the same but for readings,
// which differ each time and are sent as metrics. The round-trip time and loss of
// a reachability, the latency of a check, and a boot time that wanders are such.
func Unchanged(prev, next event.Event) bool {
	if prev.Kind != next.Kind || prev.Type != next.Type || prev.Entity != next.Entity {
		return false
	}
	if bytes.Equal(prev.Data, next.Data) {
		return true
	}
	switch next.Type {
	case event.TypeReachability:
		return alike(prev, next, func(was, is event.Reachability) bool {
			was.RTT, was.Loss, is.RTT, is.Loss = 0, 0, 0, 0
			return was == is
		})
	case event.TypeCheck:
		return alike(prev, next, func(was, is event.Check) bool {
			same := sameTime(was.NotAfter, is.NotAfter, 0)
			was.Latency, was.NotAfter, is.Latency, is.NotAfter = 0, nil, 0, nil
			return same && was == is
		})
	case event.TypeInventory:
		return alike(prev, next, func(was, is event.Inventory) bool {
			return was.Device == is.Device && sameTime(was.BootTime, is.BootTime, bootWander) && len(differences(was, is)) == 0
		})
	}
	return false
}

// alike decodes both payloads and compares them.
func alike[T any](prev, next event.Event, same func(was, is T) bool) bool {
	var was, is T
	return json.Unmarshal(prev.Data, &was) == nil && json.Unmarshal(next.Data, &is) == nil && same(was, is)
}

func sameTime(a, b *time.Time, within time.Duration) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Sub(*b).Abs() <= within
}

// Timeless reports whether no event follows from a state of type t after one of the
// same bytes, whenever each was seen. A certificate expires without changing.
func Timeless(t event.Type) bool { return t != event.TypeCheck }
