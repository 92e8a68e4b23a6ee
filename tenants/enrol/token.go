// Package enrol writes and reads enrolment tokens: one word that holds all a
// new poller needs to join, and that is good for one poller, once.
//
// A token names the nodes, the fingerprint of the CA that their certificates
// must come from, and a NATS credential that can redeem this token and do
// nothing else. It is all that is needed to join, so it is never logged; String
// hides it. The package does no I/O; it may import tenants/account and what is below.
package enrol

import (
	"crypto/sha256"
	"crypto/x509"
	"net"
	"net/url"
	"strings"
	"time"

	"midplane/event"
	"midplane/fault"
	"midplane/tenants/account"
)

// DefaultLife and MaxLife are how long a token can be redeemed.
const (
	DefaultLife = time.Hour
	MaxLife     = 24 * time.Hour
	// Grace is how much longer the nodes let its credential in: the registry
	// decides, so that a poller that is late gets an error and is not just cut off.
	Grace = 30 * time.Second
)

// Pin is the SHA-256 of a CA's public key (SubjectPublicKeyInfo).
type Pin [sha256.Size]byte

// PinOf returns a certificate's pin.
func PinOf(c *x509.Certificate) Pin { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

// Token is what a token holds.
type Token struct {
	Tenant  event.Tenant
	Poller  event.Producer
	Servers []string // client URLs
	Pins    []Pin    // none: the nodes are on this machine and speak no TLS
	JWT     string
	Seed    []byte // secret

	// What the JWT holds.
	ID      string
	Expires time.Time // of the JWT
}

// String hides the token.
func (t Token) String() string { return "token " + t.ID }

// GoString hides it from %#v.
func (t Token) GoString() string { return t.String() }

// check reports whether the parts belong together, and fills in what the JWT
// holds.
func (t *Token) check() error {
	if err := event.CheckName("tenant", string(t.Tenant)); err != nil {
		return err
	}
	if err := event.CheckUserName("poller", string(t.Poller)); err != nil {
		return err
	}
	u, err := account.ReadUser(t.JWT, t.Seed)
	if err != nil {
		return err
	}
	if err := event.CheckName("token", u.Name); err != nil {
		return err
	}
	t.ID, t.Expires = u.Name, u.Expires
	if len(t.Servers) == 0 || len(t.Servers) > maxServers || len(t.Pins) > maxPins {
		return fault.New(fault.Invalid, "a token of %d servers and %d pins", len(t.Servers), len(t.Pins))
	}
	for _, s := range t.Servers {
		if err := checkServer(s, len(t.Pins) > 0); err != nil {
			return err
		}
	}
	return nil
}

// checkServer: TLS with a pin, or this machine without either.
func checkServer(s string, pinned bool) error {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.Port() == "" || u.User != nil || s != u.Scheme+"://"+u.Host {
		return fault.New(fault.Invalid, "%q is not the URL of a node", s)
	}
	switch {
	case pinned && u.Scheme != "tls":
		return fault.New(fault.Invalid, "%s does not speak TLS, and the token names a CA", s)
	case !pinned && !Loopback(u.Hostname()):
		return fault.WithHint(fault.New(fault.Denied, "%s is not on this machine, and the token names no CA", s),
			"a token of `midplane up` is for the same machine; for others make a deployment with: midplane init")
	case !pinned && u.Scheme != "nats":
		return fault.New(fault.Invalid, "%s speaks TLS, and the token names no CA", s)
	}
	return nil
}

// Loopback reports whether a host is this machine by name or address.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// clean drops what pasting adds: no character of a token is white space.
func clean(s string) string { return strings.Join(strings.Fields(s), "") }
