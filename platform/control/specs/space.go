package specs

import (
	"context"
	"maps"
	"slices"
	"strings"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/streams"
)

// Space answers whether quotas fit, before anything is stored.
func (s *Specs) Space(_ context.Context, _ string, req api.SpaceRequest) (any, error) {
	want := make(map[event.Tenant]int64, len(req.Storage))
	for id, n := range req.Storage {
		if n <= 0 {
			return nil, fault.New(fault.Invalid, "storage of tenant %q is %d", id, n)
		}
		want[event.Tenant(id)] = n
	}
	return s.fits(want, req.Overcommit)
}

// fits compares what all tenants are promised, and would be with want, with what the
// nodes can hold. Whoever asks for no more than before is never refused.
func (s *Specs) fits(want map[event.Tenant]int64, overcommit bool) (api.Space, error) {
	unbounded, err := s.Registry.Unbounded()
	if err != nil {
		return api.Space{}, err
	}
	promise := func(storage int64) int64 {
		if unbounded {
			storage = saturating(storage, streams.Reserve(storage))
		}
		return storage
	}
	before, after := int64(0), int64(0)
	view := s.Registry.View()
	for id, t := range view.Tenants {
		if t.Spec == nil || t.ID.OfSystem() {
			continue
		}
		had := promise(int64(t.Spec.Quota.Storage))
		before = saturating(before, had)
		if _, changes := want[id]; !changes {
			after = saturating(after, had)
		}
	}
	var more []string
	for _, id := range slices.Sorted(maps.Keys(want)) {
		after = saturating(after, promise(want[id]))
		if t := view.Tenants[id]; t == nil || t.Spec == nil || int64(t.Spec.Quota.Storage) < want[id] {
			more = append(more, string(id))
		}
	}
	places := s.places()
	overcommit = overcommit || s.Overcommit
	// While streams have limits of their own, the servers reserve them: then no more
	// can be promised than the nodes may store.
	disks := !overcommit
	out := api.Space{Promised: after}
	out.Capacity, out.Bound = capacity(places, s.Replicas, disks)
	if out.Capacity == 0 || after <= out.Capacity || after <= before || overcommit && unbounded {
		return out, nil
	}
	err = fault.New(fault.Exhausted, "quota.storage of %s does not fit: %s of all tenants would be promised (with what each has beyond its quota), and the nodes can hold %s for tenants, since %s",
		names(more), about(uint64(after)), about(uint64(out.Capacity)), out.Bound)
	if !unbounded && overcommit {
		return out, fault.WithHint(err, "lower quota.storage, or raise --max-store; more can be promised when the upgrade is ended: midplane upgrade status")
	}
	return out, fault.WithHint(err, "lower quota.storage, give the nodes more disk (and --max-store), or promise more than there is with --overcommit: when a node's store is nearly full, nothing of tenants is taken")
}

// names names tenants, five at most.
func names(ids []string) string {
	const most = 5
	out := strings.Join(ids[:min(most, len(ids))], ", ")
	if len(ids) > most {
		out += " and others"
	}
	return out
}

// places are the nodes that say what they can hold, as they said last.
func (s *Specs) places() (out []place) {
	for name, n := range s.Registry.Nodes() {
		if n.Value.Store != nil && n.Value.Store.Limit > 0 {
			out = append(out, place{name, *n.Value.Store})
		}
	}
	slices.SortFunc(out, func(a, b place) int { return strings.Compare(a.name, b.name) })
	return out
}
