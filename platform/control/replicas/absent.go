package replicas

import (
	"context"
	"slices"
	"time"

	"midplane/api"
)

// absentFor is how long a node may answer without a replica of a stream that two
// others run: a stream that is made, or an account that a node has just been given,
// takes seconds.
const absentFor = 90 * time.Second

// absent finds replicas that a node does not run at all: its server could not read what
// it has of the stream, and does not try again. The node takes them over as damaged ones.
func (a *Auditor) absent(ctx context.Context, now time.Time, s seen) {
	if len(s.silent) > 0 || len(s.nodes) < len(a.cfg.Registry.Nodes()) {
		return // a node that is away runs nothing, and a minority decides nothing
	}
	since := map[string]time.Time{}
	for ref, list := range s.last {
		for _, node := range s.nodes {
			if len(list) < 2 || slices.ContainsFunc(list, func(a at) bool { return a.node == node }) {
				continue
			}
			f := Finding{Account: ref.Account, Stream: ref.Stream, Node: node, Found: now.UTC(),
				Damage: api.ReplicaDamage{What: "the node's server does not run its replica", From: 1, At: now.UTC()}}
			first, known := a.missing[f.key()]
			if !known {
				first = now
			}
			since[f.key()] = first
			was, open := a.state.Findings[f.key()]
			switch {
			case !open && now.Sub(first) >= absentFor:
				a.opened(ctx, f)
			case open && was.Repairing && a.repaired[f.key()].over():
				was.Repairing = false
				a.state.Findings[f.key()] = was
			}
		}
	}
	a.missing = since
}
