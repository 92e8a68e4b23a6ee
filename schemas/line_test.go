package schemas_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"midplane/schemas"
)

func TestLine(t *testing.T) {
	for _, tc := range []struct{ template, payload, want string }{
		{"{device} is {status}", `{"device":"r1","status":"up"}`, "r1 is up"},
		{"{status} {device}", `{"device":"r1","status":"up"}`, "up r1"},
		{"{a.b.c}", `{"x":[1,{"b":2}],"a":{"a":"no","b":{"c":1.50}}}`, "1.50"},
		{"{ok} {n} {no}", `{"ok":true,"n":-1e3,"no":null}`, "true -1e3"},
		{"{name|device}", `{"device":"r1","name":""}`, "r1"},
		{"{name|device}", `{"device":"r1","name":"core"}`, "core"},
		{"{device} {name}: {message}", `{"device":"r1","message":"x"}`, "r1 : x"},
		{"{device}: {message}", `{"device":"r1"}`, "r1"},
		{"", `{"message":"hello"}`, "hello"},
		{"", `{"message":7}`, "7"},
		{"", `{"other":"x"}`, "test.thing.v1"},
		{"", `{"message":["x"]}`, "test.thing.v1"},
		{"{device}", `not JSON`, "test.thing.v1"},
		{"{device}", `{"device":"r1`, "test.thing.v1"},
		{"is {a}", `{}`, "test.thing.v1"},
		{"always this", `{}`, "always this"},
		{"{m}", `{"m":"one\ntwo\u0000\u001b[31m\u202ered\t\u2028end"}`, "one two [31m red end"},
		{"{m}", `{"m":"\u00e9\ud83d\ude00"}`, "é😀"},
		{"{m}", `{"m":"` + strings.Repeat("é", 500) + `"}`, strings.Repeat("é", 199) + "…"},
	} {
		s := testSchema(`{}`, `{}`)
		s.Line = tc.template
		if got := schemas.Line(s, []byte(tc.payload)); got != tc.want {
			t.Errorf("%q of %s:\n got %q\nwant %q", tc.template, tc.payload, got, tc.want)
		}
		if err := s.Check(); err != nil {
			t.Errorf("%q: %v", tc.template, err)
		}
	}
	for _, template := range []string{"{", "}", "{}", "{a", "a}", "{a{b}}", "{a||b}", "{.a}", "{a.}", "{a..b}"} {
		s := testSchema(`{}`, `{}`)
		s.Line = template
		if s.Check() == nil {
			t.Errorf("the template %q is accepted", template)
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add("{a.b|c} x", []byte(`{"a":{"b":"x"},"c":1}`))
	f.Add("", []byte(`{"message":"x\n\ud800"}`))
	f.Add("{{}}{", []byte("\xff"))
	f.Fuzz(func(t *testing.T, template string, payload []byte) {
		s := testSchema(`{}`, `{}`)
		s.Line = template
		line := schemas.Line(s, payload)
		if line == "" || !utf8.ValidString(line) || utf8.RuneCountInString(line) > 200 || strings.ContainsFunc(line, unicode.IsControl) || strings.ContainsAny(line, "\u2028\u2029\u202e") {
			t.Fatalf("template %q, payload %q: %q", template, payload, line)
		}
	})
}
