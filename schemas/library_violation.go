package schemas

import (
	"errors"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// firstViolation picks one of the violations that the library found: the first by
// field and rule, since the library walks over maps in no fixed order.
func firstViolation(err error) *Violation {
	if err == nil {
		return nil
	}
	var found *jsonschema.ValidationError
	if !errors.As(err, &found) {
		return &Violation{Rule: "schema", Message: "cannot be validated"}
	}
	all := violations(found, nil)
	return slices.MinFunc(all, func(a, b *Violation) int {
		if c := strings.Compare(a.Field, b.Field); c != 0 {
			return c
		}
		return strings.Compare(a.Rule, b.Rule)
	})
}

// violations lists every single violation. Errors below anyOf, oneOf and the like
// are not wrong by themselves, so it does not descend into them.
func violations(e *jsonschema.ValidationError, into []*Violation) []*Violation {
	switch k := e.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.Reference, *kind.AllOf:
		for _, cause := range e.Causes {
			into = violations(cause, into)
		}
		if len(e.Causes) > 0 {
			return into
		}
		into = append(into, &Violation{Rule: "schema", Message: "is not valid"})
	case *kind.Required:
		for _, name := range k.Missing {
			into = append(into, at(e, missing(name)))
		}
	case *kind.AdditionalProperties:
		for _, name := range k.Properties {
			into = append(into, at(e, unknown(name)))
		}
	default:
		into = append(into, at(e, single(k)))
	}
	return into
}

// at puts v below the place of e.
func at(e *jsonschema.ValidationError, v *Violation) *Violation {
	for _, key := range slices.Backward(e.InstanceLocation) {
		v = v.under(key)
	}
	return v
}

// single words one kind of error as the streaming validator words it.
func single(k jsonschema.ErrorKind) *Violation {
	switch k := k.(type) {
	case *kind.FalseSchema:
		return falseSchema()
	case *kind.Type:
		return wrongType(k.Got, strings.Join(k.Want, " or "))
	case *kind.Enum:
		return notAllowed("enum", choiceText(texts(k.Want)))
	case *kind.Const:
		return notAllowed("const", choiceText(texts([]any{k.Want})))
	case *kind.Format:
		return mismatch("format", k.Want)
	case *kind.Pattern:
		return mismatch("pattern", k.Want)
	case *kind.MinLength:
		return outside("minLength", strconv.Itoa(k.Want))
	case *kind.MaxLength:
		return outside("maxLength", strconv.Itoa(k.Want))
	case *kind.MinItems:
		return outside("minItems", strconv.Itoa(k.Want))
	case *kind.MaxItems:
		return outside("maxItems", strconv.Itoa(k.Want))
	case *kind.MinProperties:
		return outside("minProperties", strconv.Itoa(k.Want))
	case *kind.MaxProperties:
		return outside("maxProperties", strconv.Itoa(k.Want))
	case *kind.Minimum:
		return outside("minimum", ratText(k.Want))
	case *kind.Maximum:
		return outside("maximum", ratText(k.Want))
	case *kind.ExclusiveMinimum:
		return outside("exclusiveMinimum", ratText(k.Want))
	case *kind.ExclusiveMaximum:
		return outside("exclusiveMaximum", ratText(k.Want))
	case *kind.Not:
		return &Violation{Rule: "not", Message: "is what the schema rules out"}
	}
	rule := "schema"
	if path := k.KeywordPath(); len(path) > 0 {
		rule = path[0]
	}
	return &Violation{Rule: rule, Message: "does not satisfy " + rule}
}

func ratText(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	f, _ := r.Float64()
	return strconv.FormatFloat(f, 'g', -1, 64)
}
