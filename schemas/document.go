package schemas

import (
	"encoding/json"
	"math/big"
	"strconv"
	"strings"

	"midplane/event"
	"midplane/fault"
)

// Keywords that hold subschemas.
var (
	oneSubschema  = []string{"items", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else", "unevaluatedItems", "unevaluatedProperties"}
	listSubschema = []string{"allOf", "anyOf", "oneOf", "prefixItems"}
	mapSubschema  = []string{"properties", "patternProperties", "dependentSchemas"}
	defSubschema  = []string{"$defs", "definitions"} // apply only where a reference names them
)

// below calls f for every subschema directly below schema that applies by
// itself, or, with defs, for the definitions too.
func below(schema map[string]any, defs bool, f func(at string, sub any)) {
	for _, key := range oneSubschema {
		if sub, ok := schema[key]; ok {
			f("/"+key, sub)
		}
	}
	for _, key := range listSubschema {
		list, _ := schema[key].([]any)
		for i, sub := range list {
			f("/"+key+"/"+strconv.Itoa(i), sub)
		}
	}
	keys := mapSubschema
	if defs {
		keys = append(keys[:len(keys):len(keys)], defSubschema...)
	}
	for _, key := range keys {
		named, _ := schema[key].(map[string]any)
		for _, name := range sortedKeys(named) {
			f("/"+key+"/"+token(name), named[name])
		}
	}
}

// checkDocument refuses schemas that would compile but must not be in the
// registry: those that refer to something outside themselves, or that say nothing
// about payloads.
func checkDocument(t event.Type, doc any) error {
	root, ok := doc.(map[string]any)
	if !ok {
		return fault.WithHint(fault.New(fault.Invalid, "schema %s is not a JSON object", t),
			"begin with {\"type\": \"object\", …}")
	}
	if draft, ok := root["$schema"]; ok && draft != Draft && draft != Draft+"#" {
		return fault.WithHint(invalid(t, "/$schema", "the dialect is not draft 2020-12"), "leave $schema out, or write %s", Draft)
	}
	return checkSubschema(t, "", root)
}

func checkSubschema(t event.Type, at string, v any) error {
	schema, ok := v.(map[string]any)
	if !ok {
		return nil // true, false, or a value that the metaschema will refuse
	}
	if ref, ok := schema["$ref"].(string); ok && !strings.HasPrefix(ref, "#") {
		return fault.WithHint(invalid(t, at+"/$ref", "it refers to something outside the schema"),
			"references are like #/$defs/name; copy what you need under $defs")
	}
	for _, key := range []string{"$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary"} {
		if _, ok := schema[key]; ok {
			return fault.WithHint(invalid(t, at+"/"+key, "the keyword is not supported"), "use $ref and $defs")
		}
	}
	if _, ok := schema["$id"]; ok && at != "" {
		return fault.WithHint(invalid(t, at+"/$id", "only the root may have an $id"), "refer to it by #/$defs/name")
	}
	if err := checkCounts(t, at, schema); err != nil {
		return err
	}
	var err error
	below(schema, true, func(sub string, v any) {
		if err == nil {
			err = checkSubschema(t, at+sub, v)
		}
	})
	return err
}

// checkCounts refuses huge counts, of which the library silently takes the low bits.
func checkCounts(t event.Type, at string, schema map[string]any) error {
	for _, key := range []string{"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains"} {
		n, ok := schema[key].(json.Number)
		if !ok {
			continue
		}
		r, ok := new(big.Rat).SetString(n.String())
		if !ok || r.Cmp(big.NewRat(maxCount, 1)) > 0 {
			return fault.WithHint(invalid(t, at+"/"+key, "the count is too large"), "at most %d; leave the keyword out for no limit", int64(maxCount))
		}
	}
	return nil
}
