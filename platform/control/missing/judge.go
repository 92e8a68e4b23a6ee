package missing

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"midplane/api"
)

// Judge decides from what replicas hold whether messages are lost. peers are the nodes
// that have a replica, have is what they say, by node. Streams other than STATE have no
// holes of their own, so replicas that begin at the same message and lack equally many
// behind it lack the same ones. All must have answered: one that is away may hold them.
//
// What a stream begins behind is purged when two replicas agree on where it begins: a
// purge is an entry of the stream's log, which a majority keeps, while a replica that
// lost its first messages begins later than the others.
func Judge(req api.MissingRequest, peers map[string]bool, have map[string]api.HeldReplica) api.MissingAnswer {
	var silent, behind, hold []string
	for _, p := range slices.Sorted(maps.Keys(peers)) {
		h, answered := have[p]
		switch {
		case !answered:
			silent = append(silent, p)
		case mayHold(h, have):
			hold = append(hold, p)
		case h.Last < req.To:
			behind = append(behind, p)
		}
	}
	agree := len(peers) - len(silent) - len(behind)
	switch {
	case agree == 0 && len(hold) == 0:
		return api.MissingAnswer{Why: "no node says what it holds", Nodes: silent}
	case len(hold) > 0:
		return api.MissingAnswer{Why: fmt.Sprintf("the replicas differ, and %s may have them", strings.Join(hold, ", ")), Nodes: hold}
	case req.Begins && agree*2 > len(peers):
		return api.MissingAnswer{Lost: true, Nodes: []string{}}
	case len(silent) > 0:
		return api.MissingAnswer{Why: fmt.Sprintf("%s may have them and does not say what it holds", strings.Join(silent, ", ")), Nodes: silent}
	case len(behind) > 0:
		return api.MissingAnswer{Why: fmt.Sprintf("the replica of %s is behind", strings.Join(behind, ", ")), Nodes: behind}
	}
	return api.MissingAnswer{Lost: true, Nodes: []string{}}
}

// mayHold reports whether a replica holds something that another one lacks.
func mayHold(h api.HeldReplica, all map[string]api.HeldReplica) bool {
	for _, o := range all {
		if h.First < o.First || h.First == o.First && gaps(h) < gaps(o) {
			return true
		}
	}
	return false
}

// gaps is how many sequences between the first and the last are not there.
func gaps(h api.HeldReplica) uint64 {
	if span := h.Last + 1 - h.First; h.Last >= h.First && span > h.Messages {
		return span - h.Messages
	}
	return 0
}
