package connections

import (
	"context"
	"slices"

	"midplane/platform/node"
	"midplane/platform/registry"
	"midplane/tenants/account"
)

// systemRoles are of the connections that a tenant's limit does not count.
var systemRoles = []account.Role{account.RoleIngress, account.RolePrimary, account.RoleControl}

// issuers returns the public keys that the system's own connections are signed
// with: a name in a JWT can be chosen by any signer.
func (l *Limiter) issuers(t *registry.Tenant) map[string]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.system[t.Account.Key]; k.revision == t.AccountRevision {
		return k.issuers
	}
	out := issuersOf(t.Keys, t.Retired)
	l.system[t.Account.Key] = systemKeys{t.AccountRevision, out}
	return out
}

// issuersOf returns the keys that sign the system's connections, also those that
// were replaced and still hold.
func issuersOf(keys account.Keys, retired []account.Retired) map[string]bool {
	out := map[string]bool{}
	for _, r := range systemRoles {
		out[keys.Issuer(r)] = true
	}
	for _, r := range retired {
		if slices.Contains(systemRoles, r.Role) {
			out[r.Key] = true
		}
	}
	return out
}

// systemKeys are those of one tenant, as of a revision of its account.
type systemKeys struct {
	revision uint64
	issuers  map[string]bool
}

// here returns the connections of a tenant's users to this node, the oldest first.
func (l *Limiter) here(t *registry.Tenant) (users []connection) {
	system := l.issuers(t)
	for _, c := range l.cfg.Server.Clients(t.Account.Key) {
		// One that has no issuer is still logging in: its event comes.
		if c.Issuer != "" && !system[c.Issuer] {
			users = append(users, connection{c, l.cfg.Node})
		}
	}
	slices.SortFunc(users, older)
	return users
}

// everywhere is here for all live nodes; Unavailable when one does not answer.
func (l *Limiter) everywhere(ctx context.Context, t *registry.Tenant) (users []connection, err error) {
	system := l.issuers(t)
	err = askAll(ctx, l.nc, connzRequest{Account: t.Account.Key, Users: true, Limit: maxListed}, l.cfg.Registry.LiveNodes(), func(answer connz) bool {
		for _, c := range answer.Data.Connections {
			if c.Issuer != "" && !system[c.Issuer] {
				users = append(users, connection{node.Client{ID: c.ID, User: c.User, Issuer: c.Issuer, Host: c.IP, Start: c.Start}, answer.Server.Name})
			}
		}
		return true
	})
	slices.SortFunc(users, older)
	return users, err
}

// maxListed is how many connections of a tenant a server lists.
const maxListed = 16_384
