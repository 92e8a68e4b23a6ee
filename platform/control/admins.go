package control

import (
	"context"
	"maps"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/registry"
	"midplane/subject"
	"midplane/tenants/account"
)

// adminCreate signs an admin's JWT. As with tenants' users the record comes
// first, a name is used once, and asking again with the same key gives the JWT
// again. A name is never free again: who may do what is kept by name.
func (c *Control) adminCreate(ctx context.Context, who string, req api.CreateUser) (any, error) {
	if req.Tenant != "" || len(req.Subscriptions) > 0 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "an admin belongs to no tenant and has no subscriptions"), "leave --tenant and --subscription out")
	}
	if err := event.CheckUserName("user", req.Name); err != nil {
		return nil, err
	}
	life, err := c.lifeOf(account.RoleAdmin, req.TTL.Std())
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	u := registry.User{Name: req.Name, Role: account.RoleAdmin, PublicKey: req.PublicKey, Subs: []string{}, Created: now, Expires: now.Add(life), By: who}
	if _, err := c.issueAdmin(u); err != nil { // before it is stored
		return nil, err
	}
	_, err = c.reg.CreateUser(ctx, registry.Operators, u)
	existed := fault.Is(err, fault.Conflict)
	if err != nil && !existed {
		return nil, err
	}
	if existed {
		if err := c.reg.Fresh(ctx); err != nil {
			return nil, err
		}
		old, _, ok := c.reg.User(registry.Operators, req.Name)
		if !ok || !old.Live() || old.PublicKey != req.PublicKey {
			return nil, fault.WithHint(fault.New(fault.Conflict, "admin %s exists already", req.Name), "the name of an admin is used once; choose another")
		}
		u = old
	}
	token, err := c.issueAdmin(u)
	if err != nil {
		return nil, err
	}
	return api.CreatedUser{JWT: token, Existed: existed, Servers: c.servers(), Expires: u.Expires}, nil
}

func (c *Control) issueAdmin(u registry.User) (string, error) {
	return account.IssueUser(c.cfg.Control, account.RoleAdmin, account.User{Name: u.Name, Key: u.PublicKey, Expires: u.Expires})
}

// adminRevoke ends an admin for good: every node refuses what the name asks for,
// and takes the key into CONTROL's JWT, which closes the connections.
func (c *Control) adminRevoke(ctx context.Context, who, name string) (any, error) {
	if name == who {
		return nil, fault.WithHint(fault.New(fault.Conflict, "you are %s yourself", who), "another admin can do it")
	}
	existed := true
	u, rev, err := c.reg.ChangeUser(ctx, registry.Operators, name, func(u *registry.User) (bool, error) {
		if existed = !u.Live(); !existed {
			u.Revoked = time.Now().UTC().Truncate(time.Millisecond)
		}
		return !existed, nil
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := c.waitNodes(ctx, registry.Operators, rev); err != nil {
		return nil, err
	}
	return api.Revoked{Name: u.Name, Role: string(u.Role), Revoked: u.Revoked, Existed: existed}, nil
}

// admitted refuses an admin that was revoked, and notes one that the registry
// does not know yet: those that came with the deployment.
func (c *Control) admitted(verb string, h api.Handler) api.Handler {
	return func(ctx context.Context, subj string, body []byte) (any, error) {
		_, who, _, err := subject.ParseRequest(subj)
		if err != nil {
			return nil, err
		}
		u, known := c.reg.View().Admins[who]
		switch {
		case known && !u.Live():
			return nil, fault.WithHint(fault.New(fault.Denied, "admin %s was revoked at %s", who, u.Revoked.Format(time.RFC3339)), "another admin can make a new one, with another name")
		case !known && verb != api.NodeStatus && c.seen.due("admin."+who, time.Minute):
			nctx, cancel := context.WithTimeout(ctx, 2*time.Second)
			_, err := c.reg.CreateUser(nctx, registry.Operators, registry.User{Name: who, Role: account.RoleAdmin, Subs: []string{}, Created: time.Now().UTC().Truncate(time.Second)})
			cancel()
			if err != nil && !fault.Is(err, fault.Conflict) {
				c.tel.Log.Debug("an admin is not noted", "admin", who, "error", err)
			}
		}
		return h(ctx, subj, body)
	}
}

func (c *Control) adminRows() (out []row[api.User]) {
	for _, u := range c.reg.View().Admins {
		out = append(out, row[api.User]{"/" + u.Name, recordRow(u)})
	}
	return out
}

// hub is what this node's server runs CONTROL with.
type hub struct{ revoked map[string]int64 }

// keepAdminsOut has this node's server run CONTROL without the keys of revoked
// admins, from the moment that the registry says so.
func (c *Control) keepAdminsOut(ctx context.Context, h *hub) error {
	for {
		_, changed := c.reg.Config.Revision()
		var again <-chan time.Time
		if !c.bring(h) {
			again = time.After(time.Second)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-again:
		}
	}
}

// bring brings CONTROL to what the registry says, and reports whether it did.
func (c *Control) bring(h *hub) bool {
	want := map[string]int64{}
	for _, u := range c.reg.View().Admins {
		if u.Live() || u.PublicKey == "" {
			continue
		}
		until := forEver
		if !u.Expires.IsZero() {
			until = u.Expires.Add(2 * leeway)
		}
		want[u.PublicKey] = until.Unix()
	}
	if maps.Equal(want, h.revoked) {
		return true
	}
	if err := c.applyControl(want); err != nil {
		c.tel.Log.Warn("CONTROL still lets a revoked admin in", "error", err)
		return false
	}
	h.revoked = want
	return true
}

func (c *Control) applyControl(revoked map[string]int64) error {
	after, _, err := account.IssuedAt(c.cfg.Server.AccountJWT(c.cfg.Control.Public))
	if err != nil {
		return err
	}
	token, err := c.cfg.Signer.ControlWithout(c.cfg.Control, registry.ControlStorage, revoked, after)
	if err != nil {
		return err
	}
	return c.cfg.Server.Apply(c.cfg.Control.Public, token)
}
