package api

import "midplane/event"

// Verbs about messages that a stream's leader does not have.
const (
	// CoreMissing asks, as a primary does, whether such messages are lost:
	// MissingRequest → MissingAnswer.
	CoreMissing = "missing"
	// CoreHolds asks every node at once what its replica of a stream holds:
	// HoldsRequest → ReplicaExtent. Nodes ask it of each other.
	CoreHolds = "holds"
)

// CoreWithMissing is the number of FormatCore from which on nodes answer CoreMissing.
const CoreWithMissing = 3

// MissingRequest names messages of EVENTS, METRICS or DEAD that its leader does not
// have. With Begins it begins behind them: they may have been purged.
type MissingRequest struct {
	Tenant event.Tenant `json:"tenant"`
	Stream string       `json:"stream"`
	From   uint64       `json:"from"`
	To     uint64       `json:"to"`
	Begins bool         `json:"begins,omitempty"`
}

// MissingAnswer says whether they are lost: no replica has any of them. Until that is
// known a reader waits; Why says for what, and Nodes whose replicas may have them.
type MissingAnswer struct {
	Lost  bool     `json:"lost"`
	Why   string   `json:"why,omitempty"`
	Nodes []string `json:"nodes"`
}

// HoldsRequest names a stream.
type HoldsRequest struct {
	Tenant event.Tenant `json:"tenant"`
	Stream string       `json:"stream"`
}

// ReplicaExtent is what the replica of a stream on one node holds. Of an empty one
// First is Last+1. Peers are the nodes that have a replica, as this one knows them.
type ReplicaExtent struct {
	Node     string   `json:"node"`
	Messages uint64   `json:"messages"`
	First    uint64   `json:"first"`
	Last     uint64   `json:"last"`
	Peers    []string `json:"peers"`
}

// Gaps is how many sequences between the first and the last are not there.
func (r ReplicaExtent) Gaps() uint64 {
	if span := r.Last + 1 - r.First; r.Last >= r.First && span > r.Messages {
		return span - r.Messages
	}
	return 0
}
