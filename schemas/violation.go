package schemas

import (
	"strings"
	"unicode"
)

// Rules that belong to no keyword and hold for every payload, under any schema.
const (
	RuleJSON      = "json"      // malformed, or something after the value
	RuleUTF8      = "utf-8"     // not UTF-8, or half of a surrogate pair
	RuleDuplicate = "duplicate" // a key twice in one object
	RuleDepth     = "depth"     // nested deeper than MaxDepth
	RuleNumber    = "number"    // longer than MaxNumber, or an exponent beyond MaxExponent
)

// Limits of every payload. MaxDepth counts objects and arrays inside one another,
// MaxNumber the bytes of one number; MaxExponent bounds exponents of either sign.
const (
	MaxDepth    = 64
	MaxNumber   = 256
	MaxExponent = 999
)

// Violation says why a payload is not valid.
type Violation struct {
	Field   string // JSON pointer, "" for the payload itself; also of a missing or unknown property
	Rule    string // the schema's keyword ("enum", "required", …) or one of the rules above
	Message string // what was expected, for a person; never a value of the payload
}

// Error names field and rule in one line.
func (v *Violation) Error() string {
	field := v.Field
	if field == "" {
		field = "the payload"
	}
	return field + ": " + v.Message + " (" + v.Rule + ")"
}

// maxToken is the longest part of a Field in runes: the sender of a payload chooses
// its keys, and a Violation goes into headers and logs.
const maxToken = 64

// under puts v below key: the pointer is built while the error is returned upwards,
// so that a valid payload never costs that work.
func (v *Violation) under(key string) *Violation {
	if strings.Count(v.Field, "/") < 16 {
		v.Field = "/" + token(key) + v.Field
	}
	return v
}

// token makes one printable part of a JSON pointer.
func token(key string) string {
	var b strings.Builder
	n := 0
	for _, r := range key {
		if n++; n > maxToken {
			b.WriteString("…")
			break
		}
		switch {
		case r == '~':
			b.WriteString("~0")
		case r == '/':
			b.WriteString("~1")
		case !unicode.IsPrint(r):
			b.WriteRune(unicode.ReplacementChar)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Messages of both the streaming validator and the library.

func wrongType(got, want string) *Violation {
	return &Violation{Rule: "type", Message: "is of type " + got + ", want " + want}
}

func missing(name string) *Violation {
	return (&Violation{Rule: "required", Message: "is missing"}).under(name)
}

func unknown(name string) *Violation {
	return (&Violation{Rule: "additionalProperties", Message: "is not a known property"}).under(name)
}

func outside(rule, bound string) *Violation {
	return &Violation{Rule: rule, Message: "is outside " + rule + " " + bound}
}

func mismatch(rule, want string) *Violation {
	return &Violation{Rule: rule, Message: "does not match " + rule + " " + shorten(want)}
}

func notAllowed(rule, want string) *Violation {
	return &Violation{Rule: rule, Message: "must be " + shorten(want)}
}

// shorten keeps a message readable when the schema has a very long list.
func shorten(s string) string {
	const most = 160
	n := 0
	for i := range s {
		if n++; n > most {
			return s[:i] + "…"
		}
	}
	return s
}
