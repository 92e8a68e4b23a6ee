package api

import "time"

// Replica is one row of "get replicas": what one node holds of one stream.
type Replica struct {
	Tenant   string `json:"tenant"` // "" for a stream of the control plane
	Stream   string `json:"stream"`
	Node     string `json:"node"`
	Messages uint64 `json:"messages"`
	First    uint64 `json:"first"`
	Last     uint64 `json:"last"`
	Deleted  uint64 `json:"deleted"` // sequences between first and last that it does not hold
	Bytes    uint64 `json:"bytes"`
	State    string `json:"state"` // current, behind, diverged, repairing, missing
	// ComparedAt is when it was last held against the others at the same last
	// sequence; null when it has not been.
	ComparedAt *time.Time `json:"comparedAt"`
	Problem    string     `json:"problem,omitempty"`
}

// The states of a replica.
const (
	ReplicaCurrent   = "current"
	ReplicaBehind    = "behind"    // it has not everything yet
	ReplicaDiverged  = "diverged"  // it holds something else than the others, or its files are damaged
	ReplicaRepairing = "repairing" // it was removed, and is taken over from the others
	ReplicaMissing   = "missing"   // its node does not answer, or does not have it
)

// ReplicaRef names one stream of an account.
type ReplicaRef struct {
	Account string `json:"account"` // public key
	Stream  string `json:"stream"`
}

func (r ReplicaRef) String() string { return r.Account + "/" + r.Stream }

// HeldReplica is what a node says of its own replica of a stream.
type HeldReplica struct {
	ReplicaRef
	Messages uint64 `json:"messages"`
	Bytes    uint64 `json:"bytes"`
	First    uint64 `json:"first"`
	Last     uint64 `json:"last"`
	Deleted  uint64 `json:"deleted"`
	Leads    bool   `json:"leads,omitempty"`   // this node leads the stream
	Current  bool   `json:"current,omitempty"` // it keeps up with its leader
	// Damage is what is wrong with its files, nil when nothing was found.
	Damage *ReplicaDamage `json:"damage,omitempty"`
	// Removed is why it was removed when the node started; nil when it was not, or
	// when it has been found equal to the others since.
	Removed *ReplicaDamage `json:"removed,omitempty"`
}

// ReplicaDamage is what was found in a replica's files.
type ReplicaDamage struct {
	What string    `json:"what"`
	From uint64    `json:"from,omitempty"` // sequences that may be lost there; To 0: all from From on
	To   uint64    `json:"to,omitempty"`
	At   time.Time `json:"at"`
}

// Requests to every node, core.<node>.…: only nodes may ask them.
const (
	CoreReplicas      = "replicas"       // ReplicasRequest → NodeReplicas
	CoreReplicaVerify = "replica-verify" // ReplicaVerify → ReplicaVerified
	CoreReplicaRepair = "replica-repair" // ReplicaRepair → ReplicaVerified of the node that is meant
	CoreReplicaSum    = "replica-sum"    // ReplicaRange → ReplicaSum
)

// ReplicasRequest asks nodes what they hold.
type ReplicasRequest struct {
	Streams []ReplicaRef `json:"streams,omitempty"` // only these; empty: all
	// Equal are streams that the asker has found equal on all nodes: a repair of
	// one of them is over.
	Equal []ReplicaRef `json:"equal,omitempty"`
}

// NodeReplicas is what a node holds.
type NodeReplicas struct {
	Node     string        `json:"node"`
	Replicas []HeldReplica `json:"replicas"`
}

// ReplicaVerify asks nodes to read their files of some streams, whole.
type ReplicaVerify struct {
	Streams []ReplicaRef `json:"streams"`
}

// ReplicaVerified is what a node found.
type ReplicaVerified struct {
	Node    string            `json:"node"`
	Streams []VerifiedReplica `json:"streams"`
}

// VerifiedReplica is what a node found in its files of a stream.
type VerifiedReplica struct {
	ReplicaRef
	Bytes      int64          `json:"bytes"`                // that were read
	Unreadable bool           `json:"unreadable,omitempty"` // they are encrypted, or it has none
	Damage     *ReplicaDamage `json:"damage,omitempty"`
}

// Whole reports whether the files were read and nothing is wrong with them.
func (v VerifiedReplica) Whole() bool { return !v.Unreadable && v.Damage == nil }

// ReplicaRange asks nodes for a hash over what they hold of a stream, from their
// files: from one sequence to another, or of all when To is 0.
type ReplicaRange struct {
	ReplicaRef
	From uint64 `json:"from,omitempty"`
	To   uint64 `json:"to,omitempty"`
}

// ReplicaSum is a node's hash over what it holds.
type ReplicaSum struct {
	Node     string `json:"node"`
	OK       bool   `json:"ok"` // it has read all of the range, undamaged
	Messages uint64 `json:"messages"`
	Hash     uint64 `json:"hash"`
	Read     int64  `json:"read"`  // bytes
	First    uint64 `json:"first"` // of its replica, after it was read
	Last     uint64 `json:"last"`  // the same; 0: it changed while it was read
}

// ReplicaRepair has a node take a stream over from the others, whole.
type ReplicaRepair struct {
	Node string `json:"node"`
	ReplicaRef
	Damage ReplicaDamage `json:"damage"` // why
}

// Verbs of the admin service about replicas.
const (
	ReplicaList       = "replica.list"   // ListRequest → Page[Replica]
	ReplicaVerifyVerb = "replica.verify" // ReplicaTarget → ReplicaVerdicts
	ReplicaRepairVerb = "replica.repair" // ReplicaTarget → {}
)

// ReplicaTarget names a stream, and for a repair whose replica of it.
type ReplicaTarget struct {
	Tenant string `json:"tenant,omitempty"` // "": a stream of the control plane
	Stream string `json:"stream"`
	Node   string `json:"node,omitempty"`
}

// ReplicaVerdicts is what all nodes found in their files of a stream.
type ReplicaVerdicts struct {
	Items []ReplicaVerdict `json:"items"`
}

// ReplicaVerdict is what one node found.
type ReplicaVerdict struct {
	Node    string `json:"node"`
	Result  string `json:"result"` // whole, damaged, unreadable, silent
	Bytes   int64  `json:"bytes"`  // that were read
	Problem string `json:"problem,omitempty"`
}

// Results of reading a replica's files.
const (
	VerdictWhole      = "whole"
	VerdictDamaged    = "damaged"
	VerdictUnreadable = "unreadable" // it has none
	VerdictSilent     = "silent"     // the node does not answer
)

// ReplicaFacts are of a replica that differs from the others.
type ReplicaFacts struct {
	Tenant, Stream, Node string
	Damage               ReplicaDamage
	Repairing            bool
	Waits                string // why it is not repaired
}

func (f ReplicaFacts) problem() Problem {
	subject := f.Stream + "/" + f.Node
	if f.Repairing {
		return wrong(CodeReplicaRepairing, f.Tenant, subject, "", "node %s takes its replica of %s over from the other nodes: %s", f.Node, f.Stream, f.Damage.What)
	}
	message := "the replica of " + f.Stream + " on node " + f.Node + " is not whole: " + f.Damage.What
	if f.Waits != "" {
		message += "; it is not repaired: " + f.Waits
	}
	return wrong(CodeReplicaDiverged, f.Tenant, subject, "", "%s", message)
}
