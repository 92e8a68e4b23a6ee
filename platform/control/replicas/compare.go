package replicas

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"midplane/api"
	"midplane/event"
)

// at is one replica of a stream, and where.
type at struct {
	node string
	api.HeldReplica
}

// byStream turns the nodes' answers round.
func byStream(held map[string][]api.HeldReplica) map[api.ReplicaRef][]at {
	out := map[api.ReplicaRef][]at{}
	for _, node := range slices.Sorted(maps.Keys(held)) {
		for _, h := range held[node] {
			out[h.ReplicaRef] = append(out[h.ReplicaRef], at{node, h})
		}
	}
	return out
}

// verdict is what one reading says of the replicas of a stream.
type verdict struct {
	// equal: all have the same last sequence and hold the same number of messages.
	equal bool
	// bad are the replicas that hold less than they must, by node.
	bad map[string]api.ReplicaDamage
}

// gapless reports whether messages leave a stream from its front only. Then a
// replica with more holes than another has lost something, wherever it is in the
// stream, and replicas that keep up are equal though messages flow.
func gapless(stream string) bool {
	switch event.KindOfStream(stream) {
	case event.KindEvent, event.KindMetric, event.KindDead:
		return true
	}
	return false
}

// compare judges one reading. It is pure. A reading is taken from nodes one after
// the other while messages flow and are purged, so what differs counts only when
// several readings say so. first is the earliest reading of the same round.
func compare(list, first []at) verdict {
	v := verdict{equal: len(list) > 1, bad: map[string]api.ReplicaDamage{}}
	fewest := slices.MinFunc(list, func(a, b at) int { return cmp.Compare(a.Deleted, b.Deleted) }).Deleted
	for _, a := range list {
		complete := gapless(a.Stream) && a.Current && a.Deleted == list[0].Deleted
		switch {
		case a.Damage != nil:
			v.bad[a.node] = *a.Damage
		case gapless(a.Stream) && a.Deleted > fewest:
			v.bad[a.node] = api.ReplicaDamage{What: fmt.Sprintf("%d messages are missing between %d and %d", a.Deleted-fewest, a.First, a.Last), From: a.First, To: a.Last}
		}
		if a.First != list[0].First || !complete && (a.Last != list[0].Last || a.Messages != list[0].Messages) {
			v.equal = false
		}
	}
	if len(v.bad) > 0 {
		v.equal = false
		return v
	}
	if gapless(list[0].Stream) {
		v.bad = frontless(list, first)
	} else {
		v.bad = outvoted(list)
	}
	return v
}

// frontless finds replicas of a gapless stream that lack messages at the front which
// most others hold. A leader purges first, and its followers hear of it with the next
// entry or heartbeat, so with a stream that is trimmed all the time the leader always
// has less: what a replica lacked in the first reading of a round must be there still
// on the others.
func frontless(list, first []at) map[string]api.ReplicaDamage {
	bad := map[string]api.ReplicaDamage{}
	for _, a := range list {
		i := slices.IndexFunc(first, func(f at) bool { return f.node == a.node })
		if i < 0 {
			continue
		}
		began, held, from := min(first[i].First, a.First), 0, uint64(0)
		for _, b := range list {
			if b.node != a.node && b.Messages > 0 && b.First < began {
				held, from = held+1, max(from, b.First)
			}
		}
		if held > len(list)/2 {
			bad[a.node] = api.ReplicaDamage{What: fmt.Sprintf("it begins at %d, the others at %d", a.First, from), From: from, To: a.First - 1}
		}
	}
	return bad
}

// outvoted finds replicas that hold another number of messages than most do at the same
// last sequence.
func outvoted(list []at) map[string]api.ReplicaDamage {
	bad := map[string]api.ReplicaDamage{}
	for _, same := range atSameLast(list) {
		votes := map[uint64]int{}
		for _, a := range same {
			votes[a.Messages]++
		}
		if len(votes) < 2 {
			continue
		}
		most := slices.MaxFunc(slices.Collect(maps.Keys(votes)), func(a, b uint64) int { return cmp.Compare(votes[a], votes[b]) })
		for _, a := range same {
			if a.Messages != most && votes[most] > len(list)/2 {
				bad[a.node] = api.ReplicaDamage{What: fmt.Sprintf("it holds %d messages up to %d, the others %d", a.Messages, a.Last, most), From: a.First, To: a.Last}
			}
		}
	}
	return bad
}

func cmpRef(a, b api.ReplicaRef) int {
	return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Stream, b.Stream))
}

func atSameLast(list []at) map[uint64][]at {
	out := map[uint64][]at{}
	for _, a := range list {
		out[a.Last] = append(out[a.Last], a)
	}
	return out
}

// stateOf is how one replica stands beside the others.
func stateOf(a at, list []at, found *Finding) string {
	if found != nil && found.Repairing || a.Removed != nil {
		return api.ReplicaRepairing
	}
	if found != nil || a.Damage != nil {
		return api.ReplicaDiverged
	}
	for _, other := range list {
		if !a.Current && other.Last > a.Last {
			return api.ReplicaBehind
		}
	}
	return api.ReplicaCurrent
}
