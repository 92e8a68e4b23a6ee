package users

import (
	"context"
	"slices"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/registry"
	"midplane/tenants/account"
)

// Subscribe lets a user read one more of the subscriptions that its
// tenant's file declares for it.
func (s *Users) Subscribe(ctx context.Context, _ string, req api.Subscribe) (any, error) {
	return s.changeSubscriptions(ctx, req, func(t *registry.Tenant, u *registry.User) (bool, error) {
		if err := mayHave(t, u.Role, api.CreateUser{Tenant: req.Tenant, Name: req.Name, Subscriptions: []string{req.Subscription}}); err != nil {
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

// Unsubscribe takes a subscription from a user.
func (s *Users) Unsubscribe(ctx context.Context, _ string, req api.Subscribe) (any, error) {
	return s.changeSubscriptions(ctx, req, func(_ *registry.Tenant, u *registry.User) (bool, error) {
		before := len(u.Subs)
		u.Subs = slices.DeleteFunc(slices.Clone(u.Subs), func(name string) bool { return name == req.Subscription })
		return len(u.Subs) != before, nil
	})
}

func (s *Users) changeSubscriptions(ctx context.Context, req api.Subscribe, change func(*registry.Tenant, *registry.User) (bool, error)) (any, error) {
	if err := event.CheckName("subscription", req.Subscription); err != nil {
		return nil, err
	}
	t, err := s.cfg.Registry.View().Serving(req.Tenant)
	if err != nil {
		return nil, err
	}
	existed := true
	u, _, err := s.cfg.Registry.Users.Change(ctx, t.ID, req.Name, func(u *registry.User) (bool, error) {
		if !u.Live() {
			return false, RevokedError(t, *u)
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
	token, err := issue(t, u)
	if err != nil {
		return nil, err
	}
	return api.Subscribed{Tenant: req.Tenant, Name: u.Name, Role: string(u.Role), PublicKey: u.PublicKey, JWT: token, Renews: u.Role.Renews(),
		Subscriptions: subsNow(t, u), Existed: existed}, nil
}
