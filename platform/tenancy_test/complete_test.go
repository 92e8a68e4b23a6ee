package tenancy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/jwt/v2"

	tenancy "midplane/platform/tenancy_test"
	"midplane/tenants/account"
)

// allowLists are those of every role, as accounts are really signed.
func allowLists(t *testing.T) map[string]jwt.UserPermissionLimits {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	keys := func(list []account.Role) account.Keys {
		k, err := account.NewKeys(list)
		must(err)
		return k
	}
	sys, ctl, acme, enrol := keys(account.SystemRoles), keys(account.ControlRoles), keys(account.TenantRoles), keys(account.EnrolRoles)
	op, err := account.NewOperator("midplane", sys.Public)
	must(err)
	signer, err := account.NewSigner(op.Signing)
	must(err)
	tokens := map[string]string{}
	tokens["tenant"], err = signer.Tenant(account.Tenant{ID: "acme", Keys: acme, Hubs: account.Hubs{Control: ctl.Public, System: sys.Public}, Capability: "CAP",
		Limits: account.Limits{Connections: 1, Storage: 1, Subscriptions: 1, Consumers: 1, MaxAckPending: 1}})
	must(err)
	tokens["CONTROL"], err = signer.Control(ctl, 1)
	must(err)
	tokens["SYS"], err = signer.System(sys)
	must(err)
	tokens["ENROL"], err = signer.Enrol(enrol, ctl)
	must(err)
	out := map[string]jwt.UserPermissionLimits{}
	for name, token := range tokens {
		claims, err := jwt.DecodeAccountClaims(token)
		must(err)
		for _, scope := range claims.SigningKeys {
			s, ok := scope.(*jwt.UserScope)
			if !ok {
				t.Fatalf("%s has a signing key without a role", name)
			}
			out[name+"/"+s.Role] = s.Template
		}
	}
	return out
}

// Every role has cells for every verb, and every entry of every allow-list has
// one that tries it. So a new role, and a role that may more, need rows.
func TestMatrixIsComplete(t *testing.T) {
	m, err := tenancy.Load()
	if err != nil {
		t.Fatal(err)
	}
	lists := allowLists(t)
	users := map[string]string{}
	for _, r := range m.Roles {
		users[r.Role] = r.User
		if _, ok := lists[r.Role]; !ok {
			t.Errorf("the matrix has a role %s that no account has", r.Role)
		}
	}
	cells := m.Cells()
	has := func(f func(tenancy.Cell) bool) bool { return slices.ContainsFunc(cells, f) }
	for role, list := range lists {
		user, ok := users[role]
		if !ok {
			t.Errorf("the matrix has no role %s", role)
			continue
		}
		verbs := tenancy.Verbs
		if m.Roles[slices.IndexFunc(m.Roles, func(r tenancy.Role) bool { return r.Role == role })].Inside || slices.Contains(deaf, role) {
			verbs = []string{tenancy.Connect, tenancy.Publish, tenancy.Subscribe} // no user outside holds it, or it asks nothing
		} else if where, name, _ := strings.Cut(role, "/"); where != "tenant" || !slices.Contains(account.UserRoles, account.Role(name)) {
			verbs = slices.DeleteFunc(slices.Clone(verbs), func(v string) bool { return v == tenancy.Name }) // no user can ask for one
		}
		for _, verb := range verbs {
			if !has(func(x tenancy.Cell) bool { return x.Role == role && x.Verb == verb }) {
				t.Errorf("the matrix has no row for %s and %s", role, verb)
			}
		}
		for verb, entries := range map[string]jwt.StringList{tenancy.Publish: list.Pub.Allow, tenancy.Subscribe: list.Sub.Allow} {
			for _, entry := range entries {
				pattern := strings.NewReplacer("{{name()}}", user, "{{tag(sub)}}", "all").Replace(entry)
				if !has(func(x tenancy.Cell) bool {
					return x.Role == role && x.Verb == verb && (x.Allowed || x.How == "no-responders") && matches(pattern, strings.ReplaceAll(x.Subject, "NAME", user))
				}) {
					t.Errorf("%s may %s %s, and no cell tries it", role, verb, entry)
				}
			}
		}
	}
}

// matches reports whether pattern covers subject; what stands behind a blank is
// a queue.
func matches(pattern, subject string) bool {
	pattern, _, _ = strings.Cut(pattern, " ")
	subject, _, _ = strings.Cut(subject, " ")
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i := range p {
		switch {
		case p[i] == ">":
			return len(s) > i
		case i >= len(s) || p[i] != "*" && p[i] != s[i]:
			return false
		}
	}
	return len(p) == len(s)
}

// Names with which a user could stand for others are no names, wherever one
// is signed.
func TestNamesThatAreNotSigned(t *testing.T) {
	keys, err := account.NewKeys(account.TenantRoles)
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := account.NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"*", "a.b", ">", " ", "", "a b", "a\n", "{{name()}}", "sub:x", "A", "$SYS"} {
		for _, role := range account.TenantRoles {
			if _, err := account.IssueUser(keys, role, account.User{Name: bad, Key: key}); err == nil {
				t.Errorf("a %s called %q was signed", role, bad)
			}
			if _, err := account.IssueUser(keys, role, account.User{Name: "x", Key: key, Subs: []string{"all", bad}}); err == nil {
				t.Errorf("a %s with the subscription %q was signed", role, bad)
			}
		}
	}
}

// The server takes "hint.*" in the list of what may be received for "hint.>", too:
// a subscription to the latter matches it. So no list has one.
func TestNoRoleMaySubscribeToAStar(t *testing.T) {
	for role, list := range allowLists(t) {
		for _, entry := range list.Sub.Allow {
			if slices.Contains(strings.Split(entry, "."), "*") {
				t.Errorf("%s may subscribe to %s", role, entry)
			}
		}
	}
}
