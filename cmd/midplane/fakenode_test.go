package main

import (
	"encoding/json"

	"midplane/api"
	"midplane/fault"
)

// cluster is the cluster in which n3 is down. A node that is drained has a client at
// first, then none, then it is stopped, comes back behind, and is whole.
func (f *fake) cluster() (any, error) {
	if len(f.drained) == 0 {
		return json.RawMessage(cannedCluster), nil
	}
	var s api.ClusterStatus
	if err := json.Unmarshal([]byte(cannedCluster), &s); err != nil {
		return nil, err
	}
	for i := range s.Nodes {
		n := &s.Nodes[i]
		asked, drained := f.drained[n.ID]
		if n.ID == "n3" {
			n.Live = true
		}
		if !drained {
			n.Used = 300_000_000
			continue
		}
		f.drained[n.ID]++
		switch {
		case asked == 0:
			n.Drained, n.Clients, n.Leads = true, 1, 2
		case asked < 3:
			n.Drained = true
		case asked < 5:
			n.Live = false
		case asked < 7:
			n.Used, n.Behind = 100_000_000, &api.BehindReplicas{Count: 6, Some: []string{"acme/EVENTS", "acme/STATE"}}
		}
	}
	return s, nil
}

func (f *fake) drain(verb string, body []byte) error {
	var n api.NodeRef
	if err := api.Decode(body, &n); err != nil {
		return err
	}
	switch {
	case n.Node == "n9":
		return fault.WithHint(fault.New(fault.NotFound, "node %q is not known", n.Node), "see: midplane status")
	case n.Node == "n3":
		return fault.New(fault.Conflict, "node n3 does not run")
	case verb == api.NodeUndrain:
		clear(f.drained)
	default:
		f.drained[n.Node] = 0
	}
	return nil
}
