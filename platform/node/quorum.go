package node

import (
	"slices"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// metaGroup is the server's name for JetStream's meta group.
const metaGroup = "_meta_"

// How long another node may be silent and still count as one that answers the
// leader, which sends something every second, and as one that this node hears:
// without a leader there is an election every 4 to 9 seconds.
const (
	answeredWithin = 5 * time.Second
	heardWithin    = 10 * time.Second
)

// metaState asks the meta group itself: Jsz adds up every stream of every account
// before it answers, and it is asked every second.
func metaState(srv *server.Server) (m Meta) {
	status := srv.Raftz(&server.RaftzOptions{GroupFilter: metaGroup})
	if status == nil {
		return m
	}
	for _, groups := range *status {
		if g, ok := groups[metaGroup]; ok {
			m.group(g, srv.Name())
		}
	}
	return m
}

// group fills in what the meta group says of the cluster.
func (m *Meta) group(g server.RaftzGroup, self string) {
	m.Size = g.Size
	if m.Leader = g.Peers[g.Leader].Name; g.Leader == g.ID && g.ID != "" {
		m.Leader = self
	}
	answer := 1 // this one
	for _, p := range g.Peers {
		seen, err := time.ParseDuration(p.LastSeen)
		if err == nil && seen < answeredWithin {
			answer++
		}
		if err != nil || seen > heardWithin {
			m.Unheard = append(m.Unheard, p.Name)
		}
	}
	// A follower hears its leader, and of the others only when they answer it. A
	// leader that nobody answers steps down no sooner than after 10 seconds.
	m.Quorum = m.Leader != "" && (m.Leader != self || answer >= g.QuorumNeeded)
	if m.Quorum {
		m.Unheard = nil // a follower hears its leader only
	}
	slices.Sort(m.Unheard)
}
