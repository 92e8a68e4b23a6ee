package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"midplane/schemas"
)

// Markdown renders the reference of Midplane's own types: a table of them, and
// for each its fields with units and limits, and its example.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| type | kind | what it says |\n|---|---|---|\n")
	for _, s := range Schemas() {
		p := read(s.Schema)
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s |\n", s.Type, anchor(string(s.Type)), s.Kind, cell(p.Description))
	}
	for _, s := range Schemas() {
		b.WriteString(section(s))
	}
	return b.String()
}

func section(s schemas.Schema) string {
	var b strings.Builder
	p := read(s.Schema)
	fmt.Fprintf(&b, "\n## %s\n\n%s Kind: %s. Version: %d.\n\n", s.Type, p.Description, s.Kind, s.Version)
	b.WriteString("| field | type | required | meaning and unit | limits |\n|---|---|---|---|---|\n")
	p.rows(&b, "", p.Defs)
	var example bytes.Buffer
	if json.Indent(&example, s.Example, "", "  ") != nil {
		example.Write(s.Example)
	}
	fmt.Fprintf(&b, "\nExample, shown as “%s”:\n\n```json\n%s\n```\n", schemas.Line(s, s.Example), example.String())
	return b.String()
}

// part holds the parts of a subschema that the reference shows.
type part struct {
	Type        string            `json:"type"`
	Ref         string            `json:"$ref"`
	Description string            `json:"description"`
	Required    []string          `json:"required"`
	Properties  json.RawMessage   `json:"properties"`
	Items       json.RawMessage   `json:"items"`
	Defs        map[string]part   `json:"$defs"`
	Enum        []json.RawMessage `json:"enum"`
	Const       json.RawMessage   `json:"const"`
	Format      string            `json:"format"`
	Pattern     string            `json:"pattern"`
	Minimum     json.Number       `json:"minimum"`
	Maximum     json.Number       `json:"maximum"`
	MinLength   json.Number       `json:"minLength"`
	MaxLength   json.Number       `json:"maxLength"`
	MaxItems    json.Number       `json:"maxItems"`
}

// read decodes a schema of ours. Parts that it cannot decode are empty, and a test
// fails on them.
func read(raw json.RawMessage) part {
	var p part
	if json.Unmarshal(raw, &p) != nil {
		return part{}
	}
	return p
}

// rows writes one line for each property, in the order of the file, and below it
// those of objects inside arrays.
func (p part) rows(b *strings.Builder, prefix string, defs map[string]part) {
	d := json.NewDecoder(bytes.NewReader(p.Properties))
	if _, err := d.Token(); err != nil {
		return
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return
		}
		var raw json.RawMessage
		if d.Decode(&raw) != nil {
			return
		}
		name, field := fmt.Sprint(key), read(raw)
		required := ""
		if slices.Contains(p.Required, name) {
			required = "yes"
		}
		fmt.Fprintf(b, "| `%s%s` | %s | %s | %s | %s |\n", prefix, name, field.Type, required, cell(field.Description), cell(field.limits()))
		if field.Items != nil {
			item := read(field.Items)
			if def, ok := defs[strings.TrimPrefix(item.Ref, "#/$defs/")]; ok {
				item = def
			}
			item.rows(b, prefix+name+"[].", defs)
		}
	}
}

func (p part) limits() string {
	var all []string
	if p.Const != nil {
		all = append(all, "`"+string(p.Const)+"`")
	}
	for _, v := range p.Enum {
		all = append(all, "`"+string(v)+"`")
	}
	for _, limit := range []struct {
		text  string
		value json.Number
	}{
		{"at least %s", p.Minimum}, {"at most %s", p.Maximum},
		{"at least %s characters", p.MinLength}, {"at most %s characters", p.MaxLength}, {"at most %s items", p.MaxItems},
	} {
		if limit.value != "" {
			all = append(all, fmt.Sprintf(limit.text, limit.value))
		}
	}
	if p.Format != "" {
		all = append(all, p.Format)
	}
	if p.Pattern != "" {
		all = append(all, "`"+p.Pattern+"`")
	}
	return strings.Join(all, ", ")
}

// cell escapes a text so that it stays inside its cell of the table.
func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

// anchor returns the name that Markdown renderers give to the heading s.
func anchor(s string) string { return strings.ReplaceAll(s, ".", "") }
