package schemas_test

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"midplane/event"
	"midplane/schemas"
	"midplane/schemas/catalog"
)

// pair is the two validators of one schema.
type pair struct {
	schema      schemas.Schema
	fast, judge schemas.Validator
}

func newPair(t testing.TB, s schemas.Schema) pair {
	t.Helper()
	judge, err := schemas.Judge(s)
	if err != nil {
		t.Fatalf("%s: %v", s.Schema, err)
	}
	fast, err := schemas.Fast(s)
	if err != nil {
		t.Fatalf("%s: %v", s.Schema, err)
	}
	return pair{schema: s, fast: fast, judge: judge}
}

// pairs are the whole catalogue and the whole subset.
func pairs(t testing.TB) []pair {
	var all []pair
	for _, s := range catalog.Schemas() {
		all = append(all, newPair(t, s))
	}
	for _, c := range subset {
		all = append(all, newPair(t, testSchema(c.schema, c.example)))
	}
	return all
}

func testSchema(schema, example string) schemas.Schema {
	return schemas.Schema{Type: "test.thing.v1", Kind: event.KindEvent, Version: 1,
		Schema: json.RawMessage(schema), Example: json.RawMessage(example)}
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// agree: both say the same, and of a well formed payload the streaming
// validator complains about something that the library finds wrong too. It
// returns whether the payload is valid.
func (p pair) agree(t failer, payload []byte) bool {
	t.Helper()
	fast, judge := p.fast.Validate(payload), p.judge.Validate(payload)
	if (fast == nil) != (judge == nil) {
		t.Fatalf("schema  %s\npayload %q\nstreaming: %v\nlibrary:   %v", p.schema.Schema, payload, fast, judge)
	}
	if fast == nil || schemas.WellFormed(payload) != nil {
		return fast == nil
	}
	all := schemas.All(p.judge, payload)
	for _, v := range all {
		if v.Field == fast.Field && v.Rule == fast.Rule {
			return false
		}
	}
	t.Fatalf("schema  %s\npayload %q\nstreaming complains of %v\nthe library only of %v", p.schema.Schema, payload, fast, all)
	return false
}

// TestAgreeOnMutants: tens of thousands of documents that are nearly right.
func TestAgreeOnMutants(t *testing.T) {
	all := pairs(t)
	const each = 8
	valid, total := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		for _, p := range all {
			for range each {
				total++
				if p.agree(t, mutant(t, p.schema.Example)) {
					valid++
				}
			}
		}
	})
	t.Logf("%d documents, %d valid", total, valid)
	if total < 20_000 || valid*20 < total || valid*20 > total*19 {
		t.Errorf("of %d documents %d are valid: that compares too little", total, valid)
	}
}

func FuzzAgree(f *testing.F) {
	all := pairs(f)
	for i, p := range all {
		f.Add(uint8(i), []byte(p.schema.Example))
	}
	for _, payload := range nasty {
		f.Add(uint8(0), []byte(payload))
	}
	f.Fuzz(func(t *testing.T, i uint8, payload []byte) {
		all[int(i)%len(all)].agree(t, payload)
	})
}

// FuzzSchema takes the schema from the fuzzer too: when both validators compile it,
// they must agree, and neither may panic or run for ever.
func FuzzSchema(f *testing.F) {
	for _, c := range append(subset, fallback...) {
		f.Add([]byte(c.schema), []byte(c.example))
	}
	f.Fuzz(func(t *testing.T, schema, payload []byte) {
		s := testSchema(string(schema), string(payload))
		v, err := schemas.Compile(s)
		if err != nil {
			return
		}
		judge, err := schemas.Judge(s)
		if err != nil {
			t.Fatalf("compiled, but not for the judge: %v", err)
		}
		if !schemas.Streaming(v) {
			v.Validate(payload)
			return
		}
		pair{schema: s, fast: v, judge: judge}.agree(t, payload)
	})
}

func TestNastyDocuments(t *testing.T) {
	for _, p := range pairs(t) {
		for _, payload := range nasty {
			p.agree(t, []byte(payload))
		}
		for _, q := range append(subset, fallback...) {
			p.agree(t, []byte(q.example))
		}
	}
}
