package connections

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"midplane/platform/node"
	"midplane/tenants/account"
)

// conns are connections in the order they came, each "user@host".
func conns(list ...string) (out []connection) {
	for i, s := range list {
		var user, host string
		if _, err := fmt.Sscanf(s, "%1s@%s", &user, &host); err != nil {
			panic(err)
		}
		out = append(out, connection{Client: node.Client{ID: uint64(i + 1), User: user, Host: host}, at: "n1"})
	}
	return out
}

func TestSurplus(t *testing.T) {
	for _, tc := range []struct {
		shows  string
		limits limits
		conns  []connection
		closes map[uint64]string
	}{
		{"there is room", limits{perUser: 2, total: 4}, conns("a@x", "a@x", "b@y"), nil},
		{"of one address the newest go", limits{perUser: 2, total: 9}, conns("a@x", "a@x", "a@x", "a@x"), map[uint64]string{3: surplusUser, 4: surplusUser}},
		{"the owner, who was there first, stays", limits{perUser: 2, total: 9}, conns("a@home", "a@thief", "a@thief", "a@thief"), map[uint64]string{3: surplusUser, 4: surplusUser}},
		{"the owner, who comes last, gets in", limits{perUser: 2, total: 9}, conns("a@thief", "a@thief", "a@home"), map[uint64]string{2: surplusUser}},
		{"each user has its own number", limits{perUser: 2, total: 9}, conns("a@x", "b@x", "a@x", "b@x", "b@x"), map[uint64]string{5: surplusUser}},
		{"of a tenant the user with the most gives", limits{perUser: 3, total: 3}, conns("a@x", "b@x", "a@x", "a@x", "c@x"), map[uint64]string{3: surplusTenant, 4: surplusTenant}},
		{"equal users: the newest comer gives", limits{perUser: 3, total: 2}, conns("a@x", "b@x", "c@x"), map[uint64]string{3: surplusTenant}},
		{"no one is here", limits{perUser: 1, total: 1}, nil, nil},
	} {
		t.Run(tc.shows, func(t *testing.T) {
			got := map[uint64]string{}
			for _, s := range tc.limits.surplus(tc.conns) {
				got[s.ID] = s.reason
			}
			if fmt.Sprint(got) != fmt.Sprint(tc.closes) && len(got)+len(tc.closes) > 0 {
				t.Errorf("closes %v, want %v", got, tc.closes)
			}
		})
	}
}

// However many come, and from wherever: what is left fits, no user who is within its
// number loses to the surplus of another, and nothing is closed twice.
func TestSurplusAlways(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []connection
		count := map[string]int{}
		for i := range rapid.IntRange(0, 40).Draw(t, "connections") {
			c := connection{Client: node.Client{ID: uint64(i + 1), User: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "user"), Host: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "host")}}
			all = append(all, c)
			count[c.User]++
		}
		r := limits{perUser: rapid.IntRange(2, 6).Draw(t, "per user"), total: rapid.IntRange(1, 20).Draw(t, "total")}
		gone := map[uint64]bool{}
		byUser := map[string]int{}
		for _, s := range r.surplus(all) {
			if gone[s.ID] {
				t.Fatalf("%d is closed twice", s.ID)
			}
			gone[s.ID] = true
			if s.reason == surplusUser {
				byUser[s.User]++
			}
		}
		if left := len(all) - len(gone); left > r.total {
			t.Fatalf("%d are left of %d, room for %d", left, len(all), r.total)
		}
		for user, n := range count {
			if byUser[user] != max(0, n-r.perUser) {
				t.Fatalf("user %s has %d, loses %d of them, may have %d", user, n, byUser[user], r.perUser)
			}
		}
	})
}

// While the keys of a tenant are being replaced, the system's connections are
// known by the old ones as well; a user's never are.
func TestIssuersOfTheSystem(t *testing.T) {
	keys, err := account.NewKeys(account.TenantRoles)
	if err != nil {
		t.Fatal(err)
	}
	next, retired, err := keys.Rekey("secret", time.Now(), account.RoleIngress, account.RolePrimary, account.RolePoller)
	if err != nil {
		t.Fatal(err)
	}
	got := issuersOf(next, retired)
	for _, r := range account.TenantRoles {
		for which, k := range map[string]account.Keys{"old": keys, "new": next} {
			if system := slices.Contains(systemRoles, r); got[k.Issuer(r)] != system {
				t.Errorf("%s key of role %s: known as the system's %t, want %t", which, r, !system, system)
			}
		}
	}
}
