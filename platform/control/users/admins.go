package users

import (
	"context"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/service"
	"midplane/platform/registry"
	"midplane/tenants/account"
)

// Admins makes and revokes admins.
type Admins struct {
	Registry *registry.Registry
	Control  account.Keys // of the CONTROL account
}

// Create signs an admin's JWT. As with tenants' users the record comes
// first, a name is used once, and asking again with the same key gives the JWT
// again. A name is never free again: who may do what is kept by name.
func (a *Admins) Create(ctx context.Context, who string, req api.CreateUser) (any, error) {
	if req.Tenant != "" || len(req.Subscriptions) > 0 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "an admin belongs to no tenant and has no subscriptions"), "leave --tenant and --subscription out")
	}
	if err := event.CheckUserName("user", req.Name); err != nil {
		return nil, err
	}
	life, err := lifeOf(account.RoleAdmin, 0, req.TTL.Std())
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	u := registry.User{Name: req.Name, Role: account.RoleAdmin, PublicKey: req.PublicKey, Subs: []string{}, Created: now, Expires: now.Add(life), By: who}
	if _, err := a.issue(u); err != nil { // before it is stored
		return nil, err
	}
	_, err = a.Registry.Users.Create(ctx, registry.Operators, u)
	existed := fault.Is(err, fault.Conflict)
	if err != nil && !existed {
		return nil, err
	}
	if existed {
		if err := a.Registry.Fresh(ctx); err != nil {
			return nil, err
		}
		old, _, ok := a.Registry.Users.Get(registry.Operators, req.Name)
		if !ok || !old.Live() || old.PublicKey != req.PublicKey {
			return nil, fault.WithHint(fault.New(fault.Conflict, "admin %s exists already", req.Name), "the name of an admin is used once; choose another")
		}
		u = old
	}
	token, err := a.issue(u)
	if err != nil {
		return nil, err
	}
	return api.CreatedUser{JWT: token, Existed: existed, Servers: a.Registry.Servers(), Expires: u.Expires}, nil
}

func (a *Admins) issue(u registry.User) (string, error) {
	return account.IssueUser(a.Control, account.RoleAdmin, account.User{Name: u.Name, Key: u.PublicKey, Expires: u.Expires})
}

// Revoke ends an admin for good: every node refuses what the name asks for,
// and takes the key into CONTROL's JWT, which closes the connections.
func (a *Admins) Revoke(ctx context.Context, who, name string) (any, error) {
	if name == who {
		return nil, fault.WithHint(fault.New(fault.Conflict, "you are %s yourself", who), "another admin can do it")
	}
	existed := true
	u, rev, err := a.Registry.Users.Change(ctx, registry.Operators, name, func(u *registry.User) (bool, error) {
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
	if err := a.Registry.WaitLoaded(ctx, registry.Operators, rev); err != nil {
		return nil, err
	}
	return api.Revoked{Name: u.Name, Role: string(u.Role), Revoked: u.Revoked, Existed: existed}, nil
}

func (a *Admins) rows() (out []service.Row[api.User]) {
	for _, u := range a.Registry.View().Admins {
		out = append(out, service.RowOf("/"+u.Name, recordRow(u)))
	}
	return out
}
