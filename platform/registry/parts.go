package registry

import (
	"encoding/json"
	"strconv"
	"strings"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/tenants"
)

// The parts of a tenant's spec are in numbered places. A head names a part by its
// content and its place, "9f86d081884c7d65.12". A place that no head names is used
// again: names made from contents alone would each leave a mark in the bucket when
// they are deleted, for ever.

const partKind = "part"

func partsOf(t event.Tenant) string { return partKind + "." + string(t) + "." }

func partKey(t event.Tenant, place int) string { return partsOf(t) + strconv.Itoa(place) }

// partRef is how a head names a part.
func partRef(name string, place int) string { return name + "." + strconv.Itoa(place) }

// placeOf returns the place that a head names; -1 when it names none.
func placeOf(ref string) int {
	_, place, _ := strings.Cut(ref, ".")
	n, err := strconv.Atoi(place)
	if err != nil {
		return -1
	}
	return n
}

// Part returns a part of a tenant's spec, whether its present head names it or an
// earlier one did; NotFound when this node does not have it.
func (r *SpecRecords) Part(t event.Tenant, ref string) (*tenants.Part, error) {
	if now := r.views.current().Tenants[t]; now != nil && now.parts[ref] != nil {
		return now.parts[ref], nil
	}
	return r.views.part(t, ref)
}

// PartData returns a part as it is stored; NotFound when this node does not have it.
func (r *SpecRecords) PartData(t event.Tenant, ref string) (json.RawMessage, error) {
	return r.views.partData(t, ref)
}

func (v *views) partData(t event.Tenant, ref string) (json.RawMessage, error) {
	e, ok := v.mirror.Get(partKey(t, placeOf(ref)))
	if name := tenants.PartOf(ref); !ok || api.PartName(e.Value) != name {
		return nil, fault.WithHint(fault.New(fault.NotFound, "part %s of tenant %s is not there", Clip(ref, 64), t), "repeat the command: the tenant was changed in between")
	}
	return e.Value, nil
}

// part reads a part from the mirror.
func (v *views) part(t event.Tenant, ref string) (*tenants.Part, error) {
	data, err := v.partData(t, ref)
	if err != nil {
		return nil, err
	}
	return tenants.ParsePart(data, tenants.Options{Stored: true})
}

// divided reads a spec in parts. Those that the tenant had before are not read
// again.
func (v *views) divided(t *Tenant, old *Tenant, data []byte) error {
	head, err := tenants.ParseHead(data, tenants.Options{Stored: true})
	if err != nil {
		return err
	}
	parts := map[string]*tenants.Part{}
	spec, err := head.Join(func(ref string) (*tenants.Part, error) {
		if old != nil && old.parts[ref] != nil {
			parts[ref] = old.parts[ref]
			return parts[ref], nil
		}
		p, err := v.part(t.ID, ref)
		parts[ref] = p
		return p, err
	})
	if err == nil {
		t.Spec, t.PartNames, t.parts = spec, head.Parts, parts
	}
	return err
}

// UnnamedParts returns the key and the revision of every part that no spec names,
// and no record of what was declared.
func (r *Registry) UnnamedParts() map[string]uint64 {
	out := map[string]uint64{}
	r.Config.Prefix(partKind+".", func(e Entry) { out[e.Key] = e.Revision })
	if len(out) == 0 {
		return out
	}
	r.Config.Prefix(specKey(""), func(e Entry) { forNamed(event.Tenant(strings.TrimPrefix(e.Key, specKey(""))), e.Value, out) })
	r.Status.Prefix(DeclaredKey(""), func(e Entry) {
		forNamed(event.Tenant(strings.TrimPrefix(e.Key, DeclaredKey(""))), e.Value, out)
	})
	return out
}

// forNamed takes out of keys the parts that a stored value names; all of the
// tenant's, when it cannot be read.
func forNamed(t event.Tenant, value []byte, keys map[string]uint64) {
	refs, err := refsIn(value)
	for _, ref := range refs {
		delete(keys, partKey(t, placeOf(ref)))
	}
	for key := range keys {
		if err != nil && strings.HasPrefix(key, partsOf(t)) {
			delete(keys, key)
		}
	}
}

// refsIn returns the parts that a stored value names: a head, or what was declared.
func refsIn(value []byte) (refs []string, err error) {
	if !strings.Contains(string(value), `"parts"`) {
		return nil, nil
	}
	var names struct {
		Parts map[event.Site][]string `json:"parts"`
	}
	if err := json.Unmarshal(value, &names); err != nil {
		return nil, err
	}
	for _, list := range names.Parts {
		refs = append(refs, list...)
	}
	return refs, nil
}
