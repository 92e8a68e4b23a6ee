package replicas

import (
	"context"
	"slices"

	"midplane/api"
	"midplane/fault"
	"midplane/platform/control/service"
	"midplane/platform/registry"
)

// Rows lists the replicas of all streams on all nodes that are known.
func (r *Room) Rows(ctx context.Context, req api.ListRequest) (out []service.Row[api.Replica], err error) {
	var only []api.ReplicaRef
	if req.Tenant != "" {
		t, err := r.cfg.Registry.View().Declared(req.Tenant)
		if err != nil {
			return nil, err
		}
		for _, h := range r.cfg.Own.Held(nil) {
			if h.Account == t.Account.Key {
				only = append(only, h.ReplicaRef)
			}
		}
		if len(only) == 0 {
			return nil, nil
		}
	}
	held, _, err := r.Everywhere(ctx, api.ReplicasRequest{Streams: only})
	if err != nil {
		return nil, err
	}
	known := load(r.cfg.Registry)
	for ref, list := range byStream(held) {
		tenant, ok := r.tenant(ref.Account)
		if !ok {
			continue // of a tenant that is gone
		}
		for _, a := range list {
			row := api.Replica{Tenant: tenant, Stream: ref.Stream, Node: a.node, Messages: a.Messages, First: a.First, Last: a.Last, Deleted: a.Deleted, Bytes: a.Bytes,
				ComparedAt: known.comparedAt(ref)}
			var found *Finding
			if f, ok := known.Findings[Finding{Account: ref.Account, Stream: ref.Stream, Node: a.node}.key()]; ok {
				found, row.Problem = &f, f.Damage.What
			} else if a.Damage != nil {
				row.Problem = a.Damage.What
			}
			row.State = stateOf(a, list, found)
			out = append(out, rowOf(row))
		}
		for name := range r.cfg.Registry.Nodes() {
			if !slices.ContainsFunc(list, func(a at) bool { return a.node == name }) {
				out = append(out, rowOf(api.Replica{Tenant: tenant, Stream: ref.Stream, Node: name, State: api.ReplicaMissing, ComparedAt: known.comparedAt(ref)}))
			}
		}
	}
	return out, nil
}

func rowOf(r api.Replica) service.Row[api.Replica] {
	return service.RowOf(r.Tenant+"/"+r.Stream+"/"+r.Node, r)
}

// tenant returns whose account it is: "" is the control plane itself.
func (r *Room) tenant(key string) (string, bool) {
	if key == r.cfg.Control.Public {
		return "", true
	}
	t := r.cfg.Registry.View().ByKey[key]
	if t == nil || t.Account.Deleted {
		return "", false
	}
	return string(t.ID), true
}

// find returns the stream that an operator names.
func find(reg *registry.Registry, control string, tenant, stream string) (api.ReplicaRef, error) {
	if tenant == "" {
		return api.ReplicaRef{Account: control, Stream: stream}, nil
	}
	t, err := reg.View().Declared(tenant)
	if err != nil {
		return api.ReplicaRef{}, err
	}
	if stream == "" {
		return api.ReplicaRef{}, fault.New(fault.Invalid, "which stream?")
	}
	return api.ReplicaRef{Account: t.Account.Key, Stream: stream}, nil
}
