package event

import (
	"regexp"
	"strings"

	"midplane/fault"
)

// Tenant is the id of one customer, for instance "acme". It is the name of
// the customer's NATS account.
type Tenant string

// Site is a place in a tenant's network, for instance "syd". Unique within a tenant.
type Site string

// Producer is the name of a user that publishes into a tenant: a poller or an
// application, for instance "syd-01". Names of all roles are unique within a
// tenant.
type Producer string

// NoSite is the reserved site of producers that have none, and of the system.
const NoSite Site = "_"

// SystemPrefix begins the names that belong to Midplane itself.
const SystemPrefix = "midplane-"

// ProbeTenant is the tenant in which nodes try their own doors.
const ProbeTenant Tenant = SystemPrefix + "probe"

// OfSystem reports whether a tenant is Midplane's own: it has an account and streams
// as every tenant has, and is no customer. It is not listed, nothing of it is
// promised, and no operator declares it.
func (t Tenant) OfSystem() bool { return strings.HasPrefix(string(t), SystemPrefix) }

var nameRE = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// CheckName says whether s may name a tenant, site, poller or user: one token
// of 1 to 63 lower-case letters, digits and inner hyphens. what is the noun for
// the error, which is Invalid. Names are checked where a JWT is signed and again
// at the ingress, since the server itself would let a user named "*" reach the
// whole tenant.
func CheckName(what, s string) error {
	if !nameRE.MatchString(s) {
		return fault.WithHint(fault.New(fault.Invalid, "%s %q is not a valid name", what, s),
			"use 1 to 63 of a-z, 0-9 and inner hyphens")
	}
	return nil
}

// CheckUserName is CheckName, and also refuses the names of the system.
func CheckUserName(what, s string) error {
	if err := CheckName(what, s); err != nil {
		return err
	}
	if strings.HasPrefix(s, SystemPrefix) {
		return fault.New(fault.Invalid, "%s %q begins with %q, which belongs to the system", what, s, SystemPrefix)
	}
	return nil
}

// Entity is the thing that a message is about, for instance "r1", its interface
// "r1/if/2" or its check "r1/check/web". Unique within tenant and site. Any
// printable UTF-8 of at most MaxEntity bytes; package subject encodes it.
type Entity string

// MaxEntity is the longest entity id in bytes, before encoding.
const MaxEntity = 120

// CheckEntity reports an Invalid error unless e can be an entity id.
func CheckEntity(e Entity) error {
	if e == "" || len(e) > MaxEntity {
		return fault.New(fault.Invalid, "entity id of %d bytes, want 1 to %d", len(e), MaxEntity)
	}
	if strings.ToValidUTF8(string(e), "") != string(e) {
		return fault.New(fault.Invalid, "entity id is not valid UTF-8")
	}
	for _, r := range string(e) {
		if r < ' ' || r == 0x7f {
			return fault.New(fault.Invalid, "entity id %q has a control character", string(e))
		}
	}
	return nil
}

// Interface returns the entity of an interface of device e.
func (e Entity) Interface(index string) Entity { return e + "/if/" + Entity(index) }

// Check returns the entity of a check of device e.
func (e Entity) Check(name string) Entity { return e + "/check/" + Entity(name) }

// Device returns the device that e is or belongs to: everything before the first
// "/if/" or "/check/".
func (e Entity) Device() Entity {
	for _, part := range []string{"/if/", "/check/"} {
		if i := strings.Index(string(e), part); i > 0 {
			return e[:i]
		}
	}
	return e
}

// Part returns which part of its device e is: "if" with the index, "check" with
// the name, or "" when e is a device.
func (e Entity) Part() (kind, id string) {
	rest := strings.TrimPrefix(string(e), string(e.Device()))
	if rest == "" {
		return "", ""
	}
	kind, id, _ = strings.Cut(rest[1:], "/")
	return kind, id
}

// Type is the type of a message: dotted lower-case words that end in a major
// version, for instance "net.interface.status.v1". A compatible change raises
// the schema's version under the same type, a breaking one makes "…v2".
type Type string

// MaxType is the longest type in bytes.
const MaxType = 100

var typeRE = regexp.MustCompile(`^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)*\.v[1-9][0-9]{0,3}$`)

// CheckType reports an Invalid error unless t is well formed.
func CheckType(t Type) error {
	if len(t) > MaxType || !typeRE.MatchString(string(t)) {
		return fault.WithHint(fault.New(fault.Invalid, "type %q is not well formed", string(t)),
			"dotted lower-case words that end in a major version, like net.interface.status.v1")
	}
	return nil
}
