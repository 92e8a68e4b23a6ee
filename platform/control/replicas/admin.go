package replicas

import (
	"context"
	"maps"
	"slices"
	"time"

	"midplane/api"
	"midplane/fault"
)

// Verify has all nodes read their files of a stream, for an operator.
func (r *Room) Verify(ctx context.Context, _ string, req api.ReplicaTarget) (any, error) {
	ref, err := find(r.cfg.Registry, r.cfg.Control.Public, req.Tenant, req.Stream)
	if err != nil {
		return nil, err
	}
	found, silent, err := r.VerifyEverywhere(ctx, []api.ReplicaRef{ref})
	if err != nil {
		return nil, err
	}
	out := api.ReplicaVerdicts{Items: []api.ReplicaVerdict{}}
	for _, node := range slices.Sorted(maps.Keys(found)) {
		for _, v := range found[node] {
			row := api.ReplicaVerdict{Node: node, Result: api.VerdictWhole, Bytes: v.Bytes}
			switch {
			case v.Unreadable:
				row.Result = api.VerdictUnreadable
			case v.Damage != nil:
				row.Result, row.Problem = api.VerdictDamaged, v.Damage.What
			}
			out.Items = append(out.Items, row)
		}
	}
	for _, node := range silent {
		out.Items = append(out.Items, api.ReplicaVerdict{Node: node, Result: api.VerdictSilent})
	}
	return out, nil
}

// Repair has one node take its replica of a stream over from the others, for an
// operator: also one that nothing was found wrong with.
func (r *Room) Repair(ctx context.Context, who string, req api.ReplicaTarget) (any, error) {
	ref, err := find(r.cfg.Registry, r.cfg.Control.Public, req.Tenant, req.Stream)
	if err != nil {
		return nil, err
	}
	if _, known := r.cfg.Registry.Nodes()[req.Node]; !known {
		return nil, fault.New(fault.NotFound, "node %s", req.Node)
	}
	for _, f := range load(r.cfg.Registry).Findings {
		if f.Repairing {
			return nil, fault.New(fault.Conflict, "node %s repairs its replica of %s; one at a time", f.Node, f.Stream)
		}
	}
	held, silent, err := r.Everywhere(ctx, api.ReplicasRequest{Streams: []api.ReplicaRef{ref}})
	if err != nil {
		return nil, err
	}
	if len(silent) > 0 || len(held) < len(r.cfg.Registry.Nodes()) {
		return nil, fault.New(fault.Unavailable, "not all nodes answer: a replica is repaired only while the others are there")
	}
	return struct{}{}, r.repairChecked(ctx, ref, req.Node, api.ReplicaDamage{What: "operator " + who + " asked for it", At: time.Now().UTC()})
}
