// Package admit decides about messages that want to get into a tenant's
// streams: whether one is looked at (Screen), whether it is let in and as what
// (Admit), and what a refusal answers and leaves behind (Refusal, DeadLetter).
// It is pure: the same answer for the same arguments, without a clock, a
// network or a store, so that any front may stand before it. How messages come
// and go is the front's business; platform/ingress is the front for NATS.
package admit

import (
	"strconv"
	"strings"
	"time"

	"midplane/event"
	"midplane/schemas"
	"midplane/subject"
	"midplane/tenants/account"
)

// Snapshot is all Admit needs to know of a tenant, immutable.
type Snapshot struct {
	Tenant     event.Tenant
	Users      map[string]User
	Schemas    *schemas.Set
	Capability subject.Capability
	Warn       bool // store what breaks its schema, with ce-violation
	MaxMessage int  // bytes of payload
}

// User is a producer as the registry knows it.
type User struct {
	Role account.Role
	Site event.Site
	Key  string // public key
}

// Input is one message as it came.
type Input struct {
	Subject, Reply string
	Header         map[string][]string // as decoded; nil when there are none or they cannot be
	HeaderBytes    int                 // on the wire; see headers
	Data           []byte
}

// Message is one message as it goes out.
type Message struct {
	Subject, Reply string
	Header         map[string][]string
	Data           []byte
}

// Admitted is a message as it goes on: built from nothing, with the stamps a
// producer cannot be trusted with.
type Admitted struct {
	In        subject.In
	Site      event.Site
	Msg       Message
	Violation string
}

// Drop is why a message is not even answered: the answer itself would be the
// weapon.
type Drop string

// Why a message is dropped.
const (
	DropNone    Drop = ""
	DropSubject Drop = "subject"  // not in.<producer>.…
	DropNoReply Drop = "no-reply" // a refusal would reach no one
	DropReply   Drop = "reply"    // aimed at something that is not the producer's own inbox
)

// maxDead is the largest dead letter in bytes of payload: what a message may
// have, less room for headers and stamps.
const maxDead = account.MaxPayload - 2*MaxHeaderBytes

// maxReply is the longest reply subject in bytes.
const maxReply = 200

// Screen decides whether a message is looked at: its subject begins
// in.<producer>. and its reply is a literal subject inside that producer's own
// inbox.
func Screen(subj, reply string) (event.Producer, Drop) {
	name, _, ok := subject.CutIn(subj)
	if !ok || event.CheckName("producer", name) != nil {
		return "", DropSubject
	}
	if reply == "" {
		return event.Producer(name), DropNoReply
	}
	tail, ok := strings.CutPrefix(reply, subject.InboxPrefix(name)+".")
	if !ok || len(reply) > maxReply || strings.HasSuffix(reply, ".$FI") || !literal(tail) {
		return event.Producer(name), DropReply
	}
	return event.Producer(name), DropNone
}

// literal reports whether s is one or more tokens without wildcards or blanks.
func literal(s string) bool {
	empty := true
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '.':
			if empty {
				return false
			}
			empty = true
		case c == '*' || c == '>' || c <= ' ' || c == 0x7f:
			return false
		default:
			empty = false
		}
	}
	return !empty
}

// systemOnly are the types that only the control plane publishes, past the door:
// a producer could otherwise make a device disappear, or raise false alarms in
// Midplane's name.
var systemOnly = map[event.Type]bool{event.TypeDeclared: true, event.TypeAlarm: true}

// Admit decides about a screened message: pure, the same answer for the same
// arguments. newID makes the ce-id that is missing. Exactly one of the results
// is not nil.
func Admit(t *Snapshot, producer event.Producer, m Input, now time.Time, newID func() string) (*Admitted, *Refusal) {
	user, ok := t.Users[string(producer)]
	if !ok {
		return nil, Refuse(CodeProducer, "producer %q is not known in this tenant; make it with: midplane user create", producer)
	}
	in, err := subject.ParseIn(m.Subject)
	if err != nil {
		return nil, Refuse(CodeSubject, "%v", err)
	}
	if in.Kind == event.KindDead && user.Role != account.RoleApp && user.Role != account.RoleInspector {
		return nil, Refuse(CodeRole, "role %s may not publish dead letters", user.Role)
	}
	if in.Kind != event.KindDead && systemOnly[in.Type] {
		return nil, Refuse(CodeRole, "type %s is published by Midplane itself only", in.Type)
	}
	env, refusal := headers(m.Header, m.HeaderBytes)
	if refusal != nil {
		return nil, refusal
	}
	env.expand(in)
	if refusal := env.agree(in); refusal != nil {
		return nil, refusal
	}
	if len(m.Data) == 0 {
		return nil, Refuse(CodeEmpty, "the message has no payload")
	}
	a := &Admitted{In: in, Site: user.Site}
	version := 0
	if in.Kind == event.KindDead {
		// Stamped, it must still fit into one message: otherwise the connection to
		// the server refuses it, and the producer gets no answer.
		if len(m.Data) > maxDead {
			return nil, Refuse(CodeSize, "the dead letter has %d bytes, at most %d are taken", len(m.Data), maxDead)
		}
	} else {
		if len(m.Data) > t.MaxMessage {
			return nil, Refuse(CodeSize, "the message has %d bytes, the tenant's message size is %d", len(m.Data), t.MaxMessage)
		}
		var violation *Refusal
		version, violation = validate(t, in, m.Data)
		if violation != nil {
			if !t.Warn {
				return nil, violation
			}
			a.Violation = violation.Description
		}
	}
	a.Msg = a.build(t, env, version, now, newID)
	a.Msg.Reply, a.Msg.Data = m.Reply, m.Data
	return a, nil
}

func validate(t *Snapshot, in subject.In, data []byte) (version int, r *Refusal) {
	entry, ok := t.Schemas.Lookup(in.Type)
	if !ok {
		return 0, Refuse(CodeUnknownType, "type %s is not known; see: midplane get schemas", in.Type)
	}
	if entry.Schema.Kind != in.Kind {
		return 0, Refuse(CodeKind, "type %s is of kind %s, but the subject says %s", in.Type, entry.Schema.Kind, in.Kind)
	}
	if v := entry.Validator.Validate(data); v != nil {
		return 0, Refuse(CodeSchema, "%s: field %s breaks rule %q: %s", in.Type, fieldName(v.Field), v.Rule, printable(v.Message))
	}
	return entry.Schema.Version, nil
}

func fieldName(pointer string) string {
	if pointer == "" {
		return "(whole payload)"
	}
	return printable(pointer)
}

// build writes the outgoing message. Everything in it is either checked or ours.
func (a *Admitted) build(t *Snapshot, env *envelope, version int, now time.Time, newID func() string) Message {
	received := now.UTC().Format(time.RFC3339Nano)
	h := make(map[string][]string, 16)
	set := func(name, value string) { h[name] = []string{value} }
	optional := func(name, value string) {
		if value != "" {
			h[name] = []string{value}
		}
	}
	optional(event.HeaderMsgID, env.msgID)
	set(event.HeaderGuard, event.GuardLevel)
	optional(event.HeaderViolation, a.Violation)
	to := t.Capability.Subject(a.In.StoredAs(a.Site))
	if env.compact {
		env.writeCompact(version, now, set)
		return Message{Subject: to, Header: h}
	}
	set(event.HeaderContentType, "application/json")
	if a.In.Kind == event.KindDead && env.contentType != "" {
		set(event.HeaderContentType, env.contentType)
	}
	set(event.HeaderSpecVersion, "1.0")
	id := env.id
	if id == "" {
		id = newID()
	}
	set(event.HeaderID, id)
	set(event.HeaderType, string(a.In.Type))
	source := env.source
	if source == "" || a.In.Kind != event.KindDead {
		source = string(a.In.Producer)
	}
	set(event.HeaderSource, source)
	at := env.time
	if at == "" {
		at = received
	}
	set(event.HeaderTime, at)
	if env.sequence != "" {
		set(event.HeaderEpoch, env.epoch)
		set(event.HeaderSequence, env.sequence)
		set(event.HeaderLow, env.low)
	}
	env.writeTrace(set)
	for _, e := range env.extensions {
		set(e.name, e.value)
	}
	set(event.HeaderProducer, string(a.In.Producer))
	set(event.HeaderSite, string(a.Site))
	set(event.HeaderReceived, received)
	if version > 0 {
		set(event.HeaderSchemaVersion, strconv.Itoa(version))
	}
	return Message{Subject: to, Header: h}
}
