package api

import "midplane/event"

// CoreMissing asks, as a primary does, whether messages that a stream's leader does not
// have are lost: MissingRequest → MissingAnswer.
const CoreMissing = "missing"

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
