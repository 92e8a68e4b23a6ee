package main

import (
	"midplane/api"
	"midplane/event"
	"midplane/fault"
)

// upgrade is one that node n3 holds up.
func upgrade(verb string) (any, error) {
	if verb == api.UpgradeFinish {
		return nil, fault.WithHint(fault.New(fault.Conflict, "the upgrade cannot be ended: node n3 is of an older version"), "start the new version of node n3; see: midplane upgrade status")
	}
	now := api.Understands{Version: "v0.2.0", Formats: api.Formats{api.FormatRegistry: 2}, Types: map[event.Type]int{event.TypeReachability: 2}}
	return api.NewUpgrade(api.Understands{}, now, []api.Running{
		{Kind: api.RunsPoller, Name: "acme/syd-01", Live: true, Understands: api.Understands{Version: "v0.1.0"}},
		{Kind: api.RunsNode, Name: "n3", Understands: api.Understands{Version: "v0.1.0"}},
		{Kind: api.RunsNode, Name: "n1", Live: true, Understands: now},
		{Kind: api.RunsPrimary, Name: "core-1", Live: true, Understands: now},
	}), nil
}
