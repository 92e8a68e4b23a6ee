package account

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"

	"midplane/subject"
)

// A retired key keeps its role and the template it was made for, its seed is
// gone, and both capabilities lead to the API; when it is dropped, nothing of it
// is left.
func TestRetiredKeysHoldUntilDropped(t *testing.T) {
	w := newWorld(t)
	first := must(NewKeys(TenantRoles))(t)
	second, retired, err := first.Rekey(secret, time.Now(), RoleIngress, RoleControl, RoleReader)
	if err != nil {
		t.Fatal(err)
	}
	const next = subject.Capability("next")
	sign := func(r []Retired) *jwt.AccountClaims {
		token, err := w.signer.Tenant(Tenant{ID: "acme", Keys: second, Hubs: w.hubs(), Capability: next, Limits: limits, Retired: r})
		return claimsOf(t, token, err)
	}
	during, after := sign(retired), sign(nil)
	for _, r := range retired {
		scope, ok := during.SigningKeys[r.Key].(*jwt.UserScope)
		if !ok || scope.Role != string(r.Role) {
			t.Errorf("%s: %+v", r.Role, scope)
			continue
		}
		if _, ok := after.SigningKeys[r.Key]; ok {
			t.Errorf("%s: the dropped key still signs", r.Role)
		}
		text := strings.Join(scope.Template.Pub.Allow, " ")
		if r.Role.System() != strings.Contains(text, "w.secret.") || strings.Contains(text, "w.next.") {
			t.Errorf("%s may publish to %s", r.Role, text)
		}
		if r.Role.System() != (r.Capability == secret) {
			t.Errorf("%s: kept with capability %q", r.Role, r.Capability)
		}
	}
	paths := func(c *jwt.AccountClaims) (out []string) {
		for _, i := range c.Imports {
			if strings.HasPrefix(i.Name, "api") {
				out = append(out, string(i.LocalSubject))
			}
		}
		return out
	}
	if got := strings.Join(paths(during), " "); got != "a.next.> a.secret.>" || during.Limits.Imports != 4 {
		t.Errorf("during: %s, %d imports", got, during.Limits.Imports)
	}
	if got := strings.Join(paths(after), " "); got != "a.next.>" || after.Limits.Imports != 3 {
		t.Errorf("after: %s, %d imports", got, after.Limits.Imports)
	}
	for _, r := range TenantRoles {
		same := string(first.Roles[r]) == string(second.Roles[r])
		if rotated := r == RoleIngress || r == RoleControl || r == RoleReader; same == rotated {
			t.Errorf("%s: the key is the same: %t", r, same)
		}
	}
}
