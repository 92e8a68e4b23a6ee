package users

import (
	"context"
	"sync"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/once"
	"midplane/platform/registry"
	"midplane/subject"
	"midplane/tenants/account"
)

// TokenOrigins knows from where the connections of a token come, by its key.
type TokenOrigins interface {
	From(tokenKey string) string
}

// Recorder stores what was done in the audit log.
type Recorder interface {
	Record(ctx context.Context, rec api.AuditRecord)
}

// Enrolment turns tokens into pollers.
type Enrolment struct {
	Registry *registry.Registry
	Users    *Users
	Tokens   *Tokens
	Life     time.Duration // of a poller's JWT
	Origins  TokenOrigins
	Audit    Recorder

	mu       sync.Mutex
	refusals map[string]int // recorded, by token
	slowed   once.Every     // tokens with many
}

// Redeem turns a token into a poller. The server vouches for the token's id in
// the subject; the record in the registry decides everything else, by
// compare-and-set: the token is burned for one key before anything is made
// with it, and what was interrupted after that is continued when the same key
// asks again. The same key always gets the same answer.
func (e *Enrolment) Redeem(ctx context.Context, subj string, body []byte) (any, error) {
	id, err := subject.ParseEnrol(subj)
	if err != nil {
		return nil, err
	}
	key, bad := redeemer(id, body)
	// The token may be of a moment ago, or its tenant gone since, by another node.
	if err := e.Registry.Fresh(ctx); err != nil {
		return nil, err
	}
	for {
		tok, rev, ok := e.Registry.Tokens.Get(id)
		if !ok {
			return nil, fault.New(fault.Denied, "the token is not known")
		}
		t := e.Registry.View().Tenants[tok.Tenant]
		why := refusal(tok, t, key, bad)
		switch {
		case why != nil && fault.Retryable(why):
			return nil, why
		case why != nil:
			if tok, rev, err = e.countFailure(ctx, tok, rev); err == nil {
				e.refused(ctx, tok, why)
				return nil, why
			}
		case tok.RedeemedBy == key:
			return e.enrolled(ctx, t, tok, rev)
		default:
			tok.Redeemed, tok.RedeemedBy = time.Now().UTC().Truncate(time.Millisecond), key
			if rev, err = e.Registry.Tokens.Put(ctx, tok, rev); err == nil {
				return e.enrolled(ctx, t, tok, rev)
			}
		}
		if !fault.Is(err, fault.Conflict) {
			return nil, err
		}
		if err := e.Tokens.changes(ctx, id, rev); err != nil {
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

// refusal returns why a token is not for who asks; nil when it is.
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
func (e *Enrolment) countFailure(ctx context.Context, tok registry.Token, rev uint64) (registry.Token, uint64, error) {
	if !tok.Locked.IsZero() {
		return tok, rev, nil
	}
	next := tok
	if next.Failures++; next.Failures >= maxFailures {
		next.Locked = time.Now().UTC().Truncate(time.Millisecond)
	}
	now, err := e.Registry.Tokens.Put(ctx, next, rev)
	if err != nil {
		return tok, rev, err
	}
	return next, now, nil
}

// enrolled goes on with a token that is burned for the key that asks: it makes
// the user, waits until every door knows it, and keeps the answer.
func (e *Enrolment) enrolled(ctx context.Context, t *registry.Tenant, tok registry.Token, rev uint64) (any, error) {
	u := registry.User{Name: tok.Poller, Role: account.RolePoller, PublicKey: tok.RedeemedBy, Subs: []string{}, Created: tok.Redeemed, Expires: tok.Redeemed.Add(e.Life), By: tok.By}
	if _, declared := t.Spec.SiteOf(event.Producer(tok.Poller)); !declared {
		u.Site = tok.Site
	}
	if err := e.storePoller(ctx, t, u); err != nil {
		if !fault.Retryable(err) {
			e.refused(ctx, tok, err)
		}
		return nil, err
	}
	for tok.JWT == "" {
		var err error
		next := tok
		if next.JWT, err = issue(t, u); err != nil {
			return nil, err
		}
		switch _, err = e.Registry.Tokens.Put(ctx, next, rev); {
		case err == nil:
			tok = next
			e.redeemed(ctx, tok)
		case !fault.Is(err, fault.Conflict):
			return nil, err
		default:
			if err := e.Tokens.changes(ctx, tok.ID, rev); err != nil {
				return nil, err
			}
			var ok bool
			if tok, rev, ok = e.Registry.Tokens.Get(tok.ID); !ok {
				return nil, fault.New(fault.Denied, "the tenant of the token is gone")
			}
		}
	}
	site := t.SiteOf(tok.Poller)
	if site == event.NoSite {
		site = tok.Site
	}
	return api.Redeemed{Tenant: string(t.ID), Site: string(site), Poller: tok.Poller, JWT: tok.JWT, Servers: e.Registry.Servers(), Expires: u.Expires}, nil
}

// storePoller stores the user of a poller that enrols: a new one, the very same
// one, or one in the place of another that was revoked.
func (e *Enrolment) storePoller(ctx context.Context, t *registry.Tenant, u registry.User) error {
	if err := mayJoin(t, u.Name, u.PublicKey); err != nil {
		return err
	}
	if was, ok := t.Users[u.Name]; ok && !was.Live() {
		rev, err := e.Registry.Users.Replace(ctx, t.ID, u, was)
		if err == nil {
			err = e.Registry.WaitLoaded(ctx, t.ID, rev)
		} else if fault.Is(err, fault.Conflict) {
			err = fault.Wrap(fault.Unavailable, err, "enrol") // asked again, it is looked at again
		}
		return err
	}
	_, _, err := e.Users.store(ctx, t, u)
	return err
}

// verbEnrol is the name of redeeming a token in the audit log.
const verbEnrol = "enrol"

// redeemed and refused record what became of a token.
func (e *Enrolment) redeemed(ctx context.Context, tok registry.Token) {
	e.Audit.Record(ctx, api.AuditRecord{Who: tok.ID, From: e.Origins.From(tok.Key), Verb: verbEnrol, Tenant: string(tok.Tenant), Target: tok.Poller, Detail: "key=" + tok.RedeemedBy})
}

func (e *Enrolment) refused(ctx context.Context, tok registry.Token, why error) {
	if e.recordRefusal(tok.ID) {
		// The answer need not wait until the record is on three disks.
		go e.Audit.Record(context.WithoutCancel(ctx), api.AuditRecord{Who: tok.ID, From: e.Origins.From(tok.Key), Verb: verbEnrol, Tenant: string(tok.Tenant), Target: tok.Poller, Result: string(fault.KindOf(why)), Detail: why.Error()})
	}
}

// Refusals of one token that a node records at once, and how often it records more.
const (
	refusalsAtOnce = 100
	refusalEvery   = time.Second
)

// recordRefusal reports whether one more refusal of a token is recorded.
func (e *Enrolment) recordRefusal(id string) bool {
	e.mu.Lock()
	if e.refusals == nil {
		e.refusals = map[string]int{}
	}
	e.refusals[id]++
	n := e.refusals[id]
	e.mu.Unlock()
	return n <= refusalsAtOnce || e.slowed.Due(id, refusalEvery)
}
