package node

import "github.com/nats-io/nats-server/v2/server"

// Progress is how far the log is by which the replicas of a stream agree.
type Progress struct {
	Leads                        bool   // this node leads it
	Proposed, Committed, Applied uint64 // entries
}

// Waiting reports whether something is proposed and not stored yet.
func (p Progress) Waiting() bool { return p.Proposed > p.Committed || p.Committed > p.Applied }

// Progress returns how far the logs are that this node has a part in, by Stream.Group.
func (d Duties) Progress() map[string]Progress {
	out := map[string]Progress{}
	srv := d.Of.srv.Load()
	if srv == nil {
		return out
	}
	status := srv.Raftz(&server.RaftzOptions{})
	if status == nil {
		return out
	}
	for _, groups := range *status {
		for name, g := range groups {
			out[name] = Progress{Leads: g.Leader == g.ID && g.ID != "", Proposed: g.PIndex, Committed: g.Committed, Applied: g.Applied}
		}
	}
	return out
}
