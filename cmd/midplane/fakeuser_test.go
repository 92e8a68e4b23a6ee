package main

import (
	"slices"
	"strings"
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/tenants/account"
)

var cannedTime = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

// endUser ends a user that was made before.
func (f *fake) endUser(verb string, body []byte) (any, error) {
	var req api.UserRef
	if err := api.Decode(body, &req); err != nil {
		return nil, err
	}
	u, ok := f.users[req.Name]
	switch {
	case !ok:
		return nil, fault.New(fault.NotFound, "user %s/%s does not exist", req.Tenant, req.Name)
	case req.Role != "" && req.Role != u.Role:
		return nil, fault.New(fault.Conflict, "%s/%s is no %s but has role %s", req.Tenant, req.Name, req.Role, u.Role)
	}
	out := api.Revoked{Tenant: req.Tenant, Name: req.Name, Role: u.Role, Revoked: cannedTime, Existed: f.revoked[req.Name]}
	for i, tok := range f.tokens {
		if tok.Poller == req.Name && tok.Status == api.TokenOpen {
			f.tokens[i].Status = api.TokenRevoked
			out.Tokens++
		}
	}
	if f.revoked == nil {
		f.revoked = map[string]bool{}
	}
	f.revoked[req.Name] = verb == api.UserRevoke
	if verb == api.UserDelete {
		delete(f.users, req.Name)
	}
	return out, nil
}

func (f *fake) userRows(body []byte) (any, error) {
	var req api.ListRequest
	if err := api.Decode(body, &req); err != nil {
		return nil, err
	}
	out := api.Page[api.User]{Items: []api.User{}}
	for _, u := range f.users {
		row := api.User{ID: u.Name, Tenant: u.Tenant, Name: u.Name, Role: u.Role, Status: api.UserActive, Created: cannedTime, Subscriptions: u.Subscriptions}
		if end := cannedTime.Add(u.TTL.Std()); u.TTL > 0 {
			row.Expires = &end
		}
		if at := cannedTime; f.revoked[u.Name] {
			row.Status, row.Revoked = api.UserRevoked, &at
		}
		out.Items = append(out.Items, row)
	}
	slices.SortFunc(out.Items, func(a, b api.User) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func (f *fake) subscribe(verb string, body []byte) (any, error) {
	var req api.Subscribe
	if err := api.Decode(body, &req); err != nil {
		return nil, err
	}
	u, ok := f.users[req.Name]
	switch {
	case !ok:
		return nil, fault.New(fault.NotFound, "user %s/%s does not exist", req.Tenant, req.Name)
	case req.Subscription == "nosuch":
		return nil, fault.New(fault.NotFound, "subscription %q is not declared for %s", req.Subscription, req.Name)
	}
	u.Subscriptions = slices.DeleteFunc(slices.Clone(u.Subscriptions), func(s string) bool { return s == req.Subscription })
	if verb == api.UserSubscribe {
		u.Subscriptions = append(u.Subscriptions, req.Subscription)
	}
	f.users[req.Name] = u
	jwt, err := account.IssueUser(f.acme, account.Role(u.Role), account.User{Name: u.Name, Key: u.PublicKey, Subs: u.Subscriptions})
	return api.Subscribed{Tenant: u.Tenant, Name: u.Name, Role: u.Role, PublicKey: u.PublicKey, JWT: jwt, Renews: u.Role != "reader", Subscriptions: u.Subscriptions}, err
}
