package api

import "time"

// FormatProbe is of the tenants that there are: 2 knows that one of the system's own
// is no customer.
const FormatProbe = "probe"

// ProbeFailing is how many tries of a node's door must fail in a row for that to be a
// problem: one that fails may be an election.
const ProbeFailing = 3

// Probe is what came of a node's tries to publish through its own door and to read
// that back.
type Probe struct {
	At       time.Time  `json:"at"`                // of the last try
	TookMS   float64    `json:"tookMs"`            // the last one that succeeded; 0: none yet
	Failures int        `json:"failures"`          // in a row, up to the last; 0: it succeeded
	Since    *time.Time `json:"since,omitempty"`   // when the first of these failed
	Problem  string     `json:"problem,omitempty"` // why the last failed
}

// StuckStream is a stream of a tenant that stores nothing, as a node sees it: the node
// leads it and gets no further, or no node leads it.
type StuckStream struct {
	Tenant   string `json:"tenant"`
	Stream   string `json:"stream"`
	NoLeader bool   `json:"noLeader,omitempty"`
}

// problem says that a node's door does not take what it should.
func (p *Probe) problem(node string) (out []Problem) {
	if p == nil || p.Failures < ProbeFailing {
		return nil
	}
	return append(out, wrong(CodeProbeFailed, "", node, "", "node %s does not get a message through its own door and back since %s, %d times: %s", node, since(p.Since), p.Failures, p.Problem))
}
