package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/tenants/account"
	"midplane/tenants/enrol"
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

// A token that is pasted comes in lines, and ends when it is whole, whether or
// not standard input ends then.
func TestReadToken(t *testing.T) {
	keys, err := account.NewKeys(account.EnrolRoles)
	if err != nil {
		t.Fatal(err)
	}
	key, seed, err := account.NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	jwt, err := account.IssueUser(keys, account.RoleToken, account.User{Name: "t1", Key: key})
	if err != nil {
		t.Fatal(err)
	}
	word, err := enrol.Token{Tenant: event.Tenant("acme"), Poller: "syd-01", Servers: []string{"nats://127.0.0.1:4222"}, JWT: jwt, Seed: seed}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	broken := word[:80] + "\n" + word[80:160] + "\r\n  " + word[160:] + "\n"
	for name, in := range map[string]string{"one line": word + "\n", "no line end": word, "broken": broken, "something after it": word + "\nls -l\n", "broken, something after it": broken + "ls -l\n"} {
		a := &app{stdin: strings.NewReader(in)}
		text, err := a.readToken(context.Background())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if tok, err := enrol.Parse(text); err != nil || tok.ID != "t1" {
			t.Errorf("%s: %v", name, err)
		}
	}
	a := &app{stdin: strings.NewReader("one\ntwo\n")}
	if text, err := a.readToken(context.Background()); err != nil || text != "onetwo" {
		t.Errorf("%q %v", text, err)
	}
}
