package control_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/testcluster"
	"midplane/tenants"
	"midplane/tenants/account"
)

// create asks for a user with a key of the caller's.
func create(t *testing.T, a *api.Admin, tenant, role, name, key string, subs ...string) (api.CreatedUser, error) {
	t.Helper()
	var out api.CreatedUser
	if subs == nil {
		subs = []string{}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := a.Do(ctx, api.UserCreate, api.CreateUser{Tenant: tenant, Name: name, Role: role, PublicKey: key, Subscriptions: subs}, &out)
	return out, err
}

func newKey(t *testing.T) (string, []byte) {
	t.Helper()
	key, seed, err := account.NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	return key, seed
}

// userWith makes a user with a given key and writes its .creds file.
func userWith(t *testing.T, c *testcluster.Cluster, tenant string, role account.Role, name, key string, seed []byte, subs ...string) string {
	t.Helper()
	u, err := create(t, c.Admin, tenant, string(role), name, key, subs...)
	if err != nil {
		t.Fatal(err)
	}
	data, err := account.FormatCreds(u.JWT, seed)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name+".creds")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Who may be made, and what is answered otherwise. What was refused left nothing
// behind: the name can still be used.
func TestUserIsMadeOnlyAsDeclared(t *testing.T) {
	c := cluster(t)
	spec := testcluster.Tenant("users")
	spec.Subscriptions = append(spec.Subscriptions, tenants.Subscription{Application: "archive", Name: "rest", Stream: "METRICS"})
	apply(t, c, spec)
	key, _ := newKey(t)
	for _, x := range []struct {
		what, tenant, role, name, key string
		subs                          []string
		want                          fault.Kind
	}{
		{"an unknown role", "users", "king", "one", key, nil, fault.Invalid},
		{"a role of the system", "users", "ingress", "one", key, nil, fault.Invalid},
		{"the control plane's role", "users", "control", "one", key, nil, fault.Invalid},
		{"the primary's role", "users", "primary", "one", key, nil, fault.Invalid},
		{"a role of CONTROL", "users", "admin", "one", key, nil, fault.Invalid},
		{"no role", "users", "", "one", key, nil, fault.Invalid},
		{"a name of the system", "users", "producer", "midplane-ingress", key, nil, fault.Invalid},
		{"a wildcard as a name", "users", "producer", "*", key, nil, fault.Invalid},
		{"everything as a name", "users", "producer", ">", key, nil, fault.Invalid},
		{"two tokens as a name", "users", "producer", "a.b", key, nil, fault.Invalid},
		{"capitals in a name", "users", "producer", "One", key, nil, fault.Invalid},
		{"no name", "users", "producer", "", key, nil, fault.Invalid},
		{"no key", "users", "producer", "one", "", nil, fault.Invalid},
		{"an account's key", "users", "producer", "one", status(t, c, "users").Account, nil, fault.Invalid},
		{"no such tenant", "missing", "producer", "one", key, nil, fault.NotFound},
		{"a poller that is not declared", "users", "poller", "one", key, nil, fault.NotFound},
		{"a declared poller's name for a producer", "users", "producer", "syd-01", key, nil, fault.Conflict},
		{"a subscription that is not declared", "users", "reader", "billing", key, []string{"most"}, fault.NotFound},
		{"another application's subscription", "users", "reader", "billing", key, []string{"rest"}, fault.NotFound},
		{"one good and one unknown subscription", "users", "app", "billing", key, []string{"all", "most"}, fault.NotFound},
		{"a producer with a subscription", "users", "producer", "billing", key, []string{"all"}, fault.Invalid},
		{"a poller with a subscription", "users", "poller", "syd-01", key, []string{"all"}, fault.Invalid},
	} {
		_, err := create(t, c.Admin, x.tenant, x.role, x.name, x.key, x.subs...)
		wantKind(t, x.what, err, x.want)
	}
	for name, role := range map[string]string{"one": "producer", "syd-01": "poller"} {
		if u, err := create(t, c.Admin, "users", role, name, key); err != nil || u.Existed || u.JWT == "" || len(u.Servers) != 3 {
			t.Errorf("%s: %+v, %v", name, u, err)
		}
	}
	if u, err := create(t, c.Admin, "users", "reader", "billing", key, "all"); err != nil || u.Existed {
		t.Errorf("billing: %+v, %v", u, err)
	}
}

// The same request again gives the JWT again; anything else for a name that is
// taken is a conflict, with any role.
func TestRepeatedUserIsTheSameOrAConflict(t *testing.T) {
	c := cluster(t)
	spec := testcluster.Tenant("again")
	spec.Subscriptions = append(spec.Subscriptions, tenants.Subscription{Application: "billing", Name: "more", Stream: "STATE"})
	apply(t, c, spec)
	key, seed := newKey(t)
	other, _ := newKey(t)
	userWith(t, c, "again", account.RoleApp, "billing", key, seed, "more", "all")
	for i, a := range admins(t, c) {
		u, err := create(t, a, "again", "app", "billing", key, "all", "more")
		if err != nil || !u.Existed || u.JWT == "" {
			t.Fatalf("asked again through node %d: %+v, %v", i+1, u, err)
		}
		_, err = create(t, a, "again", "app", "billing", other, "all", "more")
		wantKind(t, "another key", err, fault.Conflict)
		_, err = create(t, a, "again", "inspector", "billing", key, "all", "more")
		wantKind(t, "another role", err, fault.Conflict)
		_, err = create(t, a, "again", "app", "billing", key, "all")
		wantKind(t, "fewer subscriptions", err, fault.Conflict)
		_, err = create(t, a, "again", "app", "billing", key)
		wantKind(t, "no subscriptions", err, fault.Conflict)
	}
	// The name is taken for a poller, too.
	if _, err := create(t, c.Admin, "again", "producer", "feed", other); err != nil {
		t.Fatal(err)
	}
	spec.Sites[0].Pollers = append(spec.Sites[0].Pollers, tenants.Poller{ID: "feed"})
	wantKind(t, "a poller of a user's name", c.Apply(testContext(t), spec, ready...), fault.Conflict)
}

// user create returns when the ingress of every live node knows the user:
// publishing through every node right after is never refused.
func TestNewUserIsKnownToEveryNodeAtOnce(t *testing.T) {
	c := cluster(t)
	apply(t, c, testcluster.Tenant("atonce"))
	all := admins(t, c)
	for i := range 9 {
		name := fmt.Sprintf("feed-%d", i)
		key, seed := newKey(t)
		u, err := create(t, all[i%3], "atonce", "producer", name, key)
		if err != nil {
			t.Fatal(err)
		}
		data, err := account.FormatCreds(u.JWT, seed)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "creds")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for node := range c.Names() {
			wg.Go(func() {
				nc, err := at(t, c, node, path, name)
				if err == nil {
					err = publish(nc, name)
				}
				if err != nil {
					t.Errorf("%s, made through node %d, publishes through node %d: %v", name, i%3+1, node+1, err)
				}
			})
		}
		wg.Wait()
	}
}

// Many ask for one name at once, through all nodes: one key wins, everybody who
// asks with it is served, the others get an error.
func TestOneNameIsGivenOnceHoweverManyAsk(t *testing.T) {
	c := cluster(t)
	apply(t, c, testcluster.Tenant("race"))
	all := admins(t, c)
	for round := range 3 {
		name := fmt.Sprintf("feed-%d", round)
		keys := make([]string, 3)
		for i := range keys {
			keys[i], _ = newKey(t)
		}
		var served, made [3]atomic.Int32
		var conflicts atomic.Int32
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				u, err := create(t, all[i%3], "race", "producer", name, keys[i/3%3])
				switch {
				case fault.Is(err, fault.Conflict):
					conflicts.Add(1)
				case err != nil:
					t.Error(err)
				default:
					served[i/3%3].Add(1)
					if !u.Existed {
						made[i/3%3].Add(1)
					}
				}
			})
		}
		wg.Wait()
		winners := 0
		for i := range keys {
			if n := served[i].Load(); n > 0 {
				winners++
				asked := int32(3)
				if i == 0 { // 12 requests, 3 keys: the first has one round more
					asked = 6
				}
				if n != asked || made[i].Load() != 1 {
					t.Errorf("%s: the winning key was served %d times of %d, made %d times", name, n, asked, made[i].Load())
				}
			}
		}
		if winners != 1 {
			t.Errorf("%s: %d keys won, %d conflicts", name, winners, conflicts.Load())
		}
	}
}
