package control

import (
	"context"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/registry"
	"midplane/subject"
	"midplane/tenants/account"
)

// redeem turns a token into a poller. The server vouches for the token's id in
// the subject; the record in the registry decides everything else, by
// compare-and-set: the token is burned for one key before anything is made
// with it, and whatever was interrupted after that is gone on with when the
// same key asks again. The same key always gets the same answer.
func (c *Control) redeem(ctx context.Context, subj string, body []byte) (any, error) {
	id, err := subject.ParseEnrol(subj)
	if err != nil {
		return nil, err
	}
	key, bad := redeemer(id, body)
	looked := false
	for {
		tok, rev, ok := c.reg.Token(id)
		if !ok {
			// Made a moment ago, by another node?
			if looked {
				return nil, fault.New(fault.Denied, "the token is not known")
			}
			if err := c.reg.Fresh(ctx); err != nil {
				return nil, err
			}
			looked = true
			continue
		}
		t := c.reg.View().Tenants[tok.Tenant]
		why := refusal(tok, t, key, bad)
		switch {
		case why != nil && fault.Retryable(why):
			return nil, why
		case why != nil:
			if tok, rev, err = c.countFailure(ctx, tok, rev); err == nil {
				c.refused(ctx, tok, why)
				return nil, why
			}
		case tok.RedeemedBy == key:
			return c.enrolled(ctx, t, tok, rev)
		default:
			tok.Redeemed, tok.RedeemedBy = time.Now().UTC().Truncate(time.Millisecond), key
			if rev, err = c.reg.PutToken(ctx, tok, rev); err == nil {
				return c.enrolled(ctx, t, tok, rev)
			}
		}
		if !fault.Is(err, fault.Conflict) {
			return nil, err
		}
		if err := c.tokenChanges(ctx, id, rev); err != nil {
			return nil, err
		}
	}
}

// redeemer returns the key of who asks, which has signed the request.
func redeemer(id string, body []byte) (key string, err error) {
	var req api.Redeem
	if err := api.Decode(body, &req); err != nil {
		return "", err
	}
	if !account.Verify(req.PublicKey, api.RedeemBytes(id, req.PublicKey), req.Signature) {
		return "", fault.New(fault.Denied, "the request is not signed by the key that it names")
	}
	return req.PublicKey, nil
}

// refusal says why a token is not for who asks; nil when it is.
func refusal(tok registry.Token, t *registry.Tenant, key string, bad error) error {
	const again = "ask for a new one: midplane token create"
	switch {
	case t == nil || t.Account.Key != tok.Account || t.Account.Deleted || t.Leaving():
		return fault.New(fault.Denied, "the tenant of the token is gone or being deleted")
	case !t.Open():
		return fault.New(fault.Unavailable, "tenant %s is not ready", t.ID)
	case bad != nil:
		return bad
	case tok.RedeemedBy == key:
		return nil
	case tok.RedeemedBy != "":
		return fault.WithHint(fault.New(fault.Denied, "the token was used already, at %s", tok.Redeemed.Format(time.RFC3339)), again)
	case !tok.Revoked.IsZero():
		return fault.WithHint(fault.New(fault.Denied, "the token was revoked"), again)
	case !time.Now().Before(tok.Expires):
		return fault.WithHint(fault.New(fault.Denied, "the token expired at %s", tok.Expires.Format(time.RFC3339)), again)
	case !tok.Locked.IsZero():
		return fault.WithHint(fault.New(fault.Denied, "the token is locked after %d failures", tok.Failures), again)
	}
	return mayJoin(t, tok.Poller, key)
}

// countFailure notes one more failure in the token's record; enough of them
// lock it, and then nothing more is noted.
func (c *Control) countFailure(ctx context.Context, tok registry.Token, rev uint64) (registry.Token, uint64, error) {
	if !tok.Locked.IsZero() {
		return tok, rev, nil
	}
	next := tok
	if next.Failures++; next.Failures >= maxFailures {
		next.Locked = time.Now().UTC().Truncate(time.Millisecond)
	}
	now, err := c.reg.PutToken(ctx, next, rev)
	if err != nil {
		return tok, rev, err
	}
	return next, now, nil
}

// enrolled goes on with a token that is burned for the key that asks: it makes
// the user, waits until every door knows it, and keeps the answer.
func (c *Control) enrolled(ctx context.Context, t *registry.Tenant, tok registry.Token, rev uint64) (any, error) {
	u := registry.User{Name: tok.Poller, Role: account.RolePoller, PublicKey: tok.RedeemedBy, Subs: []string{}, Created: tok.Redeemed, Expires: tok.Redeemed.Add(c.cfg.Pace.Life), By: tok.By}
	if _, declared := t.Spec.SiteOf(event.Producer(tok.Poller)); !declared {
		u.Site = tok.Site
	}
	if err := c.storePoller(ctx, t, u); err != nil {
		if !fault.Retryable(err) {
			c.refused(ctx, tok, err)
		}
		return nil, err
	}
	for tok.JWT == "" {
		var err error
		next := tok
		if next.JWT, err = c.issue(t, u); err != nil {
			return nil, err
		}
		switch _, err = c.reg.PutToken(ctx, next, rev); {
		case err == nil:
			tok = next
			c.redeemed(ctx, tok)
		case !fault.Is(err, fault.Conflict):
			return nil, err
		default:
			if err := c.tokenChanges(ctx, tok.ID, rev); err != nil {
				return nil, err
			}
			var ok bool
			if tok, rev, ok = c.reg.Token(tok.ID); !ok {
				return nil, fault.New(fault.Denied, "the tenant of the token is gone")
			}
		}
	}
	site := t.SiteOf(tok.Poller)
	if site == event.NoSite {
		site = tok.Site
	}
	return api.Redeemed{Tenant: string(t.ID), Site: string(site), Poller: tok.Poller, JWT: tok.JWT, Servers: c.servers(), Expires: u.Expires}, nil
}

// storePoller stores the user of a poller that enrols: a new one, the very same
// one, or one in the place of another that was revoked.
func (c *Control) storePoller(ctx context.Context, t *registry.Tenant, u registry.User) error {
	if err := mayJoin(t, u.Name, u.PublicKey); err != nil {
		return err
	}
	if was, ok := t.Users[u.Name]; ok && !was.Live() {
		rev, err := c.reg.ReplaceUser(ctx, t.ID, u, was)
		if err == nil {
			err = c.waitNodes(ctx, t.ID, rev)
		} else if fault.Is(err, fault.Conflict) {
			err = fault.Wrap(fault.Unavailable, err, "enrol") // asked again, it is looked at again
		}
		return err
	}
	_, _, err := c.storeUser(ctx, t, u)
	return err
}
