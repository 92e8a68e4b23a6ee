package reconcile

import (
	"context"
	"errors"
	"testing"
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/testregistry"
	"midplane/internal/testwait"
	"midplane/platform/registry"
	"midplane/telemetry"
	"midplane/tenants"
)

// streamsReady is the stored condition of tenant acme.
func streamsReady(reg *registry.Registry) bool {
	s, _, _ := registry.Get[registry.TenantStatus](reg, registry.TenantKey("acme"))
	return holds(s, api.StreamsReady)
}

// A new leader takes no tenant for unready because it has not looked at it yet;
// what it then finds counts.
func TestANewLeaderKeepsWhatWasFound(t *testing.T) {
	node := testregistry.Open(t)
	reg, ctx := node.Registry, node.Ctx
	spec, err := tenants.ParseJSON([]byte(`{"apiVersion":"midplane/v1","kind":"Tenant","id":"acme"}`))
	if err != nil {
		t.Fatal(err)
	}
	rev, err := reg.Specs.Put(ctx, spec, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reg.Accounts.Put(ctx, "acme", registry.Account{Incarnations: map[string]uint64{"EVENTS": 1}}, 0); err != nil {
		t.Fatal(err)
	}
	before := registry.TenantStatus{Revision: rev, Conditions: []api.Condition{{Type: api.AccountPushed, OK: true}, {Type: api.StreamsReady, OK: true}}}
	if _, err := reg.PutStatus(ctx, registry.TenantKey("acme"), before); err != nil {
		t.Fatal(err)
	}
	if err := reg.Fresh(ctx); err != nil {
		t.Fatal(err)
	}
	working, result := make(chan struct{}), make(chan error)
	loop := New(Config{Registry: reg, Check: time.Hour, PrimarySilent: time.Minute, Log: telemetry.Nop().Log, Settle: func(ctx context.Context, t *registry.Tenant) (uint64, error) {
		select {
		case working <- struct{}{}:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		select {
		case err := <-result:
			return t.WorkRevision(), err
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}})
	run, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); loop.Run(run) }()
	defer func() { stop(); <-done }()
	<-working
	// The conditions are written while it is at work: others of them do not hold.
	testwait.Until(t, "the new leader has written", func() error {
		if s, _, _ := registry.Get[registry.TenantStatus](reg, registry.TenantKey("acme")); len(s.Conditions) < 5 {
			return errors.New("not yet")
		}
		return nil
	})
	if !streamsReady(reg) {
		t.Error("the streams are said not to be ready before the new leader has looked")
	}
	if s, _, _ := registry.Get[registry.TenantStatus](reg, registry.TenantKey("acme")); !holds(s, api.AccountPushed) || holds(s, api.IngressOpen) {
		t.Errorf("no node's presence is known, and the conditions changed: %+v", s.Conditions)
	}
	result <- fault.New(fault.Unavailable, "no leader answers")
	<-working
	if !streamsReady(reg) {
		t.Error("the streams are said not to be ready because nobody answered")
	}
	result <- errors.New("no stream can be made")
	testwait.Until(t, "the failure counts", func() error {
		if streamsReady(reg) {
			return errors.New("still ready")
		}
		return nil
	})
}
