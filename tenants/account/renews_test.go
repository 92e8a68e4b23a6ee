package account

import "testing"

// Which roles renew is one answer: for how long a JWT is made, for what the
// control channel gives, and for when a former key can go.
func TestWhichRolesRenew(t *testing.T) {
	want := map[Role]bool{
		RolePoller: true, RoleApp: true, RoleInspector: true,
		RoleProducer: false, RoleReader: false,
		RoleIngress: false, RolePrimary: false, RoleControl: false,
		RoleAdmin: false, RoleCore: false, RoleQuery: false, RoleService: false, RoleNode: false,
	}
	for _, list := range [][]Role{TenantRoles, ControlRoles, SystemRoles, EnrolRoles} {
		for _, r := range list {
			if r.Renews() != want[r] {
				t.Errorf("%s renews: %v", r, r.Renews())
			}
		}
	}
}
