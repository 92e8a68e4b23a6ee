package api

import (
	"strconv"
	"time"
)

// Verbs of the admin service about users.
const (
	UserCreate      = "user.create"      // CreateUser → CreatedUser
	UserList        = "user.list"        // ListRequest → Page[User]
	UserRevoke      = "user.revoke"      // UserRef → Revoked
	UserDelete      = "user.delete"      // UserRef → Revoked
	UserSubscribe   = "user.subscribe"   // Subscribe → Subscribed
	UserUnsubscribe = "user.unsubscribe" // Subscribe → Subscribed
)

// CreateUser asks for a user's JWT. The client makes the key pair and sends only
// the public key. A second request with the same key, role and subscriptions
// gives the JWT again; anything else for an existing name is a Conflict. TTL is
// for the roles that cannot renew; 0 is a year.
type CreateUser struct {
	Tenant        string   `json:"tenant"`
	Name          string   `json:"name"`
	Role          string   `json:"role"` // poller producer reader app inspector
	PublicKey     string   `json:"publicKey"`
	Subscriptions []string `json:"subscriptions"`
	TTL           Duration `json:"ttl,omitempty"`
}

// CreatedUser is the signed JWT; every live node's ingress knows the user.
type CreatedUser struct {
	JWT     string    `json:"jwt"`
	Existed bool      `json:"existed"`
	Servers []string  `json:"servers"` // client URLs of the nodes
	Expires time.Time `json:"expires"` // of the JWT
}

// UserRef names a tenant's user. With Role set, a user of another role is a
// Conflict: a request to revoke a poller must not revoke an application.
type UserRef struct {
	Tenant string `json:"tenant"`
	Name   string `json:"name"`
	Role   string `json:"role,omitempty"`
}

// Revoked says since when a user is revoked.
type Revoked struct {
	Tenant  string    `json:"tenant"`
	Name    string    `json:"name"`
	Role    string    `json:"role"`
	Revoked time.Time `json:"revoked"`
	// Existed says that the user had been revoked before.
	Existed bool `json:"existed"`
	// Tokens is how many open enrolment tokens of a poller were revoked with it.
	Tokens int `json:"tokens"`
}

// AuditDetail is what the audit log adds to the request.
func (r Revoked) AuditDetail() string {
	if r.Tokens == 0 {
		return ""
	}
	return "tokens=" + strconv.Itoa(r.Tokens)
}

// Subscribe gives a reader, application or inspector one more subscription, or
// takes one away. Doing it again changes nothing.
type Subscribe struct {
	Tenant       string `json:"tenant"`
	Name         string `json:"name"`
	Subscription string `json:"subscription"`
}

// User is one row of "user list".
type User struct {
	ID            string     `json:"id"`
	Tenant        string     `json:"tenant"`
	Name          string     `json:"name"`
	Role          string     `json:"role"`
	Status        string     `json:"status"` // active, expired, revoked
	Created       time.Time  `json:"created"`
	Expires       *time.Time `json:"expires"` // of its newest JWT; null: never
	Renews        bool       `json:"renews"`  // it renews its JWT by itself
	Revoked       *time.Time `json:"revoked"`
	Subscriptions []string   `json:"subscriptions"`
	Site          string     `json:"site,omitempty"` // of a poller that joined without being declared
}

// Status of a user.
const (
	UserActive  = "active"
	UserExpired = "expired"
	UserRevoked = "revoked"
)

// Subscribed is what a user may read now, and a JWT for its key that says so.
type Subscribed struct {
	Tenant        string   `json:"tenant"`
	Name          string   `json:"name"`
	Role          string   `json:"role"`
	PublicKey     string   `json:"publicKey"`
	JWT           string   `json:"jwt,omitempty"`
	Renews        bool     `json:"renews"`
	Subscriptions []string `json:"subscriptions"`
	// Existed says that the user had the subscription, or lacked it, before.
	Existed bool `json:"existed"`
}
