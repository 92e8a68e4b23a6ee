package registry

import (
	"strings"
	"testing"
	"time"

	"midplane/event"
	"midplane/tenants"
	"midplane/tenants/account"
)

// pair is two nodes' registries on one server, with the same master key.
func pair(t *testing.T) (a, b *Registry, master string) {
	t.Helper()
	s := broker(t, t.TempDir(), 0)
	t.Cleanup(func() { stop(s) })
	master = account.NewMasterKey()
	return open(t, connect(t, s), master), open(t, connect(t, s), master), master
}

// Compiled schemas and unsealed keys are the expensive parts of a view: what
// did not change is the very same object.
func TestViewReusesWhatDidNotChange(t *testing.T) {
	r, _, _ := pair(t)
	putTenant(t, r, r, "acme")
	_, rev := putTenant(t, r, r, "globex")
	was := view(t, r, rev)
	if again := r.View(); again != was {
		t.Fatal("a new view although nothing changed")
	}
	if a := was.Tenants["acme"]; !a.Open() || a.Capability != "secret-of-acme" || was.ByKey[a.Account.Key] != a {
		t.Fatalf("acme is %+v", a)
	}
	rev, err := r.Users.Create(testContext(t), "acme", User{Name: "billing", Role: account.RoleReader})
	if err != nil {
		t.Fatal(err)
	}
	now := view(t, r, rev)
	if now.Tenants["globex"] != was.Tenants["globex"] {
		t.Error("globex was built again although only acme changed")
	}
	a, b := was.Tenants["acme"], now.Tenants["acme"]
	if a == b || len(a.Users) != 0 || len(b.Users) != 1 {
		t.Fatalf("users before %v, after %v: a view is immutable", a.Users, b.Users)
	}
	if a.Spec != b.Spec || a.Schemas != b.Schemas || &a.Keys.Seed[0] != &b.Keys.Seed[0] {
		t.Error("a new user made spec, schemas or keys be read again")
	}
	if b.Revision != rev || b.SpecRevision != a.SpecRevision || b.AccountRevision != a.AccountRevision {
		t.Errorf("revisions %d, %d, %d", b.Revision, b.SpecRevision, b.AccountRevision)
	}
}

// An account sealed with another key, or with nothing, is a problem of that
// tenant alone, and a good record heals it.
func TestAccountThatCannotBeUnsealedIsAProblemOfThatTenantAlone(t *testing.T) {
	s := broker(t, t.TempDir(), 0)
	t.Cleanup(func() { stop(s) })
	r := open(t, connect(t, s), account.NewMasterKey())
	stranger := open(t, connect(t, s), account.NewMasterKey())
	ctx := testContext(t)
	putTenant(t, r, r, "good")
	_, bad := putTenant(t, r, stranger, "bad")
	if _, err := r.Specs.Put(ctx, spec(t, "torn"), 0); err != nil {
		t.Fatal(err)
	}
	torn, err := r.Accounts.Put(ctx, "torn", Account{Key: "AC", JWT: "x", Sealed: []byte{1, 2, 3}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	v := view(t, r, torn)
	for _, id := range []event.Tenant{"bad", "torn"} {
		if x := v.Tenants[id]; x.Open() || x.Problem == "" || x.Spec == nil || x.Capability != "" {
			t.Errorf("%s is open: %v, problem %q, capability %q", id, x.Open(), x.Problem, x.Capability)
		} else if strings.Contains(x.Problem, "secret-of") {
			t.Errorf("the problem tells the secret: %s", x.Problem)
		}
	}
	if x := v.Tenants["good"]; !x.Open() {
		t.Errorf("good is not open: %s", x.Problem)
	}
	rev, err := r.Accounts.Put(ctx, "bad", record(t, r, "bad"), bad)
	if err != nil {
		t.Fatal(err)
	}
	if x := view(t, r, rev).Tenants["bad"]; !x.Open() {
		t.Errorf("still not open after a good record: %q", x.Problem)
	}
}

// A sealed value is bound to its tenant: moved to another one it does not open.
func TestSealedAccountCannotBeMovedToAnotherTenant(t *testing.T) {
	r, _, _ := pair(t)
	ctx := testContext(t)
	if _, err := r.Specs.Put(ctx, spec(t, "globex"), 0); err != nil {
		t.Fatal(err)
	}
	rev, err := r.Accounts.Put(ctx, "globex", record(t, r, "acme"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if x := view(t, r, rev).Tenants["globex"]; x.Open() || x.Problem == "" {
		t.Fatalf("open: %v, problem %q", x.Open(), x.Problem)
	}
}

// What a newer version wrote, or a torn write, is a problem and no panic; it
// heals when a good spec is stored.
func TestSpecThatCannotBeReadIsAProblem(t *testing.T) {
	r, _, _ := pair(t)
	ctx := testContext(t)
	_, rev := putTenant(t, r, r, "acme")
	specRev := view(t, r, rev).Tenants["acme"].SpecRevision
	for _, text := range []string{`{"apiVersion":"midplane/v9"}`, `{`, `null`, ``, `[]`} {
		rev, err := r.config.kv.Update(ctx, specKey("acme"), []byte(text), specRev)
		if err != nil {
			t.Fatal(err)
		}
		specRev = rev
		if x := view(t, r, rev).Tenants["acme"]; x.Open() || x.Problem == "" {
			t.Errorf("spec %q: open %v, problem %q", text, x.Open(), x.Problem)
		}
	}
	rev, err := r.Specs.Put(ctx, spec(t, "acme"), specRev)
	if err != nil {
		t.Fatal(err)
	}
	if x := view(t, r, rev).Tenants["acme"]; !x.Open() {
		t.Errorf("still not open: %q", x.Problem)
	}
}

// A spec that an older version stored keeps its tenant's door open, although
// none like it may be stored today.
func TestSpecOfAnOlderVersionIsNoProblem(t *testing.T) {
	r, _, _ := pair(t)
	ctx := testContext(t)
	_, rev := putTenant(t, r, r, "acme")
	specRev := view(t, r, rev).Tenants["acme"].SpecRevision
	text := `{"apiVersion":"midplane/v1","kind":"Tenant","id":"acme","sites":[{"id":"syd","pollers":[{"id":"syd-01"}],"devices":[{"id":"r1","address":"192.0.2.1",
		"checks":[{"name":"a","collector":"tcp","params":{"reachability":"true"}},{"name":"b","collector":"http","params":{"reachability":"true"}}]}]}]}`
	if _, err := tenants.ParseJSON([]byte(text)); err == nil {
		t.Fatal("two checks that decide may be stored")
	}
	rev, err := r.config.kv.Update(ctx, specKey("acme"), []byte(text), specRev)
	if err != nil {
		t.Fatal(err)
	}
	if x := view(t, r, rev).Tenants["acme"]; !x.Open() || x.Problem != "" || len(x.Spec.Pollers()) != 1 {
		t.Errorf("open: %v, problem %q", x.Open(), x.Problem)
	}
}

func TestUserThatCannotBeReadIsAProblemUntilItIsRepaired(t *testing.T) {
	r, _, _ := pair(t)
	ctx := testContext(t)
	putTenant(t, r, r, "acme")
	rev, err := r.config.kv.Put(ctx, userKey("acme", "odd"), []byte("{"))
	if err != nil {
		t.Fatal(err)
	}
	if x := view(t, r, rev).Tenants["acme"]; x.Problem == "" {
		t.Error("no problem is shown")
	}
	if err := r.config.kv.Delete(ctx, userKey("acme", "odd")); err != nil {
		t.Fatal(err)
	}
	if x := view(t, r, rev+1).Tenants["acme"]; !x.Open() || len(x.Users) != 0 {
		t.Errorf("after the repair: problem %q, users %v", x.Problem, x.Users)
	}
}

// A deleted tenant leaves a tombstone: known by its account's key, never open,
// without keys.
func TestTombstoneIsNeverOpen(t *testing.T) {
	r, _, _ := pair(t)
	ctx := testContext(t)
	_, accountRev := putTenant(t, r, r, "acme")
	key := view(t, r, accountRev).Tenants["acme"].Account.Key
	if err := r.Specs.Delete(ctx, "acme", r.View().Tenants["acme"].SpecRevision); err != nil {
		t.Fatal(err)
	}
	going := view(t, r, accountRev+1).Tenants["acme"]
	if going.Open() || going.Spec != nil || going.Capability == "" {
		t.Fatalf("on its way out it is not open, but its streams can still be reached: %+v", going)
	}
	rev, err := r.Accounts.Put(ctx, "acme", Account{Key: key, JWT: "tombstone", Deleted: true}, accountRev)
	if err != nil {
		t.Fatal(err)
	}
	v := view(t, r, rev)
	x := v.Tenants["acme"]
	if x.Open() || x.Problem != "" || x.Capability != "" || len(x.Keys.Roles) != 0 || v.ByKey[key] != x {
		t.Fatalf("tombstone %+v", x)
	}
	if rev, err = r.Specs.Put(ctx, spec(t, "acme"), 0); err != nil {
		t.Fatal(err)
	}
	if x := view(t, r, rev).Tenants["acme"]; x.Open() {
		t.Fatal("a tombstone is open because a spec came back")
	}
}

func TestDeletedUsersAreForgottenByEveryNode(t *testing.T) {
	a, b, _ := pair(t)
	ctx := testContext(t)
	putTenant(t, a, a, "acme")
	_, rev := putTenant(t, a, a, "globex")
	for _, id := range []event.Tenant{"acme", "globex"} {
		for _, name := range []string{"one", "two", "three"} {
			var err error
			if rev, err = a.Users.Create(ctx, id, User{Name: name, Role: account.RoleProducer}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := a.Users.DeleteAll(ctx, view(t, a, rev).Tenants["acme"]); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*Registry{a, b} {
		v := view(t, r, rev+3)
		if n, m := len(v.Tenants["acme"].Users), len(v.Tenants["globex"].Users); n != 0 || m != 3 {
			t.Errorf("acme has %d users, globex %d", n, m)
		}
	}
	// A name that was forgotten can be used again, and a view in which one user
	// went while another came shows the other.
	rev, err := a.Users.Create(ctx, "acme", User{Name: "two", Role: account.RoleReader})
	if err != nil {
		t.Fatal(err)
	}
	if u := view(t, b, rev).Tenants["acme"].Users; len(u) != 1 || u["two"].Role != account.RoleReader {
		t.Fatalf("users %v", u)
	}
}

// A node counts as live by when this node saw it, not by its clock.
func TestNodeIsLiveAsLongAsItIsHeardOf(t *testing.T) {
	a, b, _ := pair(t)
	ctx := testContext(t)
	rev, err := a.PutStatus(ctx, NodeKey("n1"), Presence{Name: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*Registry{a, b} {
		if err := r.Status.Wait(ctx, rev); err != nil {
			t.Fatal(err)
		}
		if n := r.LiveNodes(); len(n) != 1 || n[0].Name != "n1" {
			t.Fatalf("live: %v", n)
		}
	}
	b.Status.mu.Lock()
	e := b.Status.entries[NodeKey("n1")]
	e.Seen = time.Now().Add(-Live)
	b.Status.entries[NodeKey("n1")] = e
	b.Status.mu.Unlock()
	if n := b.LiveNodes(); len(n) != 0 || len(b.Nodes()) != 1 {
		t.Fatalf("live: %v, known: %v", n, b.Nodes())
	}
}
