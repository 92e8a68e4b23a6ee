package users

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/service"
	"midplane/platform/registry"
	"midplane/tenants/account"
	"midplane/tenants/enrol"
)

const (
	// maxTokens is how many tokens of a tenant are remembered at once.
	maxTokens = 1000
	// tokenKept is how long a token is remembered after its end.
	tokenKept = 7 * 24 * time.Hour
	// maxFailures is how many wrong tries lock a token.
	maxFailures = 5
)

// Tokens makes and revokes the tokens that pollers join with.
type Tokens struct {
	Registry *registry.Registry
	Enrol    account.Keys // of the ENROL account
}

// Create makes a token for one poller. It fails when the poller could not join
// now; redeeming decides again.
func (k *Tokens) Create(ctx context.Context, who string, req api.CreateToken) (any, error) {
	ttl := req.TTL.Std()
	if ttl == 0 {
		ttl = enrol.DefaultLife
	}
	if ttl < time.Second || ttl > enrol.MaxLife {
		return nil, fault.WithHint(fault.New(fault.Invalid, "a token's life is %s, want 1s to %s", ttl, enrol.MaxLife), "give it like --ttl 1h")
	}
	t, err := k.Registry.View().Serving(req.Tenant)
	if err != nil {
		return nil, err
	}
	site, err := siteFor(t, req.Poller, event.Site(req.Site))
	if err != nil {
		return nil, err
	}
	if err := mayJoin(t, req.Poller, ""); err != nil {
		return nil, err
	}
	if err := k.forget(ctx, t.ID); err != nil {
		return nil, err
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	tok := registry.Token{ID: newTokenID(), Tenant: t.ID, Account: t.Account.Key, Poller: req.Poller, Site: site, Key: req.PublicKey, Created: now, Expires: now.Add(ttl), By: who}
	jwt, err := account.IssueUser(k.Enrol, account.RoleToken, account.User{Name: tok.ID, Key: req.PublicKey, Expires: tok.Expires.Add(enrol.Grace)})
	if err != nil {
		return nil, err
	}
	if _, err := k.Registry.Tokens.Put(ctx, tok, 0); err != nil {
		return nil, err
	}
	return api.CreatedToken{ID: tok.ID, JWT: jwt, Site: string(site), Servers: k.Registry.Servers(), Expires: tok.Expires}, nil
}

// newTokenID returns a name that no token had before.
func newTokenID() string {
	b := make([]byte, 10)
	_, _ = rand.Read(b) // never fails
	return "t" + hex.EncodeToString(b)
}

// siteFor returns where a poller is: where the file declares it, or else where
// the request puts it, or else in the tenant's first site.
func siteFor(t *registry.Tenant, poller string, asked event.Site) (event.Site, error) {
	if err := event.CheckUserName("poller", poller); err != nil {
		return "", err
	}
	site, ok := t.Spec.SiteOf(event.Producer(poller))
	declared := site.ID
	switch {
	case ok && asked != "" && asked != declared:
		return "", fault.WithHint(fault.New(fault.Conflict, "poller %s is declared in site %s of tenant %s", poller, declared, t.ID), "leave --site out: the tenant's file decides")
	case ok:
		return declared, nil
	case len(t.Spec.Sites) == 0:
		return "", fault.WithHint(fault.New(fault.Invalid, "tenant %s has no site", t.ID), "add one to its file and apply")
	case asked == "":
		return t.Spec.Sites[0].ID, nil
	}
	for _, s := range t.Spec.Sites {
		if s.ID == asked {
			return asked, nil
		}
	}
	return "", fault.WithHint(fault.New(fault.NotFound, "tenant %s has no site %q", t.ID, asked), "see: midplane get sites --tenant %s", t.ID)
}

// mayJoin returns why a poller of that name, with that key ("" is a new one), may
// not be made; nil when it may.
func mayJoin(t *registry.Tenant, poller, key string) error {
	u, taken := t.Users[poller]
	switch {
	case taken && u.Role != account.RolePoller:
		return fault.WithHint(fault.New(fault.Conflict, "the name %s is taken in tenant %s, by a user of role %s", poller, t.ID, u.Role), "give the poller another name")
	case taken && u.Live() && u.PublicKey != key:
		return fault.WithHint(fault.New(fault.Conflict, "poller %s/%s exists already", t.ID, poller), "to put another machine in its place: midplane revoke poller %s/%s --yes", t.ID, poller)
	case taken && !u.Live() && u.PublicKey == key:
		return fault.New(fault.Denied, "poller %s/%s was revoked", t.ID, poller)
	case key != "" && t.Account.Revoked[key] != 0:
		return fault.New(fault.Denied, "the key of poller %s/%s was revoked", t.ID, poller)
	}
	for _, s := range t.Spec.Subscriptions {
		if s.Application == poller {
			return fault.New(fault.Conflict, "the name %s is taken in tenant %s, by an application", poller, t.ID)
		}
	}
	return nil
}

// forget deletes a tenant's old tokens, and refuses more than there may be.
func (k *Tokens) forget(ctx context.Context, id event.Tenant) error {
	left := 0
	for _, tok := range k.Registry.Tokens.Of(id) {
		if time.Since(tok.Expires) < tokenKept {
			left++
			continue
		}
		if err := k.Registry.Tokens.Delete(ctx, tok); err != nil {
			return err
		}
	}
	if left >= maxTokens {
		return fault.WithHint(fault.New(fault.Exhausted, "tenant %s has %d tokens", id, left), "tokens are forgotten a week after their end")
	}
	return nil
}

func tokenRow(t registry.Token) api.Token {
	row := api.Token{ID: t.ID, Tenant: string(t.Tenant), Poller: t.Poller, Site: string(t.Site), Created: t.Created, Expires: t.Expires, By: t.By, Failures: t.Failures, Status: api.TokenOpen}
	switch {
	case !t.Redeemed.IsZero():
		row.Status, row.Redeemed = api.TokenRedeemed, &t.Redeemed
	case !t.Revoked.IsZero():
		row.Status = api.TokenRevoked
	case !t.Locked.IsZero():
		row.Status = api.TokenLocked
	case !time.Now().Before(t.Expires):
		row.Status = api.TokenExpired
	}
	return row
}

// Rows lists tokens.
func (k *Tokens) Rows(_ context.Context, req api.ListRequest) (out []service.Row[api.Token], err error) {
	err = service.Each(k.Registry.View(), req, func(t *registry.Tenant) {
		for _, tok := range k.Registry.Tokens.Of(t.ID) {
			if req.Site == "" || req.Site == string(tok.Site) {
				out = append(out, service.RowOf(string(t.ID)+"/"+tok.Poller+"/"+tok.ID, tokenRow(tok)))
			}
		}
	})
	return out, err
}

// Revoke makes a token worthless. One that was redeemed is worthless
// already; what it gave is the poller's, and revoked with the poller.
func (k *Tokens) Revoke(ctx context.Context, _ string, req api.TokenRef) (any, error) {
	tok, _, err := k.close(ctx, req)
	if err != nil {
		return nil, err
	}
	return tokenRow(tok), nil
}

// close revokes a token, and reports whether it was open.
func (k *Tokens) close(ctx context.Context, req api.TokenRef) (registry.Token, bool, error) {
	for {
		tok, rev, ok := k.Registry.Tokens.Get(req.ID)
		if !ok || req.Tenant != "" && req.Tenant != string(tok.Tenant) {
			return tok, false, fault.WithHint(fault.New(fault.NotFound, "there is no token %q", req.ID), "see: midplane token list")
		}
		switch {
		case !tok.Redeemed.IsZero():
			return tok, false, fault.WithHint(fault.New(fault.Conflict, "token %s was redeemed at %s", tok.ID, tok.Redeemed.Format(time.RFC3339)),
				"to shut its poller out: midplane revoke poller %s/%s --yes", tok.Tenant, tok.Poller)
		case !tok.Revoked.IsZero():
			return tok, false, nil
		}
		open := tokenRow(tok).Status == api.TokenOpen
		tok.Revoked = time.Now().UTC()
		_, err := k.Registry.Tokens.Put(ctx, tok, rev)
		if err == nil {
			return tok, open, nil
		}
		if !fault.Is(err, fault.Conflict) {
			return tok, false, err
		}
		if err := k.changes(ctx, tok.ID, rev); err != nil {
			return tok, false, err
		}
	}
}

// closeOf revokes the open tokens of a poller and counts them. A token that
// is redeemed at the same time is a Conflict: there is a new key to revoke.
func (k *Tokens) closeOf(ctx context.Context, tenant event.Tenant, poller string) (closed int, err error) {
	for _, tok := range k.Registry.Tokens.Of(tenant) {
		if tok.Poller != poller || tokenRow(tok).Status != api.TokenOpen {
			continue
		}
		_, open, err := k.close(ctx, api.TokenRef{Tenant: string(tenant), ID: tok.ID})
		if err != nil && !fault.Is(err, fault.NotFound) {
			return closed, err
		}
		if open {
			closed++
		}
	}
	return closed, nil
}

// openOf returns the id of an open token of a poller, or "".
func (k *Tokens) openOf(tenant event.Tenant, poller string) string {
	for _, tok := range k.Registry.Tokens.Of(tenant) {
		if tok.Poller == poller && tokenRow(tok).Status == api.TokenOpen {
			return tok.ID
		}
	}
	return ""
}

// changes waits until this node sees a token's record change: right after
// a failed compare-and-set it may still see the old one.
func (k *Tokens) changes(ctx context.Context, id string, rev uint64) error {
	for {
		_, changed := k.Registry.Config.Revision()
		if _, now, _ := k.Registry.Tokens.Get(id); now != rev {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fault.Wrap(fault.Unavailable, ctx.Err(), "token %s was changed in between", id)
		}
	}
}
