package schemas

import (
	"encoding/json"
	"fmt"
	"strconv"

	"midplane/event"
	"midplane/fault"
)

// MaxSchema is the largest schema document in bytes.
const MaxSchema = 64 << 10

// Draft is the only dialect; "$schema" may be left out.
const Draft = "https://json-schema.org/draft/2020-12/schema"

// Schema is one version of one type, as the registry keeps it.
type Schema struct {
	Type    event.Type      `json:"type"`
	Kind    event.Kind      `json:"kind"`    // event, state or metric
	Version int             `json:"version"` // every compatible change raises it
	Schema  json.RawMessage `json:"schema"`  // JSON Schema, draft 2020-12, references inside only
	Example json.RawMessage `json:"example"` // a valid payload
	Line    string          `json:"line"`    // see Line; "" for the payload's message
}

// Check reports the first mistake in s itself: in its names, its schema, its line,
// or an example that its own schema refuses. The error is Invalid.
func (s Schema) Check() error {
	_, err := s.checked()
	return err
}

// checked is Check, and returns the compiled validator.
func (s Schema) checked() (Validator, error) {
	v, err := Compile(s)
	if err != nil {
		return nil, err
	}
	if err := checkLine(s.Line); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "schema %s: line", s.Type)
	}
	if len(s.Example) == 0 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "schema %s has no example", s.Type),
			"add one valid payload under \"example\"")
	}
	if bad := v.Validate(s.Example); bad != nil {
		return nil, fault.WithHint(fault.Wrap(fault.Invalid, bad, "schema %s: its example is not valid", s.Type),
			"change the example or the schema until they agree")
	}
	return v, nil
}

// head checks what can be checked without looking at the schema.
func (s Schema) head() error {
	if err := event.CheckType(s.Type); err != nil {
		return err
	}
	switch s.Kind {
	case event.KindEvent, event.KindState, event.KindMetric:
	default:
		return fault.WithHint(fault.New(fault.Invalid, "schema %s is of kind %q", s.Type, string(s.Kind)),
			"kind is event, state or metric")
	}
	if s.Version < 0 {
		return fault.New(fault.Invalid, "schema %s has the version %d", s.Type, s.Version)
	}
	if len(s.Schema) == 0 {
		return fault.WithHint(fault.New(fault.Invalid, "type %s has no schema", s.Type),
			"add a JSON Schema under \"schema\"")
	}
	if len(s.Schema) > MaxSchema {
		return fault.WithHint(fault.New(fault.Invalid, "schema %s has %d bytes, at most %d are allowed", s.Type, len(s.Schema), MaxSchema),
			"move repeated parts into $defs, or split the type")
	}
	return nil
}

// Validator says whether payloads obey a schema. It is safe for concurrent use.
// nil means valid.
type Validator interface {
	Validate(payload []byte) *Violation
}

// Compile makes the validator of s: the streaming one when it covers every
// keyword, the library otherwise. It looks at type, kind and schema, not at
// example and line. The error is Invalid.
func Compile(s Schema) (Validator, error) {
	if err := s.head(); err != nil {
		return nil, err
	}
	judge, err := compileLibrary(s)
	if err != nil {
		return nil, err
	}
	fast, err := compileStreaming(s.Schema)
	if err == nil {
		return fast, nil
	}
	if err := affordable(s); err != nil {
		return nil, err
	}
	return judge, nil
}

// Streaming reports whether v is the streaming validator.
func Streaming(v Validator) bool {
	_, ok := v.(*streaming)
	return ok
}

// wellFormed checks the rules that hold for every payload, under any schema.
func wellFormed(payload []byte) *Violation {
	s := scanner{b: payload}
	if bad := s.value(anything); bad != nil {
		return bad
	}
	return s.ends()
}

// invalid is an Invalid error about a place in the schema of t.
func invalid(t event.Type, at, format string, args ...any) *fault.Error {
	if at == "" {
		at = "its root"
	} else {
		at = strconv.Quote(at)
	}
	return fault.New(fault.Invalid, "schema %s at %s: %s", string(t), at, fmt.Sprintf(format, args...))
}
