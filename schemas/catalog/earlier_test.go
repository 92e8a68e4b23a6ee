package catalog

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"midplane/event"
	"midplane/schemas"
)

// TestEarlierVersions: every version but the present one is kept, is a schema of
// the same type and kind, streams, and takes no payload that the next refuses.
func TestEarlierVersions(t *testing.T) {
	all, err := loadEarlier()
	if err != nil {
		t.Fatal(err)
	}
	kept := 0
	for _, now := range Schemas() {
		list := all[now.Type]
		if len(list) != now.Version-1 {
			t.Errorf("%s: %d versions before version %d are kept", now.Type, len(list), now.Version)
		}
		kept += len(list)
		for i, was := range list {
			next := now
			if i+1 < len(list) {
				next = list[i+1].Schema
			}
			if err := was.Schema.Check(); err != nil || was.Schema.Kind != now.Kind || !schemas.Streaming(was.Validator) {
				t.Errorf("%s version %d: %v", now.Type, i+1, err)
			}
			if why := narrower(document(t, was.Schema), document(t, next)); why != "" {
				t.Errorf("%s: version %d is not compatible with version %d: %s", now.Type, i+2, i+1, why)
			}
			if bad := compiled(t, next).Validate(was.Schema.Example); bad != nil {
				t.Errorf("%s: the example of version %d: %v", now.Type, i+1, bad)
			}
		}
	}
	if kept == 0 {
		t.Error("no earlier version is kept: nothing was compared")
	}
	if files, err := earlierFiles.ReadDir("earlier"); err != nil || len(files) != kept {
		t.Errorf("%d files of earlier versions, %d of them belong to a type: %v", len(files), kept, err)
	}
}

// TestReachabilityByAnyCollector: what version 2 takes, and an older door does not.
func TestReachabilityByAnyCollector(t *testing.T) {
	now, _ := Set().Lookup(event.TypeReachability)
	was, ok := Earlier(event.TypeReachability, 1)
	if !ok || now.Schema.Version != 2 || was.Schema.Version != 1 || Versions()[event.TypeReachability] != 2 {
		t.Fatalf("version %d, before it %d, %v", now.Schema.Version, was.Schema.Version, ok)
	}
	long := strings.Repeat("a", 63)
	for method, takes := range map[string][2]bool{ // version 1, version 2
		"ping": {true, true}, "tcp": {true, true}, "http": {true, true}, "snmp": {true, true}, "host": {true, true},
		"dns": {false, true}, "a": {false, true}, "my-own-2": {false, true}, long: {false, true}, long + "a": {false, false},
		"": {false, false}, "DNS": {false, false}, "-a": {false, false}, "a-": {false, false}, "a.b": {false, false}, "a b": {false, false}, "dns\n": {false, false},
	} {
		data, err := json.Marshal(event.Reachability{Device: "r1", Status: event.StatusUp, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]bool{was.Validator.Validate(data) == nil, now.Validator.Validate(data) == nil}; got != takes {
			t.Errorf("%q is taken by versions 1 and 2: %v, want %v", method, got, takes)
		}
	}
	for _, version := range []int{2, 3} {
		if _, ok := Earlier(event.TypeReachability, version); ok {
			t.Errorf("version %d is an earlier one", version)
		}
	}
	if _, ok := Earlier("acme.door.opened.v1", 1); ok {
		t.Error("a tenant's type has an earlier version")
	}
	if zero, ok := Earlier(event.TypeReachability, 0); !ok || zero.Schema.Version != 1 {
		t.Error("a door that names no version takes another than the first")
	}
}

// TestNarrower: the comparison finds what it is there for.
func TestNarrower(t *testing.T) {
	was := `{"type":"object","additionalProperties":false,"required":["a"],"properties":{"a":{"type":"string","enum":["x","y"]},"n":{"type":"integer","minimum":0,"maximum":9},"l":{"type":"array","maxItems":3,"items":{"type":"string","maxLength":5}}}}`
	for now, compatible := range map[string]bool{
		was: true,
		`{"type":"object","additionalProperties":false,"required":["a"],"properties":{"a":{"type":"string","maxLength":3,"pattern":"^[a-z]$"},"n":{"type":"integer","minimum":0,"maximum":9},"l":{"type":"array","maxItems":3,"items":{"type":"string","maxLength":5}}}}`:        true,
		`{"type":"object","additionalProperties":false,"required":["a"],"properties":{"a":{"type":"string","maxLength":3,"pattern":"^[xz]$"},"n":{"type":"integer","minimum":0,"maximum":9},"l":{"type":"array","maxItems":3,"items":{"type":"string","maxLength":5}}}}`:         false,
		`{"type":"object","additionalProperties":false,"required":["a"],"properties":{"a":{"type":"string","enum":["x"]},"n":{"type":"integer","minimum":0,"maximum":9},"l":{"type":"array","maxItems":3,"items":{"type":"string","maxLength":5}}}}`:                             false,
		`{"type":"object","additionalProperties":false,"required":["a","n"],"properties":{"a":{"type":"string","enum":["x","y"]},"n":{"type":"integer","minimum":0,"maximum":9},"l":{"type":"array","maxItems":3,"items":{"type":"string","maxLength":5}}}}`:                     false,
		`{"type":"object","additionalProperties":false,"required":["a"],"properties":{"a":{"type":"string","enum":["x","y"]},"n":{"type":"integer","minimum":1,"maximum":9},"l":{"type":"array","maxItems":3,"items":{"type":"string","maxLength":5}}}}`:                         false,
		`{"type":"object","additionalProperties":false,"required":["a"],"properties":{"a":{"type":"string","enum":["x","y"]},"n":{"type":"number","minimum":-1,"maximum":9},"l":{"type":"array","maxItems":4,"items":{"type":"string","maxLength":6}},"new":{"type":"string"}}}`: true,
		`{"type":"object","additionalProperties":false,"required":["a"],"properties":{"a":{"type":"string","enum":["x","y"]},"l":{"type":"array","maxItems":3,"items":{"type":"string","maxLength":5}}}}`:                                                                        false,
		`{"type":"object","additionalProperties":false,"required":["a"],"properties":{"a":{"type":"string","enum":["x","y"]},"n":{"type":"integer","minimum":0,"maximum":9},"l":{"type":"array","maxItems":3,"items":{"type":"string","maxLength":4}}}}`:                         false,
		`{"type":"object","additionalProperties":false,"required":["a"],"properties":{"a":{"type":"string","enum":["x","y"]},"n":{"type":"integer","minimum":0,"maximum":9},"l":{"type":"array","maxItems":3,"items":{"type":"string","maxLength":5,"format":"date-time"}}}}`:    false,
	} {
		why := narrower(document(t, schemas.Schema{Schema: json.RawMessage(was)}), document(t, schemas.Schema{Schema: json.RawMessage(now)}))
		if (why == "") != compatible {
			t.Errorf("%s\nis compatible: %v, found %q", now, compatible, why)
		}
	}
}

func document(t *testing.T, s schemas.Schema) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(s.Schema, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func compiled(t *testing.T, s schemas.Schema) schemas.Validator {
	t.Helper()
	v, err := schemas.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// narrower says where now refuses what was takes, or "": backward compatibility
// for what the catalogue's schemas are made of (see strict). What it does not
// know must be the same in both.
func narrower(was, now map[string]any) string {
	if enum, ok := was["enum"].([]any); ok {
		return narrowerThanValues(enum, now)
	}
	for _, key := range sortedKeys(was, now) {
		a, before := was[key]
		b, after := now[key]
		same := before == after && reflect.DeepEqual(a, b)
		switch key {
		case "description", "properties":
			continue
		case "type":
			same = same || a == "integer" && b == "number"
		case "minimum", "minLength":
			same = same || !after || before && b.(float64) <= a.(float64)
		case "maximum", "maxLength", "maxItems":
			same = same || !after || before && b.(float64) >= a.(float64)
		case "required":
			same = !slices.ContainsFunc(list(b), func(x any) bool { return !slices.Contains(list(a), x) })
		case "items":
			if why := narrower(object(a), object(b)); why != "" {
				return "items: " + why
			}
			continue
		case "$defs":
			for name, def := range object(a) {
				if why := narrower(object(def), object(object(b)[name])); why != "" {
					return name + ": " + why
				}
			}
			continue
		}
		if !same {
			return fmt.Sprintf("%s is %v, was %v", key, b, a)
		}
	}
	for name, sub := range object(was["properties"]) {
		next, ok := object(now["properties"])[name].(map[string]any)
		if !ok {
			return name + " is gone"
		}
		if why := narrower(object(sub), next); why != "" {
			return name + ": " + why
		}
	}
	return ""
}

// narrowerThanValues is narrower for a list of values: each is tried.
func narrowerThanValues(values []any, now map[string]any) string {
	schema, err := json.Marshal(now)
	if err != nil {
		return err.Error()
	}
	v, err := schemas.Compile(schemas.Schema{Type: "a.b.v1", Kind: event.KindState, Version: 1, Schema: schema})
	if err != nil {
		return err.Error()
	}
	for _, value := range values {
		data, err := json.Marshal(value)
		if err != nil {
			return err.Error()
		}
		if bad := v.Validate(data); bad != nil {
			return fmt.Sprintf("%s is refused: %v", data, bad)
		}
	}
	return ""
}

func object(v any) map[string]any { m, _ := v.(map[string]any); return m }
func list(v any) []any            { l, _ := v.([]any); return l }

func sortedKeys(maps ...map[string]any) []string {
	var keys []string
	for _, m := range maps {
		for key := range m {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
