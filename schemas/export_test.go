package schemas

import (
	"bytes"
	"errors"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Judge is the library's validator of s, whether s streams or not.
func Judge(s Schema) (Validator, error) { return compileLibrary(s) }

// Fast is the streaming validator of s, or why it needs the library.
func Fast(s Schema) (Validator, error) { return compileStreaming(s.Schema) }

// Uncovered reports whether err only means that the library is needed.
func Uncovered(err error) bool {
	var u uncovered
	return errors.As(err, &u)
}

// WellFormed is what both validators ask of every payload.
var WellFormed = wellFormed

// All lists everything that the library finds wrong with a well formed payload.
func All(judge Validator, payload []byte) []*Violation {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(payload))
	if err != nil {
		return nil
	}
	var found *jsonschema.ValidationError
	if !errors.As(judge.(*library).schema.Validate(doc), &found) {
		return nil
	}
	return violations(found, nil)
}

// compileNativeFormat is the library's own idea of date-time.
func compileNativeFormat() (*jsonschema.Schema, error) {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(location, map[string]any{"format": "date-time"}); err != nil {
		return nil, err
	}
	return c.Compile(location)
}
