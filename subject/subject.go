// Package subject is the only place that builds or parses NATS subjects.
//
// Inside a tenant's account a producer publishes to in.<producer>.…. The ingress
// forwards a message to w.<secret>.…, where <secret> is the tenant's capability,
// and streams store it under event.…, state.…, metric.… or dead.…. Package
// subject imports event and fault only and does no I/O; parsing and building are
// inverse to each other (fuzzed).
package subject

import (
	"strings"

	"midplane/event"
	"midplane/fault"
)

// MaxLen is the longest subject in bytes that is built or accepted.
const MaxLen = 512

// In holds the parts of a subject that a producer publishes to.
type In struct {
	Producer event.Producer
	Kind     event.Kind
	Severity event.Severity // KindEvent
	Entity   event.Entity
	Type     event.Type

	// KindDead only: the stream of the original message and why it was given up.
	DeadStream string
	DeadReason string
}

// CutIn returns the producer's token and the rest of a subject that begins
// "in.<producer>."; ok is false when it does not. Neither is checked.
func CutIn(s string) (producer, rest string, ok bool) {
	if rest, ok = strings.CutPrefix(s, "in."); !ok {
		return "", "", false
	}
	return strings.Cut(rest, ".")
}

// InPrefix returns "in.<producer>.", with which every subject of that producer
// begins.
func InPrefix(p event.Producer) string { return "in." + string(p) + "." }

// String builds the subject that a producer publishes to.
func (in In) String() string { return InPrefix(in.Producer) + in.rest() }

// rest is everything behind the producer.
func (in In) rest() string {
	switch in.Kind {
	case event.KindEvent:
		return "event." + string(in.Severity) + "." + EncodeEntity(in.Entity) + "." + string(in.Type)
	case event.KindDead:
		return "dead." + in.DeadStream + "." + in.DeadReason + "." + EncodeEntity(in.Entity) + "." + string(in.Type)
	}
	return string(in.Kind) + "." + EncodeEntity(in.Entity) + "." + string(in.Type)
}

// ParseIn parses a producer's subject. It checks every token; the error is
// Invalid and names the wrong one.
func ParseIn(s string) (In, error) {
	var in In
	rest, ok := strings.CutPrefix(s, "in.")
	if !ok || len(s) > MaxLen {
		return in, fault.New(fault.Invalid, "subject %q is not in.<producer>.… of at most %d bytes", clip(s), MaxLen)
	}
	producer, rest, _ := strings.Cut(rest, ".")
	if err := event.CheckName("producer", producer); err != nil {
		return in, err
	}
	in.Producer = event.Producer(producer)
	kind, rest, _ := strings.Cut(rest, ".")
	in.Kind = event.Kind(kind)
	switch in.Kind {
	case event.KindEvent:
		var sev string
		sev, rest, _ = strings.Cut(rest, ".")
		in.Severity = event.Severity(sev)
		if in.Severity.Level() < 0 {
			return in, fault.WithHint(fault.New(fault.Invalid, "severity %q is not one of RFC 5424", sev),
				"emergency, alert, critical, error, warning, notice, info or debug")
		}
	case event.KindDead:
		in.DeadStream, rest, _ = strings.Cut(rest, ".")
		if event.KindOfStream(in.DeadStream) == "" {
			return in, fault.New(fault.Invalid, "dead letter's stream %q is not one of the tenant's", in.DeadStream)
		}
		in.DeadReason, rest, _ = strings.Cut(rest, ".")
		if !ReasonOfApp(in.DeadReason) {
			return in, fault.New(fault.Invalid, "dead letter's reason %q is not one of %s", in.DeadReason, strings.Join(appReasons, ", "))
		}
	case event.KindState, event.KindMetric:
	default:
		return in, fault.WithHint(fault.New(fault.Invalid, "subject's kind %q is unknown", kind),
			"in.<producer>.event.<severity>.<entity>.<type>, in.<producer>.state|metric.<entity>.<type>")
	}
	var err error
	if in.Entity, in.Type, err = parseTail(rest); err != nil {
		return in, err
	}
	return in, nil
}

func parseTail(rest string) (event.Entity, event.Type, error) {
	token, typ, _ := strings.Cut(rest, ".")
	entity, err := DecodeEntity(token)
	if err != nil {
		return "", "", err
	}
	return entity, event.Type(typ), event.CheckType(event.Type(typ))
}

// Reasons of dead letters.
const (
	DeadSchema      = "schema"       // ingress: payload breaks its schema
	DeadUnknownType = "unknown-type" // ingress: the type does not exist
	DeadHeader      = "header"       // ingress: a header is not allowed
	DeadSize        = "size"         // ingress: too large
	DeadRate        = "rate"         // ingress: over a rate
	DeadDenied      = "denied"       // ingress: this producer may not publish this
)

var (
	ingressReasons = []string{DeadSchema, DeadUnknownType, DeadHeader, DeadSize, DeadRate, DeadDenied}
	appReasons     = []string{"decode", "invalid", "exhausted", "expired", "dropped"}
)

// ReasonOfApp reports whether an application may give reason for a dead letter.
func ReasonOfApp(reason string) bool { return contains(appReasons, reason) }

// ReasonOfIngress reports whether the ingress gives reason for a dead letter.
func ReasonOfIngress(reason string) bool { return contains(ingressReasons, reason) }

func contains(list []string, s string) bool {
	for _, known := range list {
		if s == known {
			return true
		}
	}
	return false
}

// Stored holds the parts of the subject of a stored message.
type Stored struct {
	In              // Producer is set for KindDead only
	Site event.Site // not for KindDead
}

// StoredAs returns the subject under which a message to in is stored, when its
// producer belongs to site.
func (in In) StoredAs(site event.Site) Stored {
	st := Stored{In: in, Site: site}
	if in.Kind != event.KindDead {
		st.Producer = ""
	} else {
		st.Site = ""
	}
	return st
}

// String builds the subject that a stream keeps the message under.
func (st Stored) String() string {
	switch st.Kind {
	case event.KindEvent:
		return "event." + string(st.Site) + "." + string(st.Severity) + "." + EncodeEntity(st.Entity) + "." + string(st.Type)
	case event.KindDead:
		return "dead." + st.DeadStream + "." + st.DeadReason + "." + string(st.Producer) + "." + EncodeEntity(st.Entity) + "." + string(st.Type)
	}
	return string(st.Kind) + "." + string(st.Site) + "." + EncodeEntity(st.Entity) + "." + string(st.Type)
}

// ParseStored parses the subject of a stored message.
func ParseStored(s string) (Stored, error) {
	var st Stored
	if len(s) > MaxLen {
		return st, fault.New(fault.Invalid, "subject %q is longer than %d bytes", clip(s), MaxLen)
	}
	kind, rest, _ := strings.Cut(s, ".")
	st.Kind = event.Kind(kind)
	switch st.Kind {
	case event.KindDead:
		var producer string
		st.DeadStream, rest, _ = strings.Cut(rest, ".")
		st.DeadReason, rest, _ = strings.Cut(rest, ".")
		producer, rest, _ = strings.Cut(rest, ".")
		if event.KindOfStream(st.DeadStream) == "" || !ReasonOfApp(st.DeadReason) && !ReasonOfIngress(st.DeadReason) {
			return st, fault.New(fault.Invalid, "subject %q is not a dead letter's", clip(s))
		}
		if err := event.CheckName("producer", producer); err != nil {
			return st, err
		}
		st.Producer = event.Producer(producer)
	case event.KindEvent, event.KindState, event.KindMetric:
		var site string
		site, rest, _ = strings.Cut(rest, ".")
		if event.Site(site) != event.NoSite {
			if err := event.CheckName("site", site); err != nil {
				return st, err
			}
		}
		st.Site = event.Site(site)
		if st.Kind == event.KindEvent {
			var sev string
			sev, rest, _ = strings.Cut(rest, ".")
			st.Severity = event.Severity(sev)
			if st.Severity.Level() < 0 {
				return st, fault.New(fault.Invalid, "subject %q has no severity of RFC 5424", clip(s))
			}
		}
	default:
		return st, fault.New(fault.Invalid, "subject %q is not one of a tenant's streams", clip(s))
	}
	var err error
	st.Entity, st.Type, err = parseTail(rest)
	return st, err
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
