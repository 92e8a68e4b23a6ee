package account

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"midplane/event"
)

// FuzzIssueUser signs all it can: what is signed says exactly what was
// asked for and no more, and every permission it fills in stays in the user's
// own corner.
func FuzzIssueUser(f *testing.F) {
	for _, s := range [][3]string{{"billing", "all", "dead"}, {"*", "all", ""}, {"a.b", ">", "x"}, {"{{name()}}", "{{tag(sub)}}", " "}, {"a", "all\n", "sub:all"}, {"midplane-ingress", "a", "a"}} {
		f.Add(s[0], s[1], s[2], int64(0))
	}
	keys := must(NewKeys(TenantRoles))(f)
	key, seed, err := NewUserKey()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name, one, two string, expires int64) {
		u := User{Name: name, Key: key, Subs: []string{one, two}}
		if expires > 0 {
			u.Expires = time.Unix(expires, 0)
		}
		token, err := IssueUser(keys, RoleReader, u)
		if err != nil {
			return
		}
		if event.CheckName("user", name) != nil || event.CheckName("subscription", one) != nil || event.CheckName("subscription", two) != nil {
			t.Fatalf("signed %q with %q and %q", name, one, two)
		}
		c, err := jwt.DecodeUserClaims(token)
		if err != nil {
			t.Fatal(err)
		}
		if c.Name != name || c.Subject != key || c.IssuerAccount != keys.Public || c.Expires != max(expires, 0) || !c.HasEmptyPermissions() || c.BearerToken {
			t.Fatalf("%+v", c)
		}
		got, err := ReadUser(token, seed)
		if err != nil || got.Name != name || !slices.Contains(got.Subs, one) || !slices.Contains(got.Subs, two) || len(got.Subs) > 2 {
			t.Fatalf("%+v: %v", got, err)
		}
		for _, p := range slices.Concat(tenantTemplates("s")[RoleReader].Pub.Allow, tenantTemplates("s")[RolePoller].Sub.Allow) {
			filled := strings.NewReplacer("{{name()}}", name, "{{tag(sub)}}", one).Replace(p)
			if strings.Count(filled, ".") != strings.Count(p, ".") || strings.ContainsAny(strings.TrimSuffix(filled, ".>"), "*> \t\r\n{}") {
				t.Fatalf("%q became %q", p, filled)
			}
		}
	})
}

// FuzzReadUser reads user JWTs that anyone could have signed, with claims that
// we would not write: what is read is what they say, or an error that does not
// hold them.
func FuzzReadUser(f *testing.F) {
	f.Add("billing", "sub:all", "other", int64(0), false)
	f.Add("*", "SUB:*", "sub:", int64(-1), true)
	f.Add("", "sub:a b", "\x00", int64(1)<<62, false)
	acc, err := nkeys.CreateAccount()
	if err != nil {
		f.Fatal(err)
	}
	key, seed, err := NewUserKey()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name, tag, other string, expires int64, issuer bool) {
		if !utf8.ValidString(name + "|" + tag + "|" + other) {
			return // JSON says something else then
		}
		c := jwt.NewUserClaims(key)
		c.Name, c.Expires, c.Tags = name, expires, jwt.TagList{tag, other}
		if issuer {
			c.IssuerAccount = public(acc)
		}
		token, err := c.Encode(acc)
		if err != nil {
			return
		}
		got, err := ReadUser(token, seed)
		if err != nil {
			if strings.Contains(err.Error(), string(seed)) || strings.Contains(err.Error(), token) {
				t.Fatal("the error holds a secret")
			}
			return
		}
		if got.PublicKey != key || got.Name != name || got.Account != public(acc) || len(got.Subs) > 2 || !got.Expires.IsZero() && got.Expires.Unix() != expires {
			t.Fatalf("%+v", got)
		}
		for _, s := range got.Subs {
			if tag != TagSubscription+s && other != TagSubscription+s {
				t.Fatalf("the subscription %q is in neither %q nor %q", s, tag, other)
			}
		}
	})
}

// FuzzAccountJWT reads account JWTs as nodes and the registry do.
func FuzzAccountJWT(f *testing.F) {
	w := newWorld(f)
	for _, keys := range []Keys{must(NewKeys(EnrolRoles))(f)} {
		token := must(w.signer.Enrol(keys, w.control))(f)
		f.Add(token, token)
		f.Add(token, token[:len(token)/2])
	}
	f.Add("", "a.b.c")
	f.Fuzz(func(t *testing.T, a, b string) {
		if _, key, err := IssuedAt(a); err == nil && !nkeys.IsValidPublicAccountKey(key) {
			t.Fatalf("%q is no account", key)
		}
		if Same(a, b) != Same(b, a) {
			t.Fatal("the same only one way")
		}
	})
}
