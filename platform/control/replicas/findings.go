package replicas

import (
	"maps"
	"slices"
	"time"

	"midplane/api"
	"midplane/platform/registry"
)

// keyReplicas is the key of STATUS under which the leading node keeps what it found.
const keyReplicas = "replicas"

// Finding is one replica that differs from the others.
type Finding struct {
	Account string            `json:"account"`
	Stream  string            `json:"stream"`
	Node    string            `json:"node"`
	Damage  api.ReplicaDamage `json:"damage"`
	Found   time.Time         `json:"found"`
	// Repairing says that the node has been asked to take the replica over, or has
	// removed it.
	Repairing bool `json:"repairing,omitempty"`
	// Content says that it holds as many messages as the others, but not the same.
	Content bool `json:"content,omitempty"`
	// Waits is why it is not repaired.
	Waits string `json:"waits,omitempty"`
}

func (f Finding) ref() api.ReplicaRef { return api.ReplicaRef{Account: f.Account, Stream: f.Stream} }
func (f Finding) key() string         { return f.Account + "/" + f.Stream + "/" + f.Node }

// compared is what the leading node knows after a round.
type compared struct {
	At       time.Time          `json:"at"`       // of the round
	Findings map[string]Finding `json:"findings"` // by Finding.key
	// Late are streams that could not be compared in that round, since no reading
	// found all replicas at the same last sequence: when they were, zero for never.
	Late map[string]time.Time `json:"late,omitempty"`
}

func load(reg *registry.Registry) compared {
	c, _, _ := registry.Get[compared](reg, keyReplicas)
	if c.Findings == nil {
		c.Findings = map[string]Finding{}
	}
	if c.Late == nil {
		c.Late = map[string]time.Time{}
	}
	return c
}

// comparedAt is when a stream was last found equal, nil when it was not.
func (c compared) comparedAt(ref api.ReplicaRef) *time.Time {
	when, late := c.Late[ref.String()]
	if !late {
		when = c.At
	}
	if when.IsZero() {
		return nil
	}
	return &when
}

// Facts are the findings, as the status judges them.
func (r *Room) Facts() (out []api.ReplicaFacts) {
	c := load(r.cfg.Registry)
	for _, key := range slices.Sorted(maps.Keys(c.Findings)) {
		f := c.Findings[key]
		fact := api.ReplicaFacts{Stream: f.Stream, Node: f.Node, Damage: f.Damage, Repairing: f.Repairing, Waits: f.Waits}
		if t := r.cfg.Registry.View().ByKey[f.Account]; t != nil {
			fact.Tenant = string(t.ID)
		}
		out = append(out, fact)
	}
	return out
}
