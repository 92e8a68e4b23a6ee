package tenants

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/goccy/go-yaml"

	"midplane/fault"
	"midplane/schemas"
)

// YAML returns the spec as a tenant's file: loading it gives the same spec.
// Defaults are written out, and schemas stand in the file itself, as the text of
// their JSON.
func (s *Spec) YAML() ([]byte, error) {
	type inline struct {
		Type    string          `json:"type"`
		Kind    string          `json:"kind"`
		Version int             `json:"version"`
		Line    string          `json:"line,omitempty"`
		Schema  string          `json:"schema"`
		Example json.RawMessage `json:"example,omitempty"`
	}
	doc := struct {
		*Spec
		Schemas []inline `json:"schemas,omitempty"`
	}{Spec: s}
	for _, sc := range s.Schemas {
		var text bytes.Buffer
		if err := json.Indent(&text, sc.Schema, "", "  "); err != nil {
			return nil, fault.Wrap(fault.Other, err, "schema %s of tenant %s", sc.Type, s.ID)
		}
		doc.Schemas = append(doc.Schemas, inline{string(sc.Type), string(sc.Kind), sc.Version, sc.Line, text.String(), sc.Example})
	}
	data, err := json.Marshal(doc)
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "encode tenant %s", s.ID)
	}
	var tree yaml.MapSlice // keeps the order of the fields
	if err := yaml.UnmarshalWithOptions(data, &tree, yaml.UseOrderedMap()); err != nil {
		return nil, fault.Wrap(fault.Other, err, "write tenant %s as YAML", s.ID)
	}
	out, err := yaml.MarshalWithOptions(tree, yaml.UseLiteralStyleIfMultiline(true), yaml.IndentSequence(true))
	return out, fault.Wrap(fault.Other, err, "write tenant %s as YAML", s.ID)
}

// sameJSON reports whether two texts of JSON mean the same, in any order of their
// fields and any form of their numbers.
func sameJSON(a, b json.RawMessage) bool {
	return bytes.Equal(a, b) || bytes.Equal(ordered(a), ordered(b))
}

func ordered(raw json.RawMessage) []byte {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return raw
	}
	out, err := json.Marshal(numbers(v))
	if err != nil {
		return raw
	}
	return out
}

// numbers gives fractions one form: 1.50 and 15e-1 are 1.5.
func numbers(v any) any {
	switch x := v.(type) {
	case json.Number:
		if f, err := x.Float64(); err == nil && strings.ContainsAny(x.String(), ".eE") {
			return f
		}
	case []any:
		for i := range x {
			x[i] = numbers(x[i])
		}
	case map[string]any:
		for k := range x {
			x[k] = numbers(x[k])
		}
	}
	return v
}

func changedSchema(h, w schemas.Schema) string {
	var d diff
	d.value("kind", h.Kind, w.Kind)
	d.value("version", h.Version, w.Version)
	d.value("line", h.Line, w.Line)
	if !sameJSON(h.Schema, w.Schema) {
		d = append(d, "schema")
	}
	if !sameJSON(h.Example, w.Example) {
		d = append(d, "example")
	}
	return d.String()
}
