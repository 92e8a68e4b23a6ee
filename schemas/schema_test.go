package schemas_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"midplane/fault"
	"midplane/schemas"
)

func TestWhatStreams(t *testing.T) {
	for _, c := range subset {
		v, err := schemas.Compile(testSchema(c.schema, c.example))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !schemas.Streaming(v) {
			_, err := schemas.Fast(testSchema(c.schema, c.example))
			t.Errorf("%s does not stream: %v", c.name, err)
		}
	}
	for _, c := range fallback {
		s := testSchema(c.schema, c.example)
		if err := s.Check(); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if _, err := schemas.Fast(s); !schemas.Uncovered(err) {
			t.Errorf("%s should need the library: %v", c.name, err)
		}
	}
}

func TestManyProperties(t *testing.T) {
	object := func(n int) (string, string) {
		var schema, example []string
		for i := range n {
			schema = append(schema, fmt.Sprintf(`"p%d":{"type":"integer"}`, i))
			example = append(example, fmt.Sprintf(`"p%d":%d`, n-1-i, i))
		}
		return `{"required":["p` + fmt.Sprint(n-1) + `"],"additionalProperties":false,"properties":{` + strings.Join(schema, ",") + `}}`,
			`{` + strings.Join(example, ",") + `}`
	}
	for n, streams := range map[int]bool{2: true, 64: true, 65: true, 256: true, 257: false} {
		schema, example := object(n)
		s := testSchema(schema, example)
		v, err := schemas.Compile(s)
		if err != nil {
			t.Fatal(err)
		}
		if schemas.Streaming(v) != streams {
			t.Errorf("%d properties: streaming is %v", n, !streams)
		}
		if bad := v.Validate([]byte(example)); bad != nil {
			t.Errorf("%d properties: %v", n, bad)
		}
		last := fmt.Sprintf(`"p%d":0`, n-1)
		if bad := v.Validate([]byte(strings.Replace(example, last, `"p0":1`, 1))); bad == nil {
			t.Errorf("%d properties: the last one missing or the first one doubled passed", n)
		}
		for _, broken := range []string{strings.Replace(example, last+",", "", 1), strings.Replace(example, "}", `,"q":1}`, 1)} {
			if v.Validate([]byte(broken)) == nil {
				t.Errorf("%d properties: %.40s passed", n, broken)
			}
		}
	}
}

// TestCheckRefuses: every refusal is Invalid, names the type, and what is
// wrong is in the message or the hint.
func TestCheckRefuses(t *testing.T) {
	good := testSchema(`{"type":"object"}`, `{}`)
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	with := func(change func(*schemas.Schema)) schemas.Schema {
		s := good
		change(&s)
		return s
	}
	schema := func(text string) schemas.Schema {
		return with(func(s *schemas.Schema) { s.Schema = json.RawMessage(text) })
	}
	for _, tc := range []struct {
		name string
		s    schemas.Schema
		want string
	}{
		{"type", with(func(s *schemas.Schema) { s.Type = "Test" }), "not well formed"},
		{"kind", with(func(s *schemas.Schema) { s.Kind = "dead" }), "kind is event, state or metric"},
		{"version", with(func(s *schemas.Schema) { s.Version = -1 }), "version"},
		{"no schema", with(func(s *schemas.Schema) { s.Schema = nil }), "has no schema"},
		{"no example", with(func(s *schemas.Schema) { s.Example = nil }), "has no example"},
		{"bad example", with(func(s *schemas.Schema) { s.Example = json.RawMessage(`[]`) }), "example is not valid"},
		{"doubled key in the example", with(func(s *schemas.Schema) { s.Example = json.RawMessage(`{"a":1,"a":1}`) }), "duplicate"},
		{"line", with(func(s *schemas.Schema) { s.Line = "{device" }), "{ without }"},
		{"too large", schema(`{"description":"` + strings.Repeat("x", schemas.MaxSchema) + `"}`), "at most 65536"},
		{"not JSON", schema(`{"type":`), "not proper JSON"},
		{"doubled key", schema(`{"type":"object","type":"array"}`), "/type"},
		{"not an object", schema(`true`), "not a JSON object"},
		{"wrong type name", schema(`{"properties":{"a":{"type":"strnig"}}}`), "/properties/a/type"},
		{"bad pattern", schema(`{"pattern":"(?=x)"}`), "RE2"},
		{"other draft", schema(`{"$schema":"http://json-schema.org/draft-07/schema#"}`), "2020-12"},
		{"remote reference", schema(`{"$ref":"https://example.net/schema.json"}`), "outside the schema"},
		{"file reference", schema(`{"$ref":"file:///etc/passwd"}`), "outside the schema"},
		{"relative reference", schema(`{"properties":{"a":{"$ref":"other.json#/x"}}}`), "outside the schema"},
		{"metaschema", schema(`{"$ref":"https://json-schema.org/draft/2020-12/schema"}`), "outside the schema"},
		{"hidden reference", schema(`{"$ref":"#/x-hidden","x-hidden":{"$ref":"file:///etc/passwd"}}`), "outside"},
		{"dangling reference", schema(`{"$ref":"#/$defs/none"}`), "none"},
		{"dynamic reference", schema(`{"$dynamicRef":"#meta"}`), "not supported"},
		{"inner id", schema(`{"properties":{"a":{"$id":"https://example.net/a"}}}`), "only the root"},
		{"huge count", schema(`{"maxLength":18446744073709551617}`), "too large"},
		{"huge number", schema(`{"multipleOf":1e99999999}`), "exponent"},
		{"circle", schema(`{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"properties":{"x":{"$ref":"#/$defs/a"}}}`), "refers to itself"},
		{"circle through the root", schema(`{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#"}}}`), "refers to itself"},
		{"costly recursion", schema(`{"oneOf":[{"properties":{"a":{"$ref":"#"}}},{"properties":{"a":{"$ref":"#"}},"type":"null"}]}`), "refers to itself"},
		{"doubling", schema(doubling(40)), "references expanded"},
	} {
		err := tc.s.Check()
		if err == nil {
			t.Errorf("%s: accepted", tc.name)
			continue
		}
		text := err.Error() + " " + fault.HintOf(err)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(text, tc.want) || strings.Contains(text, "\n") || strings.Contains(text, "schema://") {
			t.Errorf("%s: %s %q, want Invalid with %q", tc.name, fault.KindOf(err), text, tc.want)
		}
		if fault.HintOf(err) == "" && tc.name != "version" {
			t.Errorf("%s: no hint in %q", tc.name, err)
		}
	}
}

// doubling is a small schema that the library would try 2^n ways.
func doubling(n int) string {
	var defs []string
	for i := range n {
		defs = append(defs, fmt.Sprintf(`"d%d":{"allOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]}`, i, i+1, i+1))
	}
	return `{"$ref":"#/$defs/d0","$defs":{"d` + fmt.Sprint(n) + `":{"type":"object"},` + strings.Join(defs, ",") + `}}`
}

func TestViolations(t *testing.T) {
	s := testSchema(`{"type":"object","required":["status"],"additionalProperties":false,"properties":{
		"status":{"enum":["up","down"]},"n":{"type":"integer","minimum":0},"at":{"format":"date-time"},"list":{"items":{"maxLength":2}}}}`, `{"status":"up"}`)
	fast, err := schemas.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	judge, err := schemas.Judge(s)
	if err != nil {
		t.Fatal(err)
	}
	for payload, want := range map[string]string{
		`{"status":"sideways"}`:              `/status: must be "up" or "down" (enum)`,
		`{}`:                                 `/status: is missing (required)`,
		`{"status":"up","colour":"red"}`:     `/colour: is not a known property (additionalProperties)`,
		`{"status":"up","n":-1}`:             `/n: is outside minimum 0 (minimum)`,
		`{"status":"up","n":"secret"}`:       `/n: is of type string, want integer (type)`,
		`{"status":"up","at":"secret"}`:      `/at: does not match format date-time (format)`,
		`{"status":"up","list":["a","abc"]}`: `/list/1: is outside maxLength 2 (maxLength)`,
		`[]`:                                 `the payload: is of type array, want object (type)`,
		`{"status":"up","status":"down"}`:    `/status: stands twice in one object (duplicate)`,
		`{"status":"up",}`:                   `the payload: malformed JSON at byte 15: expected a key in quotes (json)`,
		`{"status":"up","a\u001b[31m\n":1}`:  `/a` + "\ufffd" + `[31m` + "\ufffd" + `: is not a known property (additionalProperties)`,
	} {
		for name, v := range map[string]schemas.Validator{"streaming": fast, "library": judge} {
			if bad := v.Validate([]byte(payload)); bad == nil || bad.Error() != want {
				t.Errorf("%s on %s:\n got %v\nwant %s", name, payload, bad, want)
			}
		}
	}
	if bad := fast.Validate([]byte(`{"` + strings.Repeat("é", 100_000) + `":1}`)); bad == nil || len(bad.Error()) > 400 {
		t.Errorf("a very long key makes a message of %d bytes", len(bad.Error()))
	}
}

// TestConcurrent is for the race detector.
func TestConcurrent(t *testing.T) {
	for _, p := range pairs(t) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 20 {
					p.fast.Validate(p.schema.Example)
					p.judge.Validate(p.schema.Example)
				}
			})
		}
		wg.Wait()
	}
}
