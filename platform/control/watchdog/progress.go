package watchdog

import (
	"slices"
	"time"

	"midplane/api"
	"midplane/platform/node"
	"midplane/platform/registry"
)

// How long a leader may have something to store and get no further, or have a replica
// that is not healthy, and how long a stream may be without a leader, before a node
// says so to the others. A leader that no other node answers steps down after 10
// seconds.
const (
	stuckAfter    = 15 * time.Second
	noLeaderAfter = 5 * time.Second
)

// progress knows since when streams get no further, as this node sees them.
type progress map[string]unmoved

type unmoved struct {
	applied uint64
	leads   bool
	since   time.Time
}

// step is what there is to say of a stream: leads is whether this node leads it, noLeader
// whether no node does. It is pure but for p.
func (p progress) step(key string, leads, noLeader, healthy bool, at node.Progress, now time.Time) (stuck, leaderless bool) {
	if !noLeader && (!leads || healthy && !at.Waiting()) {
		delete(p, key)
		return false, false
	}
	was, known := p[key]
	if !known || was.leads != leads || leads && healthy && was.applied != at.Applied {
		p[key] = unmoved{at.Applied, leads, now}
		return false, false
	}
	lasts := now.Sub(was.since)
	return leads && lasts >= stuckAfter, noLeader && lasts >= noLeaderAfter
}

// LeaderOf returns which node leads a stream, and whether that gets no further, by what
// this node's server says: named. The node that is named may know better: a replica
// that does not take part in elections any more remembers who led before.
func LeaderOf(nodes []registry.Presence, tenant, stream, named string) (leader string, stuck bool) {
	i := slices.IndexFunc(nodes, func(n registry.Presence) bool { return n.Name == named })
	if i < 0 {
		return named, false
	}
	j := slices.IndexFunc(nodes[i].Stuck, func(s api.StuckStream) bool { return s.Tenant == tenant && s.Stream == stream })
	switch {
	case j < 0:
		return named, false
	case nodes[i].Stuck[j].NoLeader:
		return "", false
	}
	return named, true
}
