package catalog

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"midplane/event"
	"midplane/schemas"
)

// TestShipped: nothing that we ship can make Schemas or Set panic, and every
// type streams.
func TestShipped(t *testing.T) {
	if _, err := load(); err != nil {
		t.Fatal(err)
	}
	if _, err := schemas.NewSet(Schemas()); err != nil {
		t.Fatal(err)
	}
	for _, s := range Schemas() {
		if err := s.Check(); err != nil {
			t.Error(err)
		}
		entry, ok := Set().Lookup(s.Type)
		if !ok || !schemas.Streaming(entry.Validator) {
			t.Errorf("%s does not stream", s.Type)
		}
		if s.Version < 1 || s.Line == "" {
			t.Errorf("%s: version %d, line %q", s.Type, s.Version, s.Line)
		}
		if line := schemas.Line(s, s.Example); line == string(s.Type) || strings.HasSuffix(line, " ") {
			t.Errorf("%s: its example is shown as %q", s.Type, line)
		}
	}
}

// declaredTypes reads the Type constants from the source of package event, so
// that a new one cannot be forgotten here.
func declaredTypes(t *testing.T) map[event.Type]bool {
	file, err := parser.ParseFile(token.NewFileSet(), "../../event/payload.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	types := map[event.Type]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != "Type" {
			return true
		}
		for _, v := range spec.Values {
			text, err := strconv.Unquote(v.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			types[event.Type(text)] = true
		}
		return true
	})
	return types
}

func TestEveryType(t *testing.T) {
	declared := declaredTypes(t)
	if len(declared) < 19 {
		t.Fatalf("found only %d types in package event", len(declared))
	}
	for typ := range declared {
		if _, ok := Set().Lookup(typ); !ok {
			t.Errorf("%s has no schema", typ)
		}
		if _, ok := payloads[typ]; !ok {
			t.Errorf("%s has no payloads in this test", typ)
		}
	}
	for _, s := range Schemas() {
		if !declared[s.Type] {
			t.Errorf("%s is no type of package event", s.Type)
		}
	}
	for _, k := range []event.Kind{event.KindEvent, event.KindState, event.KindMetric} {
		if entry, _ := Set().Lookup(event.LedgerType(k)); entry.Schema.Kind != k {
			t.Errorf("the ledger of %s is of kind %s", k, entry.Schema.Kind)
		}
	}
}

// TestStrict: every object is closed, every property says what it means, every
// string, list and number has a limit.
func TestStrict(t *testing.T) {
	for _, s := range Schemas() {
		var doc map[string]any
		if err := json.Unmarshal(s.Schema, &doc); err != nil {
			t.Fatal(err)
		}
		strict(t, string(s.Type), doc)
	}
}

func strict(t *testing.T, at string, schema map[string]any) {
	t.Helper()
	has := func(keys ...string) bool {
		for _, key := range keys {
			if _, ok := schema[key]; ok {
				return true
			}
		}
		return false
	}
	if _, ok := schema["$ref"]; !ok && !has("description") {
		t.Errorf("%s has no description", at)
	}
	switch schema["type"] {
	case "object":
		if schema["additionalProperties"] != false || !has("required") {
			t.Errorf("%s is an open object", at)
		}
	case "string":
		if !has("maxLength", "enum", "const", "format") {
			t.Errorf("%s is a string without a limit", at)
		}
	case "array":
		if !has("maxItems") || !has("items") {
			t.Errorf("%s is a list without a limit", at)
		}
	case "integer", "number":
		if !has("minimum") || !has("maximum") {
			t.Errorf("%s is a number without limits", at)
		}
	case "boolean":
	default:
		if !has("$ref") {
			t.Errorf("%s is of type %v", at, schema["type"])
		}
	}
	for _, key := range []string{"properties", "$defs"} {
		named, _ := schema[key].(map[string]any)
		for name, sub := range named {
			strict(t, at+"/"+name, sub.(map[string]any))
		}
	}
	if items, ok := schema["items"].(map[string]any); ok {
		strict(t, at+"[]", items)
	}
}

// TestMetricsAreFlat: the series of a metric are its numeric top-level fields.
func TestMetricsAreFlat(t *testing.T) {
	for _, s := range Schemas() {
		if s.Kind != event.KindMetric || s.Type == event.TypeLedgerMetric || s.Type == event.TypeCountersList { // the list is folded as TypeCounters
			continue
		}
		var doc struct {
			Properties map[string]struct{ Type string }
		}
		if err := json.Unmarshal(s.Schema, &doc); err != nil {
			t.Fatal(err)
		}
		for name, p := range doc.Properties {
			if p.Type != "number" && p.Type != "integer" {
				t.Errorf("%s: %s is of type %s", s.Type, name, p.Type)
			}
		}
	}
}

func TestMarkdown(t *testing.T) {
	text := Markdown()
	for _, s := range Schemas() {
		var doc struct {
			Properties map[string]struct{ Description string }
		}
		if err := json.Unmarshal(s.Schema, &doc); err != nil {
			t.Fatal(err)
		}
		_, section, found := strings.Cut(text, "\n## "+string(s.Type)+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		if !found || !strings.Contains(section, "Kind: "+string(s.Kind)+".") || !strings.Contains(section, schemas.Line(s, s.Example)) {
			t.Errorf("%s is not described", s.Type)
		}
		for name, p := range doc.Properties {
			if !strings.Contains(section, "| `"+name+"` | ") || !strings.Contains(section, p.Description) {
				t.Errorf("%s: %s is not described", s.Type, name)
			}
		}
	}
	for _, nested := range []string{"`components[].class`", "`tombstones[].reason`", "at most 18446744073709551615"} {
		if !strings.Contains(text, nested) {
			t.Errorf("%s is missing", nested)
		}
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "| `") && strings.Count(line, "|")-strings.Count(line, `\|`) != 6 {
			t.Errorf("broken row: %s", line)
		}
	}
}
