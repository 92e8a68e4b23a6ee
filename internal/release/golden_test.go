package release_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"midplane/api"
	"midplane/bus"
	"midplane/internal/jsonfields"
	"midplane/internal/release"
	"midplane/internal/testregistry"
	"midplane/platform/registry"
	"midplane/schemas/catalog"
	"midplane/tenants"
	"midplane/tenants/account"
)

// golden reads a file of a release: what it stored and sent.
func golden(t *testing.T, r release.Release, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", r.Version, file))
	if err != nil {
		t.Fatalf("%v: what %s stored and sent is kept there", err, r.Version)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

// eachRelease runs a test for every release.
func eachRelease(t *testing.T, f func(t *testing.T, r release.Release)) {
	for _, r := range release.All() {
		t.Run(r.Version, func(t *testing.T) { f(t, r) })
	}
}

// known is the type of a stored value by the kind of its key.
var known = map[string]any{
	"account": registry.Account{}, "spec": tenants.Spec{}, "user": registry.User{}, "token": registry.Token{}, "secret": registry.Secret{}, "made": "",
	"node": registry.Presence{}, "poller": registry.PollerStatus{}, "cursor": registry.CursorStatus{}, "tenant": registry.TenantStatus{}, "lease": registry.Lease{},
	"primary": time.Time{}, "understands": api.Understands{}, "resend": []api.Resend{},
}

// private are kinds that one room alone writes and reads, with a type of its own: what
// a release stored of them is kept, and not read here.
var private = map[string]bool{"canary": true, "declared": true, "drift": true}

// No field that a release stored has been taken away or renamed.
func TestFieldsOfEveryReleaseAreKnown(t *testing.T) {
	eachRelease(t, func(t *testing.T, r release.Release) {
		for _, file := range []string{"registry.json", "status.json"} {
			var stored map[string]json.RawMessage
			golden(t, r, file, &stored)
			for key, value := range stored {
				kind, _, _ := strings.Cut(key, ".")
				typ, ok := known[kind]
				if !ok && !private[kind] {
					t.Errorf("%s: no type reads %s", file, key)
				}
				if more := jsonfields.Unknown(value, typ); len(more) > 0 {
					t.Errorf("%s: %s has fields that are not known: %v", file, key, more)
				}
			}
		}
		var cfg json.RawMessage
		golden(t, r, "poller-config.json", &cfg)
		if more := jsonfields.Unknown(cfg, api.PollerConfig{}); len(more) > 0 {
			t.Errorf("a poller's configuration has fields that are not known: %v", more)
		}
	})
}

// A registry that a release left behind is served.
func TestRegistryOfEveryReleaseIsServed(t *testing.T) {
	eachRelease(t, func(t *testing.T, r release.Release) {
		reg := testregistry.Open(t)
		for file, bucket := range map[string]string{"registry.json": registry.BucketRegistry, "status.json": registry.BucketStatus} {
			var stored map[string]json.RawMessage
			golden(t, r, file, &stored)
			for key, value := range stored {
				if key == "account.acme" {
					value = withKeys(t, reg.Registry, value) // its own are in no repository
				}
				testregistry.PutRaw(reg, bucket, key, value)
			}
		}
		v := reg.View()
		acme := v.Tenants["acme"]
		if acme == nil || !acme.Open() || len(v.Tenants) != 1 {
			t.Fatalf("tenants: %+v", v.Tenants)
		}
		for name, role := range map[string]account.Role{"ann": account.RoleInspector, "feed": account.RoleProducer, "syd-01": account.RolePoller} {
			if u := acme.Users[name]; u.Role != role || !u.Live() || u.PublicKey == "" {
				t.Errorf("user %s: %+v", name, u)
			}
		}
		if len(v.Admins) != 1 || len(reg.Tokens.Of("acme")) != 1 || acme.Secrets["snmp"].Account == "" || acme.SiteOf("syd-01") != "syd" {
			t.Errorf("admins %v, tokens %v, secrets %v, site %s", v.Admins, reg.Tokens.Of("acme"), acme.Secrets, acme.SiteOf("syd-01"))
		}
		if len(reg.Nodes()) != 3 || len(reg.Primaries()) != 1 {
			t.Errorf("nodes %v, primaries %v", reg.Nodes(), reg.Primaries())
		}
		if p, _, ok := registry.Get[registry.PollerStatus](reg.Registry, registry.PollerKey("acme", "syd-01")); !ok || p.Version == "" || p.Epoch == 0 {
			t.Errorf("poller: %+v", p)
		}
		if got := reg.InUse(); len(got.Formats)+len(got.Types) != 0 && r.Version == "v0.1.0" {
			t.Errorf("what %s does not understand is used: %+v", r.Version, got)
		}
	})
}

// Every message that a release stored is read, and is taken by the schemas of today.
func TestMessagesOfEveryReleaseAreRead(t *testing.T) {
	eachRelease(t, func(t *testing.T, r release.Release) {
		var stored []message
		golden(t, r, "messages.json", &stored)
		seen := map[string]bool{}
		for _, m := range stored {
			e, err := bus.Parse(m.Subject, m.Header, m.Data)
			if err != nil || e.ID == "" || e.Producer == "" || e.Time.IsZero() || e.Received.IsZero() || e.Version < 1 {
				t.Errorf("%s: %+v, %v", m.Subject, e, err)
				continue
			}
			entry, ok := catalog.Set().Lookup(e.Type)
			if !ok {
				t.Errorf("%s: the type is gone", m.Subject)
				continue
			}
			if err := entry.Validator.Validate(e.Data); err != nil {
				t.Errorf("%s: %v", m.Subject, err)
			}
			seen[string(e.Type)] = true
		}
		if len(seen) < 15 {
			t.Errorf("%d types only: %v", len(seen), seen)
		}
	})
}

// withKeys puts new keys into the record of an account.
func withKeys(t *testing.T, reg *registry.Registry, value []byte) []byte {
	t.Helper()
	var a registry.Account
	if err := json.Unmarshal(value, &a); err != nil {
		t.Fatal(err)
	}
	keys, err := account.NewKeys(account.TenantRoles)
	if err != nil {
		t.Fatal(err)
	}
	if a.Sealed, err = reg.Accounts.Seal("acme", registry.Secrets{Keys: keys, Capability: "of-a-test"}); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
