package tenants_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/event"
	"midplane/schemas"
	"midplane/tenants"
)

// again writes a spec as YAML and loads that.
func again(t *testing.T, s *tenants.Spec) *tenants.Spec {
	t.Helper()
	text, err := s.YAML()
	if err != nil {
		t.Fatal(err)
	}
	list, err := tenants.LoadReader(strings.NewReader(string(text)), "yaml", options)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if steps := tenants.Plan(s, list[0].Spec); len(steps) > 0 {
		t.Errorf("%v\n%s", steps, text)
	}
	return list[0].Spec
}

// A spec written as YAML is the same spec when it is loaded.
func TestSpecAsYAML(t *testing.T) {
	files, err := filepath.Glob("testdata/valid*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "example/acme.yaml", "example/globex.yaml") {
		l, err := tenants.LoadFile(file, options)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(l.Spec.Sites, again(t, l.Spec).Sites); d != "" {
			t.Errorf("%s: %s", file, d)
		}
	}
}

// A text of any form is the same text afterwards.
func TestTextsAsYAML(t *testing.T) {
	for _, text := range []string{"yes", "1.10", "0x1", "~", "null", "true", "2c", "2026-01-01", "- a", "a: b", "# no", "'", "\"", "a\\b", "*x", "&x", "!x", "{", "[", "%x", "@x", "`x", "|", ">", "länger", " x", "x ", "1e3", "12:30:45", "=", "<<", "?"} {
		s, err := tenants.ParseJSON([]byte(`{"apiVersion":"midplane/v1","kind":"Tenant","id":"acme"}`))
		if err != nil {
			t.Fatal(err)
		}
		s.Name, s.Contact = text, text
		s.Sites = []tenants.Site{{ID: "syd", Name: text, Pollers: []tenants.Poller{{ID: "p"}}, Devices: []tenants.Device{{ID: event.Entity("r" + strings.TrimSpace(text)), Name: text, Address: "192.0.2.1",
			Checks: []tenants.Check{{Name: "web", Collector: "http", Interval: api.Duration(30e9), Timeout: api.Duration(5e9), Params: map[string]string{"url": "http://x/", "contains": text}}}}}}}
		if s.Validate(options) != nil {
			continue // not a text that a spec can have
		}
		if d := cmp.Diff(s, again(t, s)); d != "" {
			t.Errorf("%q: %s", text, d)
		}
	}
}

// A schema keeps its text: the order of its fields, its numbers, its escapes.
func TestSchemasAsYAML(t *testing.T) {
	s, err := tenants.ParseJSON([]byte(`{"apiVersion":"midplane/v1","kind":"Tenant","id":"acme"}`))
	if err != nil {
		t.Fatal(err)
	}
	const text = `{"type":"object","title":"a \"b\" \u00e9: #","properties":{"b":{"type":"number","maximum":1.50},"a":{"type":"string","pattern":"^[a-z]+: \\d$"}},"additionalProperties":false}`
	s.Schemas = []schemas.Schema{{Type: "acme.door.v1", Kind: "event", Version: 2, Schema: []byte(text), Example: []byte(`{"b":1.50,"a":"x: 1"}`), Line: "{a}: # {b}"}}
	got := again(t, s).Schemas[0]
	if string(got.Schema) != text || got.Line != s.Schemas[0].Line || got.Version != 2 {
		t.Errorf("%+v\n%s", got, got.Schema)
	}
}

// A schema may stand in the tenant's file, as fields or as text.
func TestInlineSchema(t *testing.T) {
	const entry = head + "id: acme\nschemas:\n  - {type: acme.x.v1, kind: event, example: {a: 1}, schema: "
	for _, good := range []string{`{type: object, properties: {a: {type: integer}}}`, `'{"type":"object","properties":{"a":{"type":"integer"}}}'`} {
		if _, err := tenants.LoadReader(strings.NewReader(entry+good+"}\n"), "in", options); err != nil {
			t.Error(err)
		}
	}
	for bad, want := range map[string]string{"'{'": "in:5:61: the schema is not JSON", "{type: object}, file: x.json": "both file and schema are given"} {
		if _, err := tenants.LoadReader(strings.NewReader(entry+bad+"}\n"), "in", options); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
