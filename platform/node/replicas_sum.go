package node

import (
	"slices"

	"midplane/api"
	"midplane/fault"
	"midplane/platform/node/blocks"
)

// Sum returns a hash over what this node's files hold of a range of a stream.
func (r *Replicas) Sum(of api.ReplicaRange) (api.ReplicaSum, error) {
	found, err := r.find()
	if err != nil {
		return api.ReplicaSum{}, fault.Wrap(fault.Other, err, "the store is not readable")
	}
	i := slices.IndexFunc(found, func(s blocks.Stream) bool { return refOf(s) == of.ReplicaRef })
	if i < 0 {
		return api.ReplicaSum{}, nil
	}
	before := r.Held([]api.ReplicaRef{of.ReplicaRef})
	var sum blocks.Sum
	out := api.ReplicaSum{}
	if of.To == 0 {
		sum, out.OK, err = blocks.SumAll(found[i])
	} else {
		sum, out.OK, err = blocks.SumRange(found[i], r.known(found[i]), of.From, of.To)
	}
	if err != nil {
		return api.ReplicaSum{}, fault.Wrap(fault.Other, err, "stream %s", of.Stream)
	}
	out.Messages, out.Hash, out.Read = sum.Messages, sum.Hash, sum.Read
	after := r.Held([]api.ReplicaRef{of.ReplicaRef})
	if len(before) == 0 || len(after) == 0 {
		out.OK = false
		return out, nil
	}
	if out.First = after[0].First; before[0].Last == after[0].Last {
		out.Last = after[0].Last
	}
	return out, nil
}
