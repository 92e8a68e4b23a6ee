package registry

import (
	"context"
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
	Account string       `json:"account"` // public key; a later tenant of the same id has another one
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

// TokenRecords are the enrolment tokens.
type TokenRecords struct{ in bucket }

const tokenPrefix = "token."

func (t Token) key() string { return tokenPrefix + string(t.Tenant) + "." + t.ID }

// Put stores a token's record by compare-and-set; rev 0 is a new one.
func (r *TokenRecords) Put(ctx context.Context, t Token, rev uint64) (uint64, error) {
	return r.in.cas(ctx, t.key(), t, rev, "token "+t.ID)
}

// Delete deletes a token.
func (r *TokenRecords) Delete(ctx context.Context, t Token) error {
	return fault.Wrap(fault.Unavailable, r.in.kv.Delete(ctx, t.key()), "forget token %s", t.ID)
}

// Get returns a token's record and its revision as this node has it.
func (r *TokenRecords) Get(id string) (t Token, rev uint64, ok bool) {
	suffix := "." + id
	r.in.mirror.Prefix(tokenPrefix, func(e Entry) {
		if strings.HasSuffix(e.Key, suffix) && decode(e.Value, &t) == nil {
			rev, ok = e.Revision, true
		}
	})
	return t, rev, ok
}

// Of returns a tenant's tokens.
func (r *TokenRecords) Of(tenant event.Tenant) (out []Token) {
	r.in.mirror.Prefix(tokenPrefix+string(tenant)+".", func(e Entry) {
		var t Token
		if decode(e.Value, &t) == nil {
			out = append(out, t)
		}
	})
	return out
}
