package main

import (
	"midplane/api"
	"midplane/fault"
)

// rotations answers what is asked about former keys: acme has one that a
// producer holds.
func (f *fake) rotations(verb string, body []byte) (any, error) {
	var req api.Rotate
	if verb == api.RotationList {
		var list api.ListRequest
		if err := api.Decode(body, &list); err != nil {
			return nil, err
		}
		if list.Tenant == "globex" {
			return api.Page[api.Rotation]{Items: []api.Rotation{}}, nil
		}
	} else if err := api.Decode(body, &req); err != nil {
		return nil, err
	}
	if verb == api.RotateFinish {
		if !req.Yes {
			return nil, fault.WithHint(fault.New(fault.Conflict, "1 users may still have credentials of a former key: feed"), "cut them off with --yes")
		}
		return api.Page[api.Rotation]{Items: []api.Rotation{}}, nil
	}
	what := api.RotatedKey
	if verb == api.RotateCapability {
		what = api.RotatedCapability
	}
	return api.Page[api.Rotation]{Items: []api.Rotation{{ID: "AKEY", Tenant: "acme", What: what, Role: "producer", Key: "AKEY", State: "users cannot renew", Holders: []string{"feed"}}}}, nil
}
