package account

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/jwt/v2"

	"midplane/fault"
)

// badNames would open more than one's own corner if they were signed.
var badNames = []string{"", " ", "*", ">", "a.b", "a b", "a*", ">a", "A", "é", "-a", "a-", "a_b", "a/b", "a\n", "\x00", "{{name()}}", "_INBOX", strings.Repeat("a", 64)}

func TestIssueUserChecksNames(t *testing.T) {
	keys := must(NewKeys(TenantRoles))(t)
	key, _, err := NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range badNames {
		if token, err := IssueUser(keys, RolePoller, User{Name: name, Key: key}); fault.KindOf(err) != fault.Invalid || token != "" {
			t.Errorf("user %q was signed: %v", name, err)
		}
		if token, err := IssueUser(keys, RoleReader, User{Name: "ok", Key: key, Subs: []string{"fine", name}}); fault.KindOf(err) != fault.Invalid || token != "" {
			t.Errorf("subscription %q was signed: %v", name, err)
		}
	}
	for _, k := range []string{"", "UNONSENSE", keys.Public} {
		if _, err := IssueUser(keys, RolePoller, User{Name: "ok", Key: k}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("public key %q: %v", k, err)
		}
	}
	if _, err := IssueUser(keys, "root", User{Name: "ok", Key: key}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("an unknown role: %v", err)
	}
}

// A user's JWT carries name, tags and expiry and nothing else: a scoped user
// with permissions of its own would not be let in.
func TestIssueUser(t *testing.T) {
	keys := must(NewKeys(TenantRoles))(t)
	key, _, err := NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	expires := time.Unix(2_000_000_000, 0)
	token, err := IssueUser(keys, RoleReader, User{Name: "billing", Key: key, Subs: []string{"all", "critical"}, Expires: expires})
	if err != nil {
		t.Fatal(err)
	}
	c, err := jwt.DecodeUserClaims(token)
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "billing" || c.Subject != key || c.IssuerAccount != keys.Public || c.Issuer == keys.Public || c.Expires != expires.Unix() {
		t.Errorf("%+v", c.ClaimsData)
	}
	if d := cmp.Diff(jwt.TagList{"sub:all", "sub:critical"}, c.Tags); d != "" {
		t.Error(d)
	}
	if !c.HasEmptyPermissions() || c.BearerToken {
		t.Errorf("%+v", c.UserPermissionLimits)
	}
}

func TestCredsRoundTrip(t *testing.T) {
	keys := must(NewKeys(TenantRoles))(t)
	key, seed, err := NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range []User{{Name: "billing", Key: key}, {Name: "billing", Key: key, Subs: []string{"all", "b"}, Expires: time.Unix(2_000_000_000, 0)}} {
		token, err := IssueUser(keys, RoleReader, u)
		if err != nil {
			t.Fatal(err)
		}
		data, err := FormatCreds(token, seed)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadCreds(data)
		if err != nil {
			t.Fatal(err)
		}
		want := Creds{JWT: token, Seed: seed, PublicKey: key, Name: u.Name, Account: keys.Public, Subs: u.Subs, Expires: u.Expires}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		sign, err := SignWith(got.Seed)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := sign([]byte("nonce"))
		if err != nil || !Verify(key, []byte("nonce"), sig) || Verify(key, []byte("other"), sig) || Verify("nonsense", []byte("nonce"), sig) {
			t.Error("signature", err)
		}
		if pub, err := PublicKey(got.Seed); err != nil || pub != key {
			t.Error(pub, err)
		}
	}
}

func TestReadCredsRefuses(t *testing.T) {
	keys := must(NewKeys(TenantRoles))(t)
	key, seed, err := NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	token, err := IssueUser(keys, RolePoller, User{Name: "a", Key: key})
	if err != nil {
		t.Fatal(err)
	}
	good, err := FormatCreds(token, seed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := FormatCreds(token, other); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a file was made of one user's JWT and another's seed: %v", err)
	}
	for what, data := range map[string][]byte{
		"nothing": nil, "words": []byte("hello"), "half of it": good[:len(good)/2], "the JWT alone": []byte(token), "another's seed": bytes.ReplaceAll(good, seed, other),
		"an account's seed": bytes.ReplaceAll(good, seed, keys.Seed), "a JWT of another kind": bytes.ReplaceAll(good, []byte(token), []byte("eyJ0eXAi.x.y")),
	} {
		c, err := ReadCreds(data)
		if fault.KindOf(err) != fault.Invalid || c.JWT != "" || c.Seed != nil {
			t.Errorf("%s: %v", what, err)
		}
		if err != nil && (strings.Contains(err.Error(), string(seed)) || strings.Contains(err.Error(), token)) {
			t.Errorf("%s: the error shows what is in the file", what)
		}
	}
}

func FuzzReadCreds(f *testing.F) {
	keys, err := NewKeys([]Role{RolePoller})
	if err != nil {
		f.Fatal(err)
	}
	key, seed, err := NewUserKey()
	if err != nil {
		f.Fatal(err)
	}
	token, err := IssueUser(keys, RolePoller, User{Name: "a", Key: key})
	if err != nil {
		f.Fatal(err)
	}
	good, err := FormatCreds(token, seed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte(token))
	f.Add([]byte("-----BEGIN NATS USER JWT-----\n\n------END NATS USER JWT------\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ReadCreds(data)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatalf("%v is %s", err, fault.KindOf(err))
			}
			return
		}
		if pub, err := PublicKey(c.Seed); err != nil || pub != c.PublicKey {
			t.Fatalf("the seed is not that of %s: %v", c.PublicKey, err)
		}
	})
}
