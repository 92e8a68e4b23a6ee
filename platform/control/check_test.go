package control_test

import (
	"testing"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/testcluster"
)

// A check says what storing would change and what would refuse it, and stores
// nothing.
func TestCheckStoresNothing(t *testing.T) {
	c := cluster(t)
	spec := testcluster.Tenant("checked")
	raw, err := spec.JSON()
	if err != nil {
		t.Fatal(err)
	}
	plan := ask[api.TenantPlan](t, c, api.TenantCheck, api.PutTenant{Spec: raw})
	if plan.Revision != 0 || len(plan.Steps) == 0 || plan.Steps[0].Verb != "create" || plan.Steps[0].What != "tenant checked" {
		t.Errorf("%+v", plan)
	}
	wantKind(t, "the tenant afterwards", do(t, c, api.TenantSpec, api.TenantRef{Tenant: "checked"}, nil), fault.NotFound)

	apply(t, c, spec)
	stored := ask[api.SpecAnswer](t, c, api.TenantSpec, api.TenantRef{Tenant: "checked"})
	if plan = ask[api.TenantPlan](t, c, api.TenantCheck, api.PutTenant{Spec: raw, Revision: stored.Revision}); len(plan.Steps) != 0 || plan.Revision != stored.Revision {
		t.Errorf("the same again: %+v", plan)
	}
	wantKind(t, "another revision", do(t, c, api.TenantCheck, api.PutTenant{Spec: raw}, nil), fault.Conflict)
	wantKind(t, "no spec", do(t, c, api.TenantCheck, api.PutTenant{Spec: []byte(`{"id":"*"}`)}, nil), fault.Invalid)
	spec.Name = "Another"
	if raw, err = spec.JSON(); err != nil {
		t.Fatal(err)
	}
	if plan = ask[api.TenantPlan](t, c, api.TenantCheck, api.PutTenant{Spec: raw, Revision: stored.Revision}); len(plan.Steps) != 1 || plan.Steps[0].Verb != "change" {
		t.Errorf("%+v", plan)
	}
	again := ask[api.SpecAnswer](t, c, api.TenantSpec, api.TenantRef{Tenant: "checked"})
	if again.Revision != stored.Revision {
		t.Errorf("revision %d became %d", stored.Revision, again.Revision)
	}
}
