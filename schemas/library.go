package schemas

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"midplane/event"
	"midplane/fault"
)

// library validates with the complete library, which decides what is valid.
type library struct{ schema *jsonschema.Schema }

// Validate implements Validator. The library decodes into maps, where of a doubled
// key only the last is left, so the rules for every payload are checked before.
func (l *library) Validate(payload []byte) (bad *Violation) {
	if bad := wellFormed(payload); bad != nil {
		return bad
	}
	// A payload must not stop the node, even if the library panics on it.
	defer func() {
		if r := recover(); r != nil {
			bad = &Violation{Rule: "schema", Message: "cannot be validated"}
		}
	}()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(payload))
	if err != nil {
		return &Violation{Rule: RuleJSON, Message: "malformed JSON"}
	}
	return firstViolation(l.schema.Validate(doc))
}

// location is the base of references inside a schema. Nothing is loaded from it.
const location = "schema://midplane/root"

type noLoader struct{}

// Load refuses everything: a schema refers to nothing outside itself, and the
// library must read no file and no network.
func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is outside the schema", url)
}

func compileLibrary(s Schema) (v *library, err error) {
	if bad := wellFormed(s.Schema); bad != nil {
		return nil, fault.WithHint(fault.Wrap(fault.Invalid, bad, "schema %s is not proper JSON", s.Type),
			"the schema is one JSON object without doubled keys")
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(s.Schema))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "schema %s", s.Type)
	}
	if err := checkDocument(s.Type, doc); err != nil {
		return nil, err
	}
	defer func() {
		if r := recover(); r != nil {
			v, err = nil, fault.New(fault.Invalid, "schema %s cannot be compiled: %v", s.Type, r)
		}
	}()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(noLoader{})
	c.RegisterFormat(dateTimeFormat)
	c.AssertFormat()
	if err := c.AddResource(location, doc); err != nil {
		return nil, compileError(s.Type, err)
	}
	compiled, err := c.Compile(location)
	if err != nil {
		return nil, compileError(s.Type, err)
	}
	return &library{schema: compiled}, nil
}

// compileError returns the library's error in one line and without the URL that we
// gave the schema. When the document is no valid schema it returns the innermost
// cause, since the metaschema is deeply nested.
func compileError(t event.Type, err error) error {
	var meta *jsonschema.SchemaValidationError
	var found *jsonschema.ValidationError
	if errors.As(err, &meta) && errors.As(meta.Err, &found) {
		for len(found.Causes) > 0 {
			found = found.Causes[0]
		}
		err = found
	}
	text := strings.ReplaceAll(strings.Join(strings.Fields(err.Error()), " "), location, "")
	return fault.WithHint(fault.New(fault.Invalid, "schema %s does not compile: %s", t, shorten(text)),
		"it must be valid JSON Schema, draft 2020-12; patterns are RE2")
}
