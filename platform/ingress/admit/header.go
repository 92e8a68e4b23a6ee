package admit

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"midplane/event"
	"midplane/subject"
)

// envelope is what a producer's headers hold, by name.
type envelope struct {
	msgID, expectedStream, contentType string
	traceParent, traceState            string
	specVersion, id, source, typ, time string
	epoch, sequence, low               string
	extensions                         []extension // other ce-*, in lower case
	compact                            bool        // stored with few headers; see expand
}

type extension struct{ name, value string }

// MaxHeaderBytes is how many bytes of headers a message may have.
const MaxHeaderBytes = 8 << 10

// Other bounds of headers.
const (
	maxHeaders     = 40
	maxHeaderValue = 1 << 10
	maxExtension   = 40 // letters and digits of a ce- name
	minYear        = 1970
	maxYear        = 2261
)

// headers reads h by an allow-list, compared without case, each name once. It
// is never copied as bytes: server and client parse headers differently, and a
// second block hidden behind the first would become real when passed on.
// wireBytes is how many bytes of headers came; more than h accounts for are
// hidden, and some with an empty h could not be decoded.
func headers(h map[string][]string, wireBytes int) (*envelope, *Refusal) {
	if wireBytes > 0 && len(h) == 0 {
		return nil, Refuse(CodeHeader, "the headers cannot be decoded")
	}
	if len(h) > maxHeaders || wireBytes > MaxHeaderBytes {
		return nil, Refuse(CodeHeader, "more than %d headers or %d bytes of them", maxHeaders, MaxHeaderBytes)
	}
	env := &envelope{}
	accounted := len("NATS/1.0\r\n") + len("\r\n")
	var seen [maxHeaders]string
	n := 0
	for name, values := range h {
		if len(values) != 1 {
			return nil, Refuse(CodeHeader, "header %s stands %d times", printable(name), len(values))
		}
		value := values[0]
		accounted += len(name) + len(": ") + len(value) + len("\r\n")
		lower := strings.ToLower(name)
		for _, other := range seen[:n] {
			if other == lower {
				return nil, Refuse(CodeHeader, "header %s stands twice", printable(lower))
			}
		}
		seen[n] = lower
		n++
		if r := env.set(lower, value); r != nil {
			return nil, r
		}
	}
	if wireBytes > accounted {
		return nil, Refuse(CodeHeader, "the headers hold %d bytes more than can be decoded", wireBytes-accounted)
	}
	return env, nil
}

// set takes one header by its lower-case name.
func (env *envelope) set(name, value string) *Refusal {
	if len(value) > maxHeaderValue || !clean(value) {
		return Refuse(CodeHeader, "the value of header %s is longer than %d bytes, not UTF-8, or has control characters", printable(name), maxHeaderValue)
	}
	switch name {
	case "nats-msg-id":
		env.msgID = value
	case "nats-expected-stream":
		env.expectedStream = value
	case event.HeaderContentType:
		env.contentType = value
	case event.HeaderTraceParent:
		env.traceParent = value
	case event.HeaderTraceState:
		env.traceState = value
	case "baggage": // accepted and dropped
	case event.HeaderSpecVersion:
		env.specVersion = value
	case event.HeaderID:
		env.id = value
	case event.HeaderSource:
		env.source = value
	case event.HeaderType:
		env.typ = value
	case event.HeaderTime:
		env.time = value
	case event.HeaderEpoch:
		env.epoch = value
	case event.HeaderSequence:
		env.sequence = value
	case event.HeaderLow:
		env.low = value
	case event.HeaderProducer, event.HeaderSite, event.HeaderSchemaVersion, event.HeaderReceived, event.HeaderViolation:
		return Refuse(CodeHeader, "header %s is stamped by Midplane; leave it out", name)
	default:
		ext, ok := strings.CutPrefix(name, "ce-")
		if !ok || !extensionName(ext) {
			return Refuse(CodeHeader, "header %s is not allowed; allowed are Nats-Msg-Id, Nats-Expected-Stream, content-type, traceparent, tracestate and ce-*", printable(name))
		}
		env.extensions = append(env.extensions, extension{name, value})
	}
	return nil
}

// agree checks the values against what the subject says.
func (env *envelope) agree(in subject.In) *Refusal {
	if env.msgID != "" && (!strings.HasPrefix(env.msgID, string(in.Producer)+"/") || len(env.msgID) > 200) {
		return Refuse(CodeMessageID, "Nats-Msg-Id %q must begin with %q and be at most 200 bytes: ids are per stream, and another's id would make its message a duplicate", printable(env.msgID), string(in.Producer)+"/")
	}
	if want := in.Kind.Stream(); env.expectedStream != "" && env.expectedStream != want {
		return Refuse(CodeStream, "Nats-Expected-Stream is %q, but the subject leads to %s", printable(env.expectedStream), want)
	}
	if env.specVersion != "" && env.specVersion != "1.0" {
		return Refuse(CodeEnvelope, "ce-specversion is %q, want 1.0", printable(env.specVersion))
	}
	if env.typ != "" && env.typ != string(in.Type) {
		return Refuse(CodeEnvelope, "ce-type is %q, but the subject says %q", printable(env.typ), in.Type)
	}
	if env.source != "" && in.Kind != event.KindDead && env.source != string(in.Producer) {
		return Refuse(CodeEnvelope, "ce-source is %q, but the producer is %q; leave it out", printable(env.source), in.Producer)
	}
	if env.time != "" {
		at, err := time.Parse(time.RFC3339Nano, env.time)
		if err != nil {
			return Refuse(CodeEnvelope, "ce-time %q is not RFC 3339, like 2026-01-31T12:00:00Z", printable(env.time))
		}
		// Readers keep times as nanoseconds and write them as RFC 3339 in UTC; both
		// have an end.
		if year := at.UTC().Year(); year < minYear || year > maxYear {
			return Refuse(CodeEnvelope, "ce-time %q is not between the years %d and %d", printable(env.time), minYear, maxYear)
		}
	}
	if r := env.media(in.Kind); r != nil {
		return r
	}
	return env.ledger()
}

func (env *envelope) media(k event.Kind) *Refusal {
	media, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(env.contentType)), ";")
	media = strings.TrimSpace(media)
	switch {
	case strings.HasPrefix(media, "application/cloudevents"):
		return Refuse(CodeEnvelope, "content-type %s: structured mode is not taken; use binary mode: the attributes in ce-* headers and the data alone as payload", printable(media))
	case media == "", media == "application/json", strings.HasSuffix(media, "+json"), k == event.KindDead:
		return nil
	}
	return Refuse(CodeEnvelope, "content-type %s is not taken; payloads are application/json", printable(media))
}

// ledger: all three numbers or none. low is below sequence by definition.
func (env *envelope) ledger() *Refusal {
	if env.epoch == "" && env.sequence == "" && env.low == "" {
		return nil
	}
	epoch, err1 := strconv.ParseUint(env.epoch, 10, 63)
	seq, err2 := strconv.ParseUint(env.sequence, 10, 63)
	low, err3 := strconv.ParseUint(env.low, 10, 63)
	if err1 != nil || err2 != nil || err3 != nil || epoch == 0 || seq == 0 || low >= seq {
		return Refuse(CodeEnvelope, "ce-epoch, ce-sequence and ce-low go together: positive numbers, low below sequence")
	}
	return nil
}

// writeTrace sets the trace headers, when they are well formed.
func (env *envelope) writeTrace(set func(name, value string)) {
	if !wellFormedTrace(env.traceParent) {
		return
	}
	set(event.HeaderTraceParent, env.traceParent)
	if env.traceState != "" {
		set(event.HeaderTraceState, env.traceState)
	}
}

// wellFormedTrace reports whether s is a W3C traceparent of version 00.
func wellFormedTrace(s string) bool {
	if len(s) != 55 || s[2] != '-' || s[35] != '-' || s[52] != '-' || s[:2] != "00" {
		return false
	}
	for i, c := range []byte(s) {
		if i == 2 || i == 35 || i == 52 {
			continue
		}
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return strings.Trim(s[3:35], "0") != "" && strings.Trim(s[36:52], "0") != ""
}

func extensionName(s string) bool {
	if s == "" || len(s) > maxExtension {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// clean reports whether s is UTF-8 without control characters.
func clean(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
		}
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// printable makes a stranger's text safe for a description and a log line.
func printable(s string) string {
	if len(s) > 60 {
		s = s[:60] + "…"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
}
