package subject

import (
	"strings"

	"midplane/event"
	"midplane/fault"
)

// Capability is a tenant's secret. The tenant's streams listen on the stored
// subjects with "w.<capability>." in front of them.
type Capability string

// Prefix returns "w.<capability>.".
func (c Capability) Prefix() string { return "w." + string(c) + "." }

// Subject returns the subject to which the ingress publishes a message so that
// a stream stores it under st.
func (c Capability) Subject(st Stored) string { return c.Prefix() + st.String() }

// API returns the prefix under which the control plane alone reaches the whole
// JetStream API of the tenant. A client that knew it could aim an empty answer
// at it and delete a stream.
func (c Capability) API() string { return "a." + string(c) }

// CapabilityAll and CapabilityAPIAll match the subjects of every capability; only
// tests hold a permission for them.
const (
	CapabilityAll    = "w.>"
	CapabilityAPIAll = "a.>"
)

// Listen returns the subject that the stream of kind k listens on.
func (c Capability) Listen(k event.Kind) string { return c.Prefix() + string(k) + ".>" }

// TransformFrom and TransformTo are the stream's subject transform. It fits every
// capability, so that two can be valid while one is rotated out.
func TransformFrom(k event.Kind) string { return "w.*." + string(k) + ".>" }

// TransformTo is the destination of the transform from TransformFrom.
func TransformTo(k event.Kind) string { return string(k) + ".>" }

// StoredOf returns the filter that matches everything a stream of kind k keeps.
func StoredOf(k event.Kind) string { return string(k) + ".>" }

// IngressAll is what the ingress subscribes to in each tenant account.
const IngressAll = "in.>"

// Filter returns the subject filter for messages of kind k with the given
// site, severity and type, each "" for any. A type without its last token
// ("net.interface") matches all below it.
func Filter(k event.Kind, site event.Site, sev event.Severity, typ string) string {
	tokens := []string{string(k), star(string(site))}
	switch k {
	case event.KindEvent:
		tokens = append(tokens, star(string(sev)))
	case event.KindDead: // has neither: stream, reason and producer stand there
		tokens = []string{string(k), "*", "*", "*"}
	}
	tokens = append(tokens, "*") // entity
	switch {
	case typ == "":
		tokens = append(tokens, ">")
	case event.CheckType(event.Type(typ)) == nil:
		tokens = append(tokens, typ)
	default:
		tokens = append(tokens, typ, ">")
	}
	return strings.Join(tokens, ".")
}

func star(s string) string {
	if s == "" {
		return "*"
	}
	return s
}

// InboxPrefix returns the inbox prefix of a user; no other may subscribe below it.
func InboxPrefix(user string) string { return inbox + user }

// InboxOf matches every answer to a user.
func InboxOf(user string) string { return InboxPrefix(user) + ".>" }

// ControlOf returns the subject of one request of the control channel as a
// tenant's user publishes it.
func ControlOf(user, verb string) string { return "control." + user + "." + verb }

// ControlExport is what CONTROL exports to tenants; token 2 is the tenant's
// account key, which the server enforces.
const ControlExport = "control.*.>"

// ControlAccountToken is the position of the account key in ControlExport.
const ControlAccountToken = 2

// ControlImport returns what a tenant imports: its own branch only.
func ControlImport(accountKey string) string { return "control." + accountKey + ".>" }

// ControlLocal is the local name of the imported branch.
const ControlLocal = "control.>"

// ParseControl splits control.<account>.<user>.<verb> as the service sees it.
func ParseControl(s string) (account, user, verb string, err error) {
	parts := strings.Split(s, ".")
	if len(parts) != 4 || parts[0] != "control" {
		return "", "", "", fault.New(fault.Invalid, "%q is not a control request", clip(s))
	}
	return parts[1], parts[2], parts[3], nil
}

// EnrolExport is what CONTROL exports to ENROL alone.
const EnrolExport = "enrol.*"

// EnrolOf returns the subject on which the token id is redeemed.
func EnrolOf(id string) string { return "enrol." + id }

// ParseEnrol returns the token's id.
func ParseEnrol(s string) (id string, err error) {
	id, ok := strings.CutPrefix(s, "enrol.")
	if !ok {
		return "", fault.New(fault.Invalid, "%q is not an enrolment", clip(s))
	}
	return id, event.CheckName("token", id)
}

// Hint returns the subject of hints to a poller (api.Hint).
func Hint(poller string) string { return "hint." + poller }

// HintAll matches every hint.
const HintAll = "hint.>"

// Named stands for the name of the connection's user in the permissions of a
// role: the server puts the name there.
const Named = "{{name()}}"

// The services in CONTROL, by the first token of their requests (the word door in
// these names has nothing to do with the ingress). The asking user's name is in
// the subject, where its JWT enforces it, so that the audit log can rely on it.
const (
	DoorAdmin = "admin" // operators: tenants, users, streams
	DoorQuery = "query" // operators: what the primary knows
	DoorCore  = "core"  // primaries
	// Requests to DoorControl come from the tenants' accounts, where their subjects
	// are those of ControlOf. Requests to DoorEnrol are made with a token, on the
	// subject of EnrolOf.
	DoorControl = "control"
	DoorEnrol   = "enrol"
)

// DoorAll matches every request to a service.
func DoorAll(door string) string { return door + ".>" }

// ServiceOf returns the subject on which a service listens for a verb, from users
// of any name.
func ServiceOf(door, verb string) string {
	switch door {
	case DoorControl: // the account's key comes first
		return "control.*.*." + verb
	case DoorEnrol: // it has one verb only
		return EnrolExport
	}
	return door + ".*." + verb
}

// IsQuery reports whether a subject is a request that primaries answer.
func IsQuery(s string) bool { return strings.HasPrefix(s, DoorQuery+".") }

// Request returns "<door>.<name>.<verb>".
func Request(door, name, verb string) string { return door + "." + name + "." + verb }

// ParseRequest splits a subject that Request has built.
func ParseRequest(s string) (door, name, verb string, err error) {
	door, rest, _ := strings.Cut(s, ".")
	name, verb, ok := strings.Cut(rest, ".")
	if !ok || verb == "" {
		return "", "", "", fault.New(fault.Invalid, "%q is not a request", clip(s))
	}
	return door, name, verb, event.CheckName("user", name)
}
