package control

import (
	"context"
	"slices"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/registry"
	"midplane/tenants/account"
)

// userSubscribe lets a user read one more of the subscriptions that its
// tenant's file declares for it.
func (c *Control) userSubscribe(ctx context.Context, _ string, req api.Subscribe) (any, error) {
	return c.subscriptions(ctx, req, func(t *registry.Tenant, u *registry.User) (bool, error) {
		if err := c.mayHave(t, u.Role, api.CreateUser{Tenant: req.Tenant, Name: req.Name, Subscriptions: []string{req.Subscription}}); err != nil {
			return false, err
		}
		if slices.Contains(u.Subs, req.Subscription) {
			return false, nil
		}
		u.Subs = append(slices.Clone(u.Subs), req.Subscription)
		slices.Sort(u.Subs)
		return true, nil
	})
}

// userUnsubscribe takes a subscription from a user.
func (c *Control) userUnsubscribe(ctx context.Context, _ string, req api.Subscribe) (any, error) {
	return c.subscriptions(ctx, req, func(_ *registry.Tenant, u *registry.User) (bool, error) {
		before := len(u.Subs)
		u.Subs = slices.DeleteFunc(slices.Clone(u.Subs), func(s string) bool { return s == req.Subscription })
		return len(u.Subs) != before, nil
	})
}

func (c *Control) subscriptions(ctx context.Context, req api.Subscribe, change func(*registry.Tenant, *registry.User) (bool, error)) (any, error) {
	if err := event.CheckName("subscription", req.Subscription); err != nil {
		return nil, err
	}
	t, err := c.tenant(req.Tenant)
	if err != nil {
		return nil, err
	}
	if !t.Open() {
		return nil, fault.WithHint(fault.New(fault.Unavailable, "tenant %s is not ready", t.ID), "wait for it: midplane status")
	}
	existed := true
	u, _, err := c.reg.ChangeUser(ctx, t.ID, req.Name, func(u *registry.User) (bool, error) {
		if !u.Live() {
			return false, revokedUser(t, *u)
		}
		if u.Role != account.RoleReader && u.Role != account.RoleApp && u.Role != account.RoleInspector {
			return false, fault.New(fault.Invalid, "role %s has no subscriptions", u.Role)
		}
		changed, err := change(t, u)
		existed = !changed
		return changed, err
	})
	if err != nil {
		return nil, err
	}
	token, err := c.issue(t, u)
	if err != nil {
		return nil, err
	}
	return api.Subscribed{Tenant: req.Tenant, Name: u.Name, Role: string(u.Role), PublicKey: u.PublicKey, JWT: token, Renews: renews(u.Role),
		Subscriptions: subsNow(t, u), Existed: existed}, nil
}
