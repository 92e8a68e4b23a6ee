// Package transfer brings specs to the control plane and from there, for everything
// that asks as an admin. A large one travels in parts, and only those that the
// other side lacks. It asks through the function that it is given and opens nothing.
package transfer

import (
	"context"
	"encoding/json"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/tenants"
)

// Stored is a spec as the control plane has it. The zero value is a tenant that is
// not there.
type Stored struct {
	Spec     *tenants.Spec
	Revision uint64
	// Newer is why this version must not store another in its place, nil normally.
	Newer error

	named map[string]bool // parts, of a spec in parts
}

const (
	// uploadBytes is how much of parts is put into one request.
	uploadBytes = 512 << 10
	// tries is how often a spec is asked for that is changed while its parts come.
	tries = 3
)

// Get asks for a tenant's spec. Parts that it has in common with like, which may be
// nil, are not asked for. The error is NotFound when there is no such tenant.
func Get(ctx context.Context, ask api.Do, tenant string, like *tenants.Spec) (stored Stored, err error) {
	parts := map[string]*tenants.Part{}
	if like != nil {
		if err := keep(parts, like); err != nil {
			return stored, err
		}
	}
	for range tries {
		var answer api.SpecAnswer
		err = ask(ctx, api.TenantSpec, api.SpecRequest{Tenant: tenant, Reads: []string{api.ReadsParts}}, &answer)
		if fault.Is(err, fault.Invalid) { // an older node, which does not know the field
			err = ask(ctx, api.TenantSpec, api.TenantRef{Tenant: tenant}, &answer)
		}
		if err != nil {
			return stored, err
		}
		if !tenants.Divided(answer.Spec) {
			stored = Stored{Revision: answer.Revision, Newer: tenants.CheckKnown(event.Tenant(tenant), answer.Spec)}
			stored.Spec, err = tenants.ParseStored(answer.Spec)
			return stored, unreadable(tenant, err)
		}
		if stored, err = inParts(ctx, ask, tenant, answer, parts); !fault.Is(err, fault.NotFound) {
			return stored, err
		}
	}
	return stored, fault.Wrap(fault.Conflict, err, "tenant %s is being changed", tenant)
}

func unreadable(tenant string, err error) error {
	if err == nil {
		return nil
	}
	return fault.WithHint(fault.New(fault.Other, "the spec of tenant %s in the registry cannot be read: %v", tenant, err), "is this midplane older than the cluster's?")
}

// keep takes the parts of a spec.
func keep(parts map[string]*tenants.Part, spec *tenants.Spec) error {
	split, err := spec.Split()
	if err != nil {
		return err
	}
	for _, data := range split.Parts {
		if parts[data.Name], err = tenants.ParsePart(data.Data, tenants.Options{Stored: true}); err != nil {
			return err
		}
	}
	return nil
}

func inParts(ctx context.Context, ask api.Do, tenant string, answer api.SpecAnswer, parts map[string]*tenants.Part) (Stored, error) {
	stored := Stored{Revision: answer.Revision, named: map[string]bool{}}
	head, err := tenants.ParseHead(answer.Spec, tenants.Options{Stored: true})
	if err != nil {
		return stored, unreadable(tenant, err)
	}
	var missing []string
	for _, ref := range head.Names() {
		name := tenants.PartOf(ref)
		stored.named[name] = true
		if parts[name] == nil {
			missing = append(missing, ref)
		}
	}
	for len(missing) > 0 {
		var got api.PartsAnswer
		if err := ask(ctx, api.TenantParts, api.PartsRequest{Tenant: tenant, Parts: missing[:min(api.MaxParts, len(missing))]}, &got); err != nil {
			return stored, err
		}
		if len(got.Parts) == 0 || len(got.Parts) > len(missing) {
			return stored, fault.New(fault.Other, "%d parts of tenant %s were asked for, %d came", len(missing), tenant, len(got.Parts))
		}
		for i, data := range got.Parts {
			if parts[tenants.PartOf(missing[i])], err = tenants.ParsePart(data, tenants.Options{Stored: true}); err != nil {
				return stored, unreadable(tenant, err)
			}
		}
		missing = missing[len(got.Parts):]
	}
	part := func(ref string) (*tenants.Part, error) { return parts[tenants.PartOf(ref)], nil }
	stored.Newer = head.CheckKnown(answer.Spec, part)
	stored.Spec, err = head.Join(part)
	return stored, unreadable(tenant, err)
}

// Put stores a spec in place of what was there and returns its revision. With
// overcommit more storage may be promised than there is.
func Put(ctx context.Context, ask api.Do, spec *tenants.Spec, was Stored, overcommit bool) (uint64, error) {
	req, err := request(ctx, ask, spec, was)
	req.Overcommit = overcommit
	if err != nil {
		return 0, err
	}
	var answer api.TenantRevision
	err = ask(ctx, api.TenantPut, req, &answer)
	return answer.Revision, err
}

// Check asks what Put would change, or why it would be refused. Parts that only the
// new spec has are sent for it, and collected again.
func Check(ctx context.Context, ask api.Do, spec *tenants.Spec, was Stored, overcommit bool) (steps []tenants.Step, err error) {
	req, err := request(ctx, ask, spec, was)
	req.Overcommit = overcommit
	if err != nil {
		return nil, err
	}
	for {
		var answer api.TenantPlan
		if err := ask(ctx, api.TenantCheck, api.CheckTenant{PutTenant: req, After: len(steps)}, &answer); err != nil {
			return nil, err
		}
		for _, s := range answer.Steps {
			steps = append(steps, tenants.Step(s))
		}
		if !answer.More {
			return steps, nil
		}
	}
}

// request returns the request that stores a spec; what its head names is there then.
func request(ctx context.Context, ask api.Do, spec *tenants.Spec, was Stored) (api.PutTenant, error) {
	req := api.PutTenant{Revision: was.Revision}
	split, err := spec.Split()
	if err != nil {
		return req, err
	}
	if split.Size <= tenants.MaxWhole || was.named == nil && split.Size <= tenants.MaxSpec {
		req.Spec, err = spec.JSON()
		return req, err
	}
	up, size := api.Upload{Tenant: string(spec.ID)}, 0
	send := func() error {
		if len(up.Parts) == 0 {
			return nil
		}
		err := ask(ctx, api.TenantUpload, up, nil)
		up.Parts, size = []json.RawMessage{}, 0
		return err
	}
	for _, p := range split.Parts {
		if was.named[p.Name] {
			continue
		}
		if size+len(p.Data) > uploadBytes {
			if err := send(); err != nil {
				return req, err
			}
		}
		up.Parts, size = append(up.Parts, p.Data), size+len(p.Data)
	}
	if err := send(); err != nil {
		return req, err
	}
	req.Spec, err = split.Head.JSON()
	return req, err
}
