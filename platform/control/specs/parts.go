package specs

import (
	"context"
	"encoding/json"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/tenants"
)

// stepBytes is what a step has in JSON beside its texts.
const stepBytes = 40

// whole returns a spec in one piece for one who does not read parts.
func (s *Specs) whole(spec *tenants.Spec) (json.RawMessage, error) {
	data, err := spec.JSON()
	if err == nil && len(data) > tenants.MaxSpec {
		err = fault.WithHint(fault.New(fault.Conflict, "the spec of tenant %s has %d bytes, and this command takes it in one piece of %d at most", spec.ID, len(data), tenants.MaxSpec),
			"use a midplane of the cluster's version")
	}
	return data, err
}

// Parts answers with parts of a stored spec.
func (s *Specs) Parts(_ context.Context, _ string, req api.PartsRequest) (any, error) {
	t, err := s.Registry.View().Declared(req.Tenant)
	if err != nil {
		return nil, err
	}
	return api.AnswerParts(req.Parts, func(ref string) (json.RawMessage, error) { return s.Registry.Specs.PartData(t.ID, ref) })
}

// Upload stores parts that a spec is to name. The tenant need not exist yet.
func (s *Specs) Upload(ctx context.Context, _ string, req api.Upload) (any, error) {
	if err := event.CheckUserName("tenant", req.Tenant); err != nil {
		return nil, err
	}
	if !s.Registry.Specs.Divides() {
		return nil, fault.WithHint(fault.New(fault.Conflict, "tenant %s is larger than %d bytes, and is stored only once no node is of an older version and the upgrade has been ended", req.Tenant, tenants.MaxSpec),
			"see: midplane upgrade status")
	}
	var parts []tenants.PartData
	for i, data := range req.Parts {
		if _, err := tenants.ParsePart(data, tenants.Options{}); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "part %d", i+1)
		}
		parts = append(parts, tenants.PartData{Name: api.PartName(data), Data: data})
	}
	return nil, s.Registry.Specs.PutParts(ctx, event.Tenant(req.Tenant), parts)
}

// read reads a spec that is to be stored: whole, or a head whose parts are there.
func (s *Specs) read(raw json.RawMessage) (*tenants.Spec, error) {
	if !tenants.Divided(raw) {
		return tenants.ParseJSON(raw)
	}
	head, err := tenants.ParseHead(raw, tenants.Options{})
	if err != nil {
		return nil, err
	}
	spec, err := head.Join(s.Registry.Specs.Uploaded(head.ID))
	if err != nil {
		return nil, err
	}
	return spec, fault.Wrap(fault.Invalid, spec.Validate(tenants.Options{}), "tenant's spec")
}

// steps returns of a plan what follows after the first so many steps.
func steps(plan []tenants.Step, after int) (out []api.TenantStep, more bool) {
	out = []api.TenantStep{}
	size := 0
	for _, step := range plan[min(max(after, 0), len(plan)):] {
		if size += len(step.Verb) + len(step.What) + len(step.Detail) + stepBytes; size > api.AnswerBytes {
			return out, true
		}
		out = append(out, api.TenantStep(step))
	}
	return out, false
}
