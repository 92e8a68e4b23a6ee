package account

import (
	"bytes"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"midplane/event"
	"midplane/fault"
)

// User is what a user's JWT holds.
type User struct {
	Name    string
	Key     string    // public key; its seed stays with the user
	Subs    []string  // subscriptions a reader or app is bound to
	Expires time.Time // zero: does not expire
}

// IssueUser signs a user's JWT with the signing key of role. Names and
// subscriptions are checked here, where they are signed: the server would let
// a user named "*" open the whole tenant.
func IssueUser(keys Keys, role Role, u User) (string, error) {
	if err := event.CheckName("user", u.Name); err != nil {
		return "", err
	}
	if !nkeys.IsValidPublicUserKey(u.Key) {
		return "", fault.New(fault.Invalid, "user %s: not a public user key", u.Name)
	}
	kp, err := fromSeed(keys.Roles[role], nkeys.PrefixByteAccount, "signing key of role "+string(role))
	if err != nil {
		return "", err
	}
	c := jwt.NewUserClaims(u.Key)
	c.Name = u.Name
	c.IssuerAccount = keys.Public
	c.SetScoped(true)
	for _, s := range u.Subs {
		if err := event.CheckName("subscription", s); err != nil {
			return "", err
		}
		c.Tags.Add(TagSubscription + s)
	}
	if !u.Expires.IsZero() {
		c.Expires = u.Expires.Unix()
	}
	token, err := c.Encode(kp)
	return token, fault.Wrap(fault.Other, err, "sign user %s", u.Name)
}

// NewUserKey makes a user's key pair. The seed must not leave the caller.
func NewUserKey() (publicKey string, userSeed []byte, err error) {
	kp, err := nkeys.CreateUser()
	if err != nil {
		return "", nil, fault.Wrap(fault.Other, err, "make a user key")
	}
	return public(kp), seed(kp), nil
}

// SignWith returns a function that signs with a seed, as NATS' nonce and the
// control channel want it.
func SignWith(seed []byte) (func([]byte) ([]byte, error), error) {
	kp, err := fromSeed(seed, nkeys.PrefixByteUser, "user seed")
	if err != nil {
		return nil, err
	}
	return kp.Sign, nil
}

// Verify reports whether sig is key's signature of data.
func Verify(key string, data, sig []byte) bool {
	kp, err := nkeys.FromPublicKey(key)
	return err == nil && kp.Verify(data, sig) == nil
}

// Creds is what a .creds file holds.
type Creds struct {
	JWT       string
	Seed      []byte
	PublicKey string
	Name      string
	Account   string // public key of the account
	Subs      []string
	Expires   time.Time // zero: never
}

// FormatCreds writes a .creds file.
func FormatCreds(token string, seed []byte) ([]byte, error) {
	data, err := jwt.FormatUserConfig(token, seed)
	return data, fault.Wrap(fault.Invalid, err, "credentials")
}

// ReadCreds parses a .creds file. It does not check the signature of the JWT:
// the server does. The error never holds the file's content.
func ReadCreds(data []byte) (Creds, error) {
	token, err := jwt.ParseDecoratedJWT(data)
	if err != nil {
		return Creds{}, fault.New(fault.Invalid, "not a .creds file: no user JWT in it")
	}
	kp, err := jwt.ParseDecoratedUserNKey(data)
	if err != nil {
		return Creds{}, fault.New(fault.Invalid, "not a .creds file: no user seed in it")
	}
	out, err := ReadUser(token, seed(kp))
	return out, fault.Wrap(fault.Other, err, "the .creds file")
}

// ReadUser reads what a user's JWT holds, whose seed is given. It does not check
// the signature of the JWT: the server does. The error never holds either.
func ReadUser(token string, userSeed []byte) (Creds, error) {
	key, err := PublicKey(userSeed)
	if err != nil {
		return Creds{}, err
	}
	c, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return Creds{}, fault.New(fault.Invalid, "the user JWT cannot be read")
	}
	if key != c.Subject {
		return Creds{}, fault.New(fault.Invalid, "the seed is not that of the user JWT")
	}
	out := Creds{JWT: token, Seed: bytes.Clone(userSeed), PublicKey: c.Subject, Name: c.Name, Account: c.IssuerAccount}
	if out.Account == "" {
		out.Account = c.Issuer
	}
	for _, t := range c.Tags {
		if s, ok := strings.CutPrefix(t, TagSubscription); ok {
			out.Subs = append(out.Subs, s)
		}
	}
	if c.Expires > 0 {
		out.Expires = time.Unix(c.Expires, 0)
	}
	return out, nil
}

// RawSeed returns the 32 bytes that a user's seed is made from, SeedOf the seed.
func RawSeed(userSeed []byte) ([]byte, error) {
	prefix, raw, err := nkeys.DecodeSeed(userSeed)
	if err != nil || prefix != nkeys.PrefixByteUser {
		return nil, fault.New(fault.Invalid, "not a user's seed")
	}
	return raw, nil
}

// SeedOf returns the seed that is made from 32 bytes.
func SeedOf(raw []byte) ([]byte, error) {
	kp, err := nkeys.FromRawSeed(nkeys.PrefixByteUser, raw)
	if err != nil {
		return nil, fault.New(fault.Invalid, "not the bytes of a user's seed")
	}
	return seed(kp), nil
}

// PublicKey returns the public key of a user's seed.
func PublicKey(seed []byte) (string, error) {
	kp, err := fromSeed(seed, nkeys.PrefixByteUser, "user seed")
	if err != nil {
		return "", err
	}
	return public(kp), nil
}

// PublicOf returns the public key of a seed of any type.
func PublicOf(seed []byte) (string, error) {
	kp, err := nkeys.FromSeed(bytes.TrimSpace(seed))
	if err != nil {
		return "", fault.New(fault.Invalid, "not a seed") // never what it holds
	}
	return public(kp), nil
}
