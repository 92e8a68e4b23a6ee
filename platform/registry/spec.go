package registry

import (
	"context"
	"encoding/json"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/tenants"
)

// SpecRecords are the tenants' specs: one value each, or a head and parts.
type SpecRecords struct {
	in       bucket
	views    *views
	divide   func() bool                 // whether a spec may be stored in parts
	declared func(t event.Tenant) []byte // what STATUS keeps of what was declared
}

func specKey(t event.Tenant) string { return "spec." + string(t) }

// divides reports whether a spec may be stored in parts: an operator has ended an
// upgrade to a version that reads them, and every live node does.
func (r *Registry) divides() bool {
	level, _, err := r.Levels.Get()
	if err != nil || !readsParts(level.Formats) {
		return false
	}
	for _, n := range r.LiveNodes() {
		if !readsParts(n.Formats) {
			return false
		}
	}
	return true
}

func readsParts(f api.Formats) bool { return f.Number(api.FormatRegistry) >= api.RegistryWithParts }

// Divides reports whether a spec is stored in parts when it is large.
func (r *SpecRecords) Divides() bool { return r.divide() }

// Put stores a tenant's spec; rev is the revision it was changed from, 0 for a
// new tenant. A different revision in the registry is a Conflict, and so is a
// stored spec with fields that this version does not know: the new one says
// nothing of them, and they would be lost.
//
// A large spec is stored in parts: first those that are not there, then the head.
// Stopping in between leaves the spec as it was.
func (r *SpecRecords) Put(ctx context.Context, spec *tenants.Spec, rev uint64) (uint64, error) {
	stored := r.in.stored(ctx, specKey(spec.ID), rev)
	if err := r.replaceable(spec.ID, stored); err != nil {
		return 0, err
	}
	split, err := spec.Split()
	if err != nil {
		return 0, err
	}
	what, divide := "tenant "+string(spec.ID), r.divide()
	switch {
	case split.Size <= tenants.MaxWhole || !divide && split.Size <= tenants.MaxSpec:
		return r.in.replace(ctx, specKey(spec.ID), spec, rev, what)
	case !divide:
		return 0, fault.WithHint(fault.New(fault.Conflict, "%s has about %d bytes, and more than %d are stored only once no node is of an older version and the upgrade has been ended",
			what, split.Size, tenants.MaxSpec), "see: midplane upgrade status")
	}
	now, seen := r.Stored(spec.ID)
	if seen != rev {
		return 0, changed(what) // found before a place is used that the present head names
	}
	at, err := r.placesOf(spec.ID, now)
	if err != nil {
		return 0, err
	}
	if err := at.put(ctx, split.Parts); err != nil {
		return 0, err
	}
	split.Head.Rename(at.refs)
	return r.in.replace(ctx, specKey(spec.ID), split.Head, rev, what)
}

// replaceable returns why this version must not store another spec in place of a
// stored one.
func (r *SpecRecords) replaceable(t event.Tenant, stored []byte) error {
	if !tenants.Divided(stored) {
		return tenants.CheckKnown(t, stored)
	}
	head, err := tenants.ParseHead(stored, tenants.Options{Stored: true})
	if err != nil {
		return err
	}
	return head.CheckKnown(stored, func(ref string) (*tenants.Part, error) { return r.Part(t, ref) })
}

// Stored returns a tenant's spec as it is stored, fields of a newer version
// included, and its revision; 0 when there is none. It may be a head.
func (r *SpecRecords) Stored(t event.Tenant) (json.RawMessage, uint64) {
	e, _ := r.in.mirror.Get(specKey(t))
	return e.Value, e.Revision
}

// Delete takes a tenant's spec away by compare-and-set. Its parts are collected
// later.
func (r *SpecRecords) Delete(ctx context.Context, t event.Tenant, rev uint64) error {
	return r.in.drop(ctx, specKey(t), rev, "tenant "+string(t))
}
