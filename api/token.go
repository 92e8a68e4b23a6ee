package api

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/fault"
	"midplane/subject"
)

// Verbs of the admin service about enrolment tokens.
const (
	TokenCreate = "token.create" // CreateToken → CreatedToken
	TokenList   = "token.list"   // ListRequest → Page[Token]
	TokenRevoke = "token.revoke" // TokenRef → Token
)

// CreateToken asks for a token that enrols one poller. The client makes the
// token's own key and sends only the public half. Site is the site of a poller
// that the tenant's file does not declare; "" is the tenant's first.
type CreateToken struct {
	Tenant    string   `json:"tenant"`
	Poller    string   `json:"poller"`
	Site      string   `json:"site,omitempty"`
	TTL       Duration `json:"ttl,omitempty"` // 0: an hour
	PublicKey string   `json:"publicKey"`
}

// CreatedToken holds the parts of a token; the client adds the key.
type CreatedToken struct {
	ID      string    `json:"id"`
	JWT     string    `json:"jwt"`
	Site    string    `json:"site"`
	Servers []string  `json:"servers"`
	Expires time.Time `json:"expires"`
}

// AuditDetail is what the audit log adds to the request.
func (t CreatedToken) AuditDetail() string { return "token=" + t.ID }

// Token is one row of "token list". It holds no secret.
type Token struct {
	ID       string     `json:"id"`
	Tenant   string     `json:"tenant"`
	Poller   string     `json:"poller"`
	Site     string     `json:"site"`
	Status   string     `json:"status"` // open, redeemed, expired, locked, revoked
	Created  time.Time  `json:"created"`
	Expires  time.Time  `json:"expires"`
	By       string     `json:"by"`
	Redeemed *time.Time `json:"redeemed"`
	Failures int        `json:"failures"`
}

// Status of a token.
const (
	TokenOpen     = "open"
	TokenRedeemed = "redeemed"
	TokenExpired  = "expired"
	TokenLocked   = "locked"
	TokenRevoked  = "revoked"
)

// TokenRef names a token; Tenant may be left out.
type TokenRef struct {
	Tenant string `json:"tenant,omitempty"`
	ID     string `json:"id"`
}

// Redeem is a new poller's request on enrol.<id>, made with the token's
// credential. The key pair is the poller's own; it signs RedeemBytes.
type Redeem struct {
	PublicKey string `json:"publicKey"`
	Signature []byte `json:"signature"`
}

// RedeemBytes returns the bytes that the poller signs.
func RedeemBytes(id, publicKey string) []byte {
	return []byte("enrol\n" + id + "\n" + publicKey)
}

// Redeemed makes the machine that asked a poller. The same key gets the same
// answer again.
type Redeemed struct {
	Tenant  string    `json:"tenant"`
	Site    string    `json:"site"`
	Poller  string    `json:"poller"`
	JWT     string    `json:"jwt"`
	Servers []string  `json:"servers"`
	Expires time.Time `json:"expires"` // of the JWT
}

// Enrol redeems the token id over nc, a connection with the token's credential.
func Enrol(ctx context.Context, nc *nats.Conn, id, publicKey string, sign func([]byte) ([]byte, error)) (Redeemed, error) {
	var out Redeemed
	sig, err := sign(RedeemBytes(id, publicKey))
	if err != nil {
		return out, fault.Wrap(fault.Other, err, "sign")
	}
	return out, Call(ctx, nc, subject.EnrolOf(id), Redeem{PublicKey: publicKey, Signature: sig}, &out)
}
