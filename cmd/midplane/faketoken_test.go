package main

import (
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/tenants/account"
)

// token is the fake's part about enrolment. The token "t2" was redeemed.
func (f *fake) token(verb string, body []byte) (any, error) {
	switch verb {
	case api.TokenCreate:
		var req api.CreateToken
		if err := api.Decode(body, &req); err != nil {
			return nil, err
		}
		if req.Tenant != "acme" {
			return nil, fault.New(fault.NotFound, "no tenant %q", req.Tenant)
		}
		keys, err := account.NewKeys(account.EnrolRoles)
		if err != nil {
			return nil, err
		}
		made := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
		row := api.Token{ID: "t1", Tenant: req.Tenant, Poller: req.Poller, Site: "syd", Status: api.TokenOpen, Created: made, Expires: made.Add(req.TTL.Std()), By: "ann"}
		if req.Site != "" {
			row.Site = req.Site
		}
		f.tokens = append(f.tokens, row)
		jwt, err := account.IssueUser(keys, account.RoleToken, account.User{Name: row.ID, Key: req.PublicKey, Expires: row.Expires})
		return api.CreatedToken{ID: row.ID, JWT: jwt, Site: row.Site, Servers: []string{"nats://127.0.0.1:1", "nats://127.0.0.1:2"}, Expires: row.Expires}, err
	case api.TokenList:
		return api.Page[api.Token]{Items: append([]api.Token{}, f.tokens...)}, nil
	case api.TokenRevoke:
		var ref api.TokenRef
		if err := api.Decode(body, &ref); err != nil {
			return nil, err
		}
		switch {
		case ref.ID == "t2":
			return nil, fault.New(fault.Conflict, "token t2 was redeemed")
		case ref.ID != "t1" || ref.Tenant != "" && ref.Tenant != "acme":
			return nil, fault.New(fault.NotFound, "there is no token %q", ref.ID)
		}
		row := f.tokens[0]
		row.Status = api.TokenRevoked
		return row, nil
	}
	return nil, fault.New(fault.NotFound, "no verb %s", verb)
}
