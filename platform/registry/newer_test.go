package registry

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"midplane/event"
	"midplane/fault"
	"midplane/tenants"
)

// with adds fields to a stored JSON object.
func with(t *testing.T, data []byte, fields string) []byte {
	t.Helper()
	return []byte(strings.TrimSuffix(string(data), "}") + "," + fields + "}")
}

// Fields that a newer version stored close no door, and stay when this version
// changes the record.
func TestFieldsOfANewerVersionAreKept(t *testing.T) {
	r, _, _ := pair(t)
	ctx := testContext(t)
	_, rev := putTenant(t, r, r, "acme")
	x := view(t, r, rev).Tenants["acme"]
	stored, _ := r.Config.Get(accountKey("acme"))
	rev, err := r.config.kv.Update(ctx, accountKey("acme"), with(t, stored.Value, `"homeRegion":"eu"`), x.AccountRevision)
	if err != nil {
		t.Fatal(err)
	}
	x = view(t, r, rev).Tenants["acme"]
	if !x.Open() {
		t.Fatalf("the door is closed: %s", x.Problem)
	}
	next := x.Account
	next.Roles = 99
	if rev, err = r.Accounts.Put(ctx, "acme", next, x.AccountRevision); err != nil {
		t.Fatal(err)
	}
	view(t, r, rev)
	if stored, _ = r.Config.Get(accountKey("acme")); !strings.Contains(string(stored.Value), `"homeRegion":"eu"`) || !strings.Contains(string(stored.Value), `"roles":99`) {
		t.Errorf("stored: %s", stored.Value)
	}

	rev, err = r.config.kv.Put(ctx, userKey("acme", "ann"), []byte(`{"name":"ann","role":"app","publicKey":"UX","subs":[],"created":"2026-01-01T00:00:00Z","team":"noc"}`))
	if err != nil {
		t.Fatal(err)
	}
	view(t, r, rev)
	if _, rev, err = r.Users.Change(ctx, "acme", "ann", func(u *User) (bool, error) { u.By = "admin"; return true, nil }); err != nil {
		t.Fatal(err)
	}
	view(t, r, rev)
	if stored, _ = r.Config.Get(userKey("acme", "ann")); !strings.Contains(string(stored.Value), `"team":"noc"`) || !strings.Contains(string(stored.Value), `"by":"admin"`) {
		t.Errorf("stored: %s", stored.Value)
	}
}

// What a newer version has sealed with an account's keys stays when they are
// sealed again, and goes with the account.
func TestSealedFieldsOfANewerVersionAreKept(t *testing.T) {
	r, _, _ := pair(t)
	ctx := testContext(t)
	_, rev := putTenant(t, r, r, "acme")
	x := view(t, r, rev).Tenants["acme"]
	secrets := Secrets{Keys: x.Keys, Capability: string(x.Capability)}
	data, err := json.Marshal(secrets)
	if err != nil {
		t.Fatal(err)
	}
	next := x.Account
	if next.Sealed, err = r.Accounts.sealer.Seal(sealContext("acme"), json.RawMessage(with(t, data, `"signer":"of a newer version"`))); err != nil {
		t.Fatal(err)
	}
	if rev, err = r.Accounts.Put(ctx, "acme", next, x.AccountRevision); err != nil {
		t.Fatal(err)
	}
	view(t, r, rev)
	opened := func(sealed []byte) string {
		var raw json.RawMessage
		if err := r.Accounts.sealer.Open(sealContext("acme"), sealed, &raw); err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	secrets.Next = "rotated-in"
	sealed, err := r.Accounts.Seal("acme", secrets)
	if err != nil {
		t.Fatal(err)
	}
	if got := opened(sealed); !strings.Contains(got, "of a newer version") || !strings.Contains(got, "rotated-in") {
		t.Error("what a newer version had sealed is gone, or the change is")
	}
	if strings.Contains(opened(record(t, r, "acme").Sealed), "of a newer version") {
		t.Error("a new account has what was the former one's")
	}
}

// A spec with fields of a newer version is served, and not written over by a
// version that cannot say them.
func TestSpecOfANewerVersionIsServedAndNotWrittenOver(t *testing.T) {
	r, _, _ := pair(t)
	ctx := testContext(t)
	_, rev := putTenant(t, r, r, "acme")
	x := view(t, r, rev).Tenants["acme"]
	text := `{"apiVersion":"midplane/v1","kind":"Tenant","id":"acme","sites":[{"id":"syd","tags":["a"],"pollers":[{"id":"syd-01"}]}],"maintenance":{}}`
	rev, err := r.config.kv.Update(ctx, specKey("acme"), []byte(text), x.SpecRevision)
	if err != nil {
		t.Fatal(err)
	}
	if x = view(t, r, rev).Tenants["acme"]; !x.Open() || len(x.Spec.Pollers()) != 1 {
		t.Fatalf("the door is closed: %s", x.Problem)
	}
	_, err = r.Specs.Put(ctx, spec(t, "acme"), x.SpecRevision)
	if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "maintenance, sites[0].tags") || fault.HintOf(err) == "" {
		t.Errorf("written over: %v", err)
	}
	if _, err := tenants.ParseJSON([]byte(text)); !fault.Is(err, fault.Invalid) {
		t.Errorf("what people write is read leniently: %v", err)
	}
}

// A value that names a higher format restricts more than this version would: it
// is not read.
func TestAHigherFormatIsRefused(t *testing.T) {
	for name, field := range map[string]string{"a number": `"format":99`, "another word": `"format":"three"`} {
		t.Run(name, func(t *testing.T) {
			r, _, _ := pair(t)
			ctx := testContext(t)
			_, rev := putTenant(t, r, r, "acme")
			x := view(t, r, rev).Tenants["acme"]
			stored, _ := r.Config.Get(specKey("acme"))
			rev, err := r.config.kv.Update(ctx, specKey("acme"), with(t, stored.Value, field), x.SpecRevision)
			if err != nil {
				t.Fatal(err)
			}
			if x = view(t, r, rev).Tenants["acme"]; x.Open() || x.Problem == "" {
				t.Errorf("open %v, problem %q", x.Open(), x.Problem)
			}
		})
	}
	var u User
	if err := decode([]byte(`{"name":"ann","format":2,"role":"app"}`), &u); err != nil || u.Name != "ann" {
		t.Errorf("a format that is known: %v", err)
	}
}

// A user's record with a higher format leaves the tenant open, and its user may do
// nothing: an admin's as well, also one who was revoked.
func TestAUserOfAHigherFormatMayDoNothing(t *testing.T) {
	r, _, _ := pair(t)
	ctx := testContext(t)
	_, rev := putTenant(t, r, r, "acme")
	view(t, r, rev)
	for _, tenant := range []event.Tenant{"acme", Operators} {
		rev, err := r.config.kv.Put(ctx, userKey(tenant, "bob"), []byte(`{"name":"bob","role":"app","publicKey":"UX","subs":[],"created":"2026-01-01T00:00:00Z","format":99,"only":"reads"}`))
		if err != nil {
			t.Fatal(err)
		}
		v := view(t, r, rev)
		users := v.Admins
		if tenant != Operators {
			if users = v.Tenants[tenant].Users; !v.Tenants[tenant].Open() {
				t.Errorf("the door is closed: %s", v.Tenants[tenant].Problem)
			}
		}
		if u, ok := users["bob"]; !ok || u.Live() || u.PublicKey != "UX" {
			t.Errorf("%s: %+v", tenant, u)
		}
		if _, _, err := r.Users.Change(ctx, tenant, "bob", func(*User) (bool, error) { return true, nil }); !fault.Is(err, fault.Unavailable) || fault.HintOf(err) == "" {
			t.Errorf("%s: changed: %v", tenant, err)
		}
		if err := r.Users.Delete(ctx, tenant, users["bob"]); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: deleted: %v", tenant, err)
		}
	}
}

// What a newer version stored of one user, account or secret is not the next one's.
func TestFieldsOfANewerVersionStayWithTheirHolder(t *testing.T) {
	r, _, _ := pair(t)
	ctx := testContext(t)
	_, rev := putTenant(t, r, r, "acme")
	view(t, r, rev)
	was := User{Name: "mel-01", Role: "poller", PublicKey: "U1", Revoked: time.Now()}
	data, err := json.Marshal(was)
	if err != nil {
		t.Fatal(err)
	}
	if rev, err = r.config.kv.Put(ctx, userKey("acme", "mel-01"), with(t, data, `"scopes":["all"]`)); err != nil {
		t.Fatal(err)
	}
	view(t, r, rev)
	if rev, err = r.Users.Replace(ctx, "acme", User{Name: "mel-01", Role: "poller", PublicKey: "U2"}, was); err != nil {
		t.Fatal(err)
	}
	x := view(t, r, rev).Tenants["acme"]
	if e, _ := r.Config.Get(userKey("acme", "mel-01")); strings.Contains(string(e.Value), "scopes") {
		t.Errorf("stored: %s", e.Value)
	}
	stored, _ := r.Config.Get(accountKey("acme"))
	if rev, err = r.config.kv.Update(ctx, accountKey("acme"), with(t, stored.Value, `"region":"eu"`), x.AccountRevision); err != nil {
		t.Fatal(err)
	}
	view(t, r, rev)
	next := record(t, r, "acme")
	if rev, err = r.Accounts.Put(ctx, "acme", next, rev); err != nil {
		t.Fatal(err)
	}
	view(t, r, rev)
	if e, _ := r.Config.Get(accountKey("acme")); strings.Contains(string(e.Value), "region") {
		t.Errorf("stored: %s", e.Value)
	}
}
