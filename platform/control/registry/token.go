package registry

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"midplane/event"
	"midplane/fault"
)

// Token is the record of an enrolment token. It decides what the token is good
// for; the token's own JWT only says who asks.
type Token struct {
	ID      string       `json:"id"`
	Tenant  event.Tenant `json:"tenant"`
	Account string       `json:"account"` // public key; a tenant made anew is another one
	Poller  string       `json:"poller"`
	Site    event.Site   `json:"site"`
	Key     string       `json:"key"` // public key of the token's user
	Created time.Time    `json:"created"`
	Expires time.Time    `json:"expires"`
	By      string       `json:"by"`

	Failures int       `json:"failures,omitempty"`
	Locked   time.Time `json:"locked,omitzero"`
	Revoked  time.Time `json:"revoked,omitzero"`
	// Redeemed is when the token was burned, for RedeemedBy alone; JWT is the
	// answer, which is given again to that key.
	Redeemed   time.Time `json:"redeemed,omitzero"`
	RedeemedBy string    `json:"redeemedBy,omitempty"`
	JWT        string    `json:"jwt,omitempty"`
}

const tokenPrefix = "token."

func (t Token) key() string { return tokenPrefix + string(t.Tenant) + "." + t.ID }

// PutToken stores a token's record by compare-and-set; rev 0 is a new one.
func (r *Registry) PutToken(ctx context.Context, t Token, rev uint64) (uint64, error) {
	return r.cas(ctx, r.reg, t.key(), t, rev, "token "+t.ID)
}

// DeleteToken forgets a token.
func (r *Registry) DeleteToken(ctx context.Context, t Token) error {
	return fault.Wrap(fault.Unavailable, r.reg.Delete(ctx, t.key()), "forget token %s", t.ID)
}

// Token returns a token's record and its revision as this node has it.
func (r *Registry) Token(id string) (t Token, rev uint64, ok bool) {
	suffix := "." + id
	r.Config.All(func(e Entry) {
		if strings.HasPrefix(e.Key, tokenPrefix) && strings.HasSuffix(e.Key, suffix) && json.Unmarshal(e.Value, &t) == nil {
			rev, ok = e.Revision, true
		}
	})
	return t, rev, ok
}

// Tokens returns a tenant's tokens.
func (r *Registry) Tokens(tenant event.Tenant) (out []Token) {
	r.Config.All(func(e Entry) {
		var t Token
		if strings.HasPrefix(e.Key, tokenPrefix+string(tenant)+".") && json.Unmarshal(e.Value, &t) == nil {
			out = append(out, t)
		}
	})
	return out
}

// ReplaceUser puts a new user in the place of one whose name may be used again.
func (r *Registry) ReplaceUser(ctx context.Context, t event.Tenant, u, was User) (uint64, error) {
	e, ok := r.Config.Get(userKey(t, u.Name))
	var now User
	if !ok || json.Unmarshal(e.Value, &now) != nil || now.PublicKey != was.PublicKey || now.Live() != was.Live() {
		return 0, fault.New(fault.Conflict, "user %s/%s was changed meanwhile", t, u.Name)
	}
	return r.cas(ctx, r.reg, userKey(t, u.Name), u, e.Revision, "user "+string(t)+"/"+u.Name)
}
