package control

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/dial"
	"midplane/platform/registry"
	"midplane/telemetry"
	"midplane/tenants"
	"midplane/tenants/account"
)

// leader is a node that leads, with a registry of its own and no cluster.
type leader struct {
	*Control
	reg *registry.Registry
}

// alone returns a leader; cut takes its connection away.
func alone(t *testing.T) (l *leader, cut func()) {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir(), JetStreamMaxStore: 2 << 30})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the server did not come up")
	}
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	cut = nc.Close
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := account.NewSealer(account.NewMasterKey())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	reg, err := registry.Open(ctx, js, sealer, 1, nil, func(kv jetstream.KeyValue) *registry.Mirror { return registry.NewMirror(kv, nil, telemetry.Nop()) })
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*registry.Mirror{reg.Config, reg.Status} {
		go func() { _ = m.Run(ctx) }() // returns nil
		if err := m.Wait(ctx, 0); err != nil {
			t.Fatal(err)
		}
	}
	sys, err := account.NewKeys(account.SystemRoles)
	if err != nil {
		t.Fatal(err)
	}
	ctl, err := account.NewKeys(account.ControlRoles)
	if err != nil {
		t.Fatal(err)
	}
	op, err := account.NewOperator("test", sys.Public)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := account.NewSigner(op.Signing)
	if err != nil {
		t.Fatal(err)
	}
	log, err := registry.OpenAudit(ctx, js, 1)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{Audit: log, Node: "n1", Registry: reg, Dialer: &dial.Dialer{}, Signer: signer, Control: ctl, System: sys.Public}, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	c.admin.Origin = func(context.Context, string, string) string { return "here" }
	return &leader{c, reg}, cut
}

func (l *leader) mustPut(t *testing.T, id event.Tenant) *registry.Tenant {
	t.Helper()
	spec, err := tenants.ParseJSON([]byte(`{"apiVersion":"midplane/v1","kind":"Tenant","id":"` + string(id) + `","name":"Acme"}`))
	if err != nil {
		t.Fatal(err)
	}
	rev, err := l.reg.Specs.Put(t.Context(), spec, 0)
	if err != nil {
		t.Fatal(err)
	}
	view, err := l.reg.WaitView(t.Context(), rev)
	if err != nil {
		t.Fatal(err)
	}
	return view.Tenants[id]
}

func (l *leader) now(t *testing.T, id event.Tenant) *registry.Tenant {
	t.Helper()
	if err := l.reg.Fresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l.reg.View().Tenants[id]
}

func (l *leader) settle(t *testing.T, tenant *registry.Tenant) error {
	t.Helper()
	_, err := l.walk().Settle(t.Context(), tenant)
	return err
}

// toRead is what a primary is answered at once.
func (l *leader) toRead(t *testing.T) api.CoreTenantsAnswer {
	t.Helper()
	answer, err := l.primaries.Tenants(t.Context(), "core-1", api.CoreTenantsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return answer.(api.CoreTenantsAnswer)
}

func (l *leader) delete(t *testing.T, id event.Tenant) {
	t.Helper()
	if _, err := l.specs.Delete(t.Context(), "admin", api.TenantRef{Tenant: string(id)}); err != nil {
		t.Fatalf("delete: %v", err)
	}
}

// A tenant that is deleted while its first account is being made leaves nothing
// behind, whichever of the two is first.
func TestDeletedWhileItsAccountIsMade(t *testing.T) {
	l, _ := alone(t)
	t.Run("deleted first", func(t *testing.T) {
		seen := l.mustPut(t, "early") // what the leader works on
		l.delete(t, "early")
		if _, err := l.accounts.Ensure(t.Context(), seen, true); !fault.Is(err, fault.Conflict) {
			t.Fatalf("an account was made for a tenant that is gone: %v", err)
		}
		if now := l.now(t, "early"); now == nil || !now.Leaving() || now.Spec != nil {
			t.Fatalf("%+v", now)
		} else if err := l.settle(t, now); err != nil {
			t.Fatal(err)
		}
		if now := l.now(t, "early"); now != nil {
			t.Errorf("left: %+v", now)
		}
	})
	t.Run("made first", func(t *testing.T) {
		made, err := l.accounts.Ensure(t.Context(), l.mustPut(t, "late"), true)
		if err != nil {
			t.Fatal(err)
		}
		l.delete(t, "late")
		if now := l.now(t, "late"); now == nil || !now.Leaving() || now.Account.Key != made.Account.Key {
			t.Fatalf("%+v", now)
		}
		if now := l.now(t, "late"); l.accounts.PutTombstone(t.Context(), now) != nil || !l.now(t, "late").Account.Deleted {
			t.Errorf("no tombstone: %+v", l.now(t, "late"))
		}
		// Made again, and deleted before the new account is there: the old
		// tombstone stays, so that a node that was away learns of it.
		seen := l.mustPut(t, "late")
		l.delete(t, "late")
		if _, err := l.accounts.Ensure(t.Context(), seen, true); !fault.Is(err, fault.Conflict) {
			t.Fatalf("an account was made beside the tombstone: %v", err)
		}
		if err := l.settle(t, l.now(t, "late")); err != nil {
			t.Fatal(err)
		}
		if now := l.now(t, "late"); now == nil || !now.Account.Deleted || now.Leaving() || now.Account.Key != made.Account.Key {
			t.Errorf("%+v", now)
		}
	})
	t.Run("who asked died in between", func(t *testing.T) {
		seen := l.mustPut(t, "half")
		if _, err := l.reg.Accounts.Put(t.Context(), "half", registry.Account{Leaving: true}, 0); err != nil {
			t.Fatal(err)
		}
		if now := l.now(t, "half"); now.SpecRevision != seen.SpecRevision {
			t.Fatalf("%+v", now)
		} else if err := l.settle(t, now); err != nil {
			t.Fatal(err)
		}
		if now := l.now(t, "half"); now != nil {
			t.Errorf("left: %+v", now)
		}
	})
	t.Run("applied again in between", func(t *testing.T) {
		l.mustPut(t, "again")
		l.delete(t, "again")
		l.mustPut(t, "again") // by a node that did not know of it
		if err := l.settle(t, l.now(t, "again")); err != nil {
			t.Fatal(err)
		}
		if now := l.now(t, "again"); now == nil || now.Spec == nil || now.Leaving() {
			t.Errorf("what was applied since is gone: %+v", now)
		}
	})
}

// Primaries learn of a tenant when there is something to read, and do not take it
// for gone when its file changes.
func TestReadableOnceStreamsAreMade(t *testing.T) {
	l, _ := alone(t)
	made, err := l.accounts.Ensure(t.Context(), l.mustPut(t, "acme"), true)
	if err != nil {
		t.Fatal(err)
	}
	next := made.Account
	next.Incarnations = map[string]uint64{event.StreamEvents: 1, event.StreamState: 1, event.StreamMetrics: 1, event.StreamDead: 1}
	if made, err = l.accounts.Put(t.Context(), made, next); err != nil {
		t.Fatal(err)
	}
	if got := l.toRead(t).Tenants; len(got) != 0 {
		t.Fatalf("named streams that are not there: %+v", got)
	}
	known, changed := l.reg.Config.Revision()
	rev, err := l.reg.Accounts.PutMade(t.Context(), made)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed: // what a primary waits for
	case <-time.After(time.Minute):
		t.Fatal("no primary is woken")
	}
	if _, err := l.reg.WaitView(t.Context(), rev); err != nil {
		t.Fatal(err)
	}
	if got := l.toRead(t); len(got.Tenants) != 1 || got.Tenants[0].Tenant != "acme" || got.Revision <= known {
		t.Fatalf("%+v", got)
	}
	spec := *made.Spec
	spec.Name = "Acme Ltd"
	if rev, err = l.reg.Specs.Put(t.Context(), &spec, made.SpecRevision); err != nil {
		t.Fatal(err)
	}
	if _, err := l.reg.WaitView(t.Context(), rev); err != nil {
		t.Fatal(err)
	}
	if got := l.toRead(t).Tenants; len(got) != 1 || got[0].Name != "Acme Ltd" {
		t.Fatalf("%+v", got)
	}
	l.delete(t, "acme")
	now := l.now(t, "acme")
	if err := l.reg.Accounts.DropMade(t.Context(), now); err != nil {
		t.Fatal(err)
	}
}
