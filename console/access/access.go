// Package access says who may use the console, and as what.
//
// Users with passwords, tokens of machines and one-time links are kept in one
// file that its owner alone may read; sessions and failed tries are in memory.
// The file is shared by the server and the command line: both change it under
// a lock, and the server sees a change at its next request. What a request may
// do with an identity is decided by package console, which alone knows HTTP.
package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"time"

	"midplane/event"
	"midplane/fault"
)

// Role is what an identity may do.
type Role string

// The roles. A metrics token reads /metrics and nothing else.
const (
	Admin    Role = "admin"
	Operator Role = "operator"
	Viewer   Role = "viewer"
	Metrics  Role = "metrics"
)

// Kinds of identities.
const (
	KindUser  = "user"
	KindToken = "token"
	KindLink  = "link"
)

// Bounds in time.
const (
	Idle       = 30 * time.Minute // a session that is not used
	Absolute   = 12 * time.Hour   // any session
	LinkLife   = 10 * time.Minute
	TokenLife  = 365 * 24 * time.Hour // unless another is asked for
	MaxToken   = 10 * 365 * 24 * time.Hour
	maxEntries = 1000 // users, or tokens
)

// Identity is who asks.
type Identity struct {
	Name    string    `json:"name"`
	Kind    string    `json:"kind"` // user, token or link
	Role    Role      `json:"role"`
	Tenant  string    `json:"tenant,omitempty"` // sees this one alone; "" sees all
	Session string    `json:"-"`                // public name of the session; "" for a token
	CSRF    string    `json:"-"`                // what a change must be sent with; "" for a token
	Expires time.Time `json:"-"`
}

// String names it for a log.
func (i Identity) String() string { return i.Kind + ":" + i.Name }

// checkGrant says whether a role may be given, and whether it may be confined.
func checkGrant(role Role, tenant string, roles ...Role) error {
	ok := false
	for _, r := range roles {
		ok = ok || r == role
	}
	switch {
	case !ok:
		return fault.WithHint(fault.New(fault.Invalid, "role %q is none here", role), "use one of %v", roles)
	case tenant == "":
		return nil
	case role != Viewer:
		return fault.WithHint(fault.New(fault.Invalid, "a role %s cannot be confined to a tenant", role), "only a viewer can")
	}
	return event.CheckName("tenant", tenant)
}

// secret returns 256 random bits as text.
func secret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// handle returns a short random name that is no secret.
func handle() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// digest is what is kept of a random secret. Such a secret cannot be guessed,
// so a fast hash is enough, and looking it up by its hash tells no timing.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
