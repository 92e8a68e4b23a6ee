// Package specs keeps what operators declare: it checks a tenant's spec, stores
// it, returns it, and marks a tenant to go. It touches
// spec records, and of accounts the mark that they are to go; what follows from
// either is package reconcile's.
package specs

import (
	"context"
	"slices"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/registry"
	"midplane/schemas/catalog"
	"midplane/tenants"
)

// Specs reads and writes tenants' specs.
type Specs struct {
	Registry   *registry.Registry
	Replicas   int  // of a stream
	Overcommit bool // as if every request said so
}

// Get returns a tenant's spec as it is stored: who asks may know more of its fields
// than this node. One in parts is a head for those who read it.
func (s *Specs) Get(_ context.Context, _ string, req api.SpecRequest) (any, error) {
	t, err := s.Registry.View().Declared(req.Tenant)
	if err != nil {
		return nil, err
	}
	data, rev := s.Registry.Specs.Stored(t.ID)
	if rev == 0 {
		return nil, fault.New(fault.Conflict, "tenant %s was removed in between", t.ID)
	}
	if tenants.Divided(data) && !slices.Contains(req.Reads, api.ReadsParts) {
		if data, err = s.whole(t.Spec); err != nil {
			return nil, err
		}
		rev = t.SpecRevision
	}
	return api.SpecAnswer{Spec: data, Revision: rev}, nil
}

// Put stores a spec. It is checked here again, whichever client sent it, and
// compiled with everything it brings, before anything changes.
func (s *Specs) Put(ctx context.Context, _ string, req api.PutTenant) (any, error) {
	spec, err := s.acceptable(req)
	if err != nil {
		return nil, err
	}
	rev, err := s.Registry.Specs.Put(ctx, spec, req.Revision)
	if err != nil {
		return nil, err
	}
	// The next request to this node sees what was stored.
	if _, err := s.Registry.WaitView(ctx, rev); err != nil {
		return nil, err
	}
	return api.TenantRevision{Tenant: string(spec.ID), Revision: rev}, nil
}

// acceptable reads a spec that is to be stored and checks it against all that is
// there.
func (s *Specs) acceptable(req api.PutTenant) (*tenants.Spec, error) {
	spec, err := s.read(req.Spec)
	if err != nil {
		return nil, err
	}
	if _, err := s.fits(map[event.Tenant]int64{spec.ID: int64(spec.Quota.Storage)}, req.Overcommit); err != nil {
		return nil, err
	}
	if err := checkSchemas(spec); err != nil {
		return nil, err
	}
	t := s.Registry.View().Tenants[spec.ID]
	if t == nil {
		return spec, nil
	}
	if t.Leaving() {
		return nil, fault.WithHint(fault.New(fault.Conflict, "tenant %s is being deleted", spec.ID), "wait until it is gone, then apply again")
	}
	for _, p := range spec.Pollers() {
		if u, ok := t.Users[string(p.ID)]; ok && u.Role != "poller" {
			return nil, fault.New(fault.Conflict, "poller %s/%s: the name is taken by a user of role %s", spec.ID, p.ID, u.Role)
		}
	}
	return spec, nil
}

// checkSchemas compiles a tenant's own types beside Midplane's.
func checkSchemas(spec *tenants.Spec) error {
	_, err := catalog.Set().With(spec.Schemas)
	return err
}

// Check answers what storing a spec would change, or why it would be refused.
func (s *Specs) Check(_ context.Context, _ string, req api.CheckTenant) (any, error) {
	spec, err := s.acceptable(req.PutTenant)
	if err != nil {
		return nil, err
	}
	out := api.TenantPlan{Tenant: string(spec.ID)}
	var have *tenants.Spec
	if t := s.Registry.View().Tenants[spec.ID]; t != nil && t.Spec != nil {
		have, out.Revision = t.Spec, t.SpecRevision
	}
	if req.Revision != out.Revision {
		return nil, fault.WithHint(fault.New(fault.Conflict, "tenant %s was changed in between", spec.ID), "look with midplane diff, then try again")
	}
	out.Steps, out.More = steps(tenants.Plan(have, spec), req.After)
	return out, nil
}

// Delete records, by compare-and-set, that the tenant is to go, and
// takes its spec away; the leader does the rest, and goes on with it after any
// interruption.
func (s *Specs) Delete(ctx context.Context, _ string, req api.TenantRef) (any, error) {
	for again := false; ; again = true {
		err := s.askToLeave(ctx, event.Tenant(req.Tenant))
		if again && fault.Is(err, fault.NotFound) {
			return nil, nil // the leader was faster
		}
		if !fault.Is(err, fault.Conflict) || ctx.Err() != nil {
			return nil, err
		}
		// What was changed in between does not matter: the tenant is to go.
		if err := s.Registry.Fresh(ctx); err != nil {
			return nil, err
		}
	}
}

func (s *Specs) askToLeave(ctx context.Context, id event.Tenant) error {
	t := s.Registry.View().Tenants[id]
	if t == nil || id.OfSystem() || t.SpecRevision == 0 && !t.Leaving() {
		_, err := s.Registry.View().Declared(string(id))
		return err
	}
	if t.Account.Key == "" && t.AccountRevision != 0 && !t.Account.Leaving {
		return fault.WithHint(fault.New(fault.Unavailable, "the account of tenant %s cannot be read by this node: %s", t.ID, t.Problem), "is it older than the others?")
	}
	if !t.Account.Leaving {
		// Also where there is no account yet, or a tombstone: a leader that is making
		// one at this moment finds the record changed and leaves it.
		next := t.Account
		next.Leaving = true
		if _, err := s.Registry.Accounts.Put(ctx, t.ID, next, t.AccountRevision); err != nil {
			return err
		}
	}
	if t.SpecRevision == 0 {
		return nil // asked before
	}
	return s.Registry.Specs.Delete(ctx, t.ID, t.SpecRevision)
}
