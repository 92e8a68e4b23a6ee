package registry

import (
	"context"
	"encoding/json"

	"midplane/event"
	"midplane/tenants"
)

// SpecRecords are the tenants' specs.
type SpecRecords struct{ in bucket }

func specKey(t event.Tenant) string { return "spec." + string(t) }

// Put stores a tenant's spec; rev is the revision it was changed from, 0 for a
// new tenant. A different revision in the registry is a Conflict, and so is a
// stored spec with fields that this version does not know: the new one says
// nothing of them, and they would be lost.
func (r *SpecRecords) Put(ctx context.Context, spec *tenants.Spec, rev uint64) (uint64, error) {
	if err := tenants.CheckKnown(spec.ID, r.in.stored(ctx, specKey(spec.ID), rev)); err != nil {
		return 0, err
	}
	return r.in.cas(ctx, specKey(spec.ID), spec, rev, "tenant "+string(spec.ID))
}

// Stored returns a tenant's spec as it is stored, fields of a newer version
// included, and its revision; 0 when there is none.
func (r *SpecRecords) Stored(t event.Tenant) (json.RawMessage, uint64) {
	e, _ := r.in.mirror.Get(specKey(t))
	return e.Value, e.Revision
}

// Delete takes a tenant's spec away by compare-and-set.
func (r *SpecRecords) Delete(ctx context.Context, t event.Tenant, rev uint64) error {
	return r.in.drop(ctx, specKey(t), rev, "tenant "+string(t))
}
