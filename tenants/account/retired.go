package account

import (
	"cmp"
	"fmt"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"midplane/fault"
	"midplane/subject"
)

// Retired is a role's signing key that has been replaced: it signs nothing any
// more, its seed is gone, and what it has signed is good until it is dropped.
type Retired struct {
	Role Role   `json:"role"`
	Key  string `json:"key"` // public
	// Capability is the one that the template of a system's role was made for;
	// the others' have none.
	Capability subject.Capability `json:"capability"`
	Since      time.Time          `json:"since"`
}

// Rekey replaces the signing keys of roles and returns the keys that were
// replaced; k itself stays as it is.
func (k Keys) Rekey(capability subject.Capability, now time.Time, roles ...Role) (Keys, []Retired, error) {
	out := Keys{Public: k.Public, Seed: k.Seed, Roles: make(map[Role][]byte, len(k.Roles))}
	for r, s := range k.Roles {
		out.Roles[r] = s
	}
	var retired []Retired
	for _, r := range roles {
		old, err := fromSeed(k.Roles[r], nkeys.PrefixByteAccount, "signing key of role "+string(r))
		if err != nil {
			return k, nil, err
		}
		kp, err := nkeys.CreateAccount()
		if err != nil {
			return k, nil, fault.Wrap(fault.Other, err, "make the signing key of role %s", r)
		}
		out.Roles[r] = seed(kp)
		was := Retired{Role: r, Key: public(old), Since: now}
		if r.System() {
			was.Capability = capability
		}
		retired = append(retired, was)
	}
	return out, retired, nil
}

// System reports whether only the system's own users have the role: they are
// given new credentials by the node that rotates.
func (r Role) System() bool { return r == RoleIngress || r == RoleControl }

// addRetired keeps the replaced keys good, with the templates they were made
// for, and the API under the capabilities of that time.
func addRetired(c *jwt.AccountClaims, system string, current subject.Capability, list []Retired) error {
	open := map[subject.Capability]bool{current: true}
	for _, r := range list {
		r.Capability = cmp.Or(r.Capability, current)
		template, ok := tenantTemplates(r.Capability)[r.Role]
		if !ok || !nkeys.IsValidPublicAccountKey(r.Key) {
			return fault.New(fault.Invalid, "retired key of role %q cannot be kept", r.Role)
		}
		scope := jwt.NewUserScope()
		scope.Role, scope.Key, scope.Template = string(r.Role), r.Key, template
		c.SigningKeys.AddScopedSigner(scope)
		if !open[r.Capability] {
			open[r.Capability] = true
			api := fenceImports(system, r.Capability)[1]
			api.Name = fmt.Sprintf("api%d", len(open))
			c.Imports.Add(api)
		}
	}
	c.Limits.AccountLimits.Imports = int64(len(c.Imports))
	return nil
}
