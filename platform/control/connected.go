package control

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"midplane/fault"
	"midplane/platform/control/registry"
	"midplane/platform/node"
	"midplane/tenants/account"
)

// systemRoles are of the connections that a tenant's limit does not count.
var systemRoles = []account.Role{account.RoleIngress, account.RolePrimary, account.RoleControl}

// issuers returns the public keys that the system's own connections are signed
// with: a name in a JWT could be anybody's.
func (d *doorman) issuers(t *registry.Tenant) map[string]bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k := d.system[t.Account.Key]; k.revision == t.AccountRevision {
		return k.issuers
	}
	out := issuersOf(t.Keys, t.Retired)
	d.system[t.Account.Key] = systemKeys{t.AccountRevision, out}
	return out
}

// issuersOf returns the keys that sign the system's connections, those too that
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
func (d *doorman) here(t *registry.Tenant) (users []connection) {
	system := d.issuers(t)
	for _, c := range d.cfg.Server.Clients(t.Account.Key) {
		// One that has no issuer is still logging in: its event comes.
		if c.Issuer != "" && !system[c.Issuer] {
			users = append(users, connection{c, d.cfg.Node})
		}
	}
	slices.SortFunc(users, older)
	return users
}

// everywhere is here for all live nodes; Unavailable when one does not answer.
func (d *doorman) everywhere(ctx context.Context, t *registry.Tenant) (users []connection, err error) {
	ctx, cancel := context.WithTimeout(ctx, whenceWithin)
	defer cancel()
	inbox := d.nc.NewRespInbox()
	sub, err := d.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }()                                                       // the connection may be closing
	ask, _ := json.Marshal(map[string]any{"acc": t.Account.Key, "auth": true, "limit": maxListed}) // strings and numbers
	if err := d.nc.PublishRequest("$SYS.REQ.SERVER.PING.CONNZ", inbox, ask); err != nil {
		return nil, err
	}
	missing := map[string]bool{}
	for _, n := range d.reg.LiveNodes() {
		missing[n.Name] = true
	}
	system := d.issuers(t)
	for len(missing) > 0 {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, fault.Wrap(fault.Unavailable, err, "who is connected: no answer of some nodes")
		}
		var answer connz
		if err := json.Unmarshal(msg.Data, &answer); err != nil {
			return nil, fault.Wrap(fault.Other, err, "who is connected")
		}
		delete(missing, answer.Server.Name)
		for _, c := range answer.Data.Connections {
			if c.Issuer != "" && !system[c.Issuer] {
				users = append(users, connection{node.Client{ID: c.ID, User: c.User, Issuer: c.Issuer, Host: c.IP, Start: c.Start}, answer.Server.Name})
			}
		}
	}
	slices.SortFunc(users, older)
	return users, nil
}

// maxListed is how many connections of a tenant a server lists.
const maxListed = 16_384

// connz is what a server says of an account's connections.
type connz struct {
	Server struct {
		Name string `json:"name"`
	} `json:"server"`
	Data struct {
		Connections []struct {
			ID     uint64    `json:"cid"`
			IP     string    `json:"ip"`
			Start  time.Time `json:"start"`
			User   string    `json:"authorized_user"`
			Issuer string    `json:"issuer_key"`
		} `json:"connections"`
	} `json:"data"`
}
