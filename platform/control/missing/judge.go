package missing

import (
	"fmt"
	"slices"
	"strings"

	"midplane/api"
)

// Judge decides from what replicas hold whether messages are lost. Streams other than
// STATE have no holes of their own, so replicas that begin at the same message and
// lack equally many behind it lack the same ones. All must have answered: one that is
// away may hold them.
//
// What a stream begins behind is purged when two replicas agree on where it begins: a
// purge is an entry of the stream's log, which a majority keeps, while a replica that
// lost its first messages begins later than the others.
func Judge(req api.MissingRequest, have []api.ReplicaExtent) api.MissingAnswer {
	peers := peersOf(have)
	var silent, behind, hold []string
	for _, p := range peers {
		i := slices.IndexFunc(have, func(r api.ReplicaExtent) bool { return r.Node == p })
		switch {
		case i < 0:
			silent = append(silent, p)
		case have[i].Last < req.To:
			behind = append(behind, p)
		case mayHold(have[i], have):
			hold = append(hold, p)
		}
	}
	agree := len(have) - len(behind)
	switch {
	case len(have) == 0:
		return api.MissingAnswer{Why: "no node says what it holds", Nodes: []string{}}
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
func mayHold(r api.ReplicaExtent, all []api.ReplicaExtent) bool {
	for _, o := range all {
		if r.First < o.First || r.First == o.First && r.Gaps() < o.Gaps() {
			return true
		}
	}
	return false
}

// peersOf returns every node that has a replica by any account.
func peersOf(have []api.ReplicaExtent) (out []string) {
	for _, r := range have {
		out = append(append(out, r.Node), r.Peers...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
