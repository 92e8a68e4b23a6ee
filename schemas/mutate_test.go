package schemas_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// nasty payloads belong to no schema.
var nasty = []string{
	``, ` `, `{`, `}`, `[`, `"`, `"\`, `"\u`, `"\u12`, `{}{}`, `{} x`, `{},`, `[1,]`, `{"a":1,}`, `{"a"}`, `{a:1}`, `{'a':1}`, `nul`, `nulll`, `truefalse`,
	`01`, `-`, `-01`, `1.`, `.5`, `1e`, `1e+`, `+1`, `0x10`, `1_000`, `NaN`, `Infinity`, `1e999`, `1e1000`, `-1e-999`, `1e-99999999999999999999`, `0e99999`, `-0`, `-0.0e5`,
	`{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"x":{"é":1,"\u00e9":2}}`, `[{"b":1,"b":1}]`, `{"device":"a","device":"b"}`,
	"\"\xff\"", "\"\xc3\"", "\"\xed\xa0\x80\"", `"\ud800"`, `"\udc00"`, `"\ud800\ud800"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ud83dx"`, "\"a\nb\"", "\"\x00\"", "\ufeff{}", "{\"a\xff\":1}",
	strings.Repeat("[", 64) + strings.Repeat("]", 64), strings.Repeat("[", 65) + strings.Repeat("]", 65), strings.Repeat("[", 100000), strings.Repeat(`{"a":`, 100000),
	strings.Repeat("9", 256), strings.Repeat("9", 257), "0." + strings.Repeat("0", 250) + "1",
	`9007199254740993`, `9007199254740992.5`, `18446744073709551616`, `9223372036854775808`, `-9223372036854775809`, `0.30000000000000001`, `0.3`, `0.29999999999999998`, `1e-300`, `0.9999999999999999999e-300`, `1e300`, `100e-2`, `1.50e1`, `1.000`,
	`{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"a":10}`, `{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"i":10}`,
}

// values are what a mutation puts in place of another value.
var values = append([]string{
	`null`, `true`, `false`, `0`, `1`, `-1`, `1.5`, `100`, `101`, `1e3`, `""`, `"x"`, `"up"`, `"UP"`, `"EVENTS"`, `[]`, `{}`, `[1]`, `{"a":1}`, `"2026-02-30T00:00:00Z"`, `"2026-02-28T00:00:00Z"`, `"2016-12-31T23:59:60Z"`, `"2026-01-01t00:00:00z"`,
	`86400000`, `86400000.000001`, `18446744073709551615`, `"` + strings.Repeat("é", 120) + `"`, `"` + strings.Repeat("é", 121) + `"`, `"` + strings.Repeat(`\u00e9`, 120) + `"`, `"` + strings.Repeat("a", 1001) + `"`, `"\ud83d\ude00"`,
}, nasty...)

// mutant draws a document near the example: none to three changes of the
// value, then another spelling of the same, then perhaps damage to the bytes.
func mutant(t *rapid.T, example json.RawMessage) []byte {
	tree := parse(example)
	for range rapid.IntRange(0, 3).Draw(t, "changes") {
		change(t, pick(t, tree))
	}
	var b bytes.Buffer
	write(t, &b, tree, rapid.IntRange(0, 3).Draw(t, "spelling") == 0)
	doc := b.Bytes()
	if len(doc) > 0 && rapid.IntRange(0, 5).Draw(t, "damage") == 0 {
		at := rapid.IntRange(0, len(doc)-1).Draw(t, "at")
		switch rapid.IntRange(0, 3).Draw(t, "how") {
		case 0:
			doc = doc[:at]
		case 1:
			doc = slices.Delete(doc, at, at+1)
		case 2:
			doc[at] = rapid.Byte().Draw(t, "byte")
		case 3:
			doc = slices.Insert(doc, at, rapid.SampledFrom([]byte(`"\{}[],:0-.e `)).Draw(t, "byte"))
		}
	}
	return doc
}

// tree is a JSON value that can hold what JSON cannot: doubled keys, raw text.
type tree struct {
	raw   string // a scalar, or the text that replaced a value
	open  byte   // '{', '[' or 0
	keys  []string
	below []*tree
}

func parse(raw json.RawMessage) *tree {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil && raw[0] == '[' {
		n := &tree{open: '['}
		for _, item := range list {
			n.below = append(n.below, parse(item))
		}
		return n
	}
	var obj map[string]json.RawMessage
	if json.Unmarshal(raw, &obj) == nil && raw[0] == '{' {
		n := &tree{open: '{'}
		for _, key := range sorted(obj) {
			n.keys = append(n.keys, key)
			n.below = append(n.below, parse(obj[key]))
		}
		return n
	}
	return &tree{raw: string(raw)}
}

func sorted(obj map[string]json.RawMessage) []string {
	var keys []string
	for key := range obj {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func pick(t *rapid.T, n *tree) *tree {
	for len(n.below) > 0 && rapid.IntRange(0, 3).Draw(t, "deeper") > 0 {
		n = n.below[rapid.IntRange(0, len(n.below)-1).Draw(t, "child")]
	}
	return n
}

func change(t *rapid.T, n *tree) {
	value := &tree{raw: rapid.SampledFrom(values).Draw(t, "value")}
	what := rapid.IntRange(0, 3).Draw(t, "what")
	switch {
	case what == 0 || len(n.below) == 0 && what < 3:
		*n = *value
	case what == 1 && len(n.below) > 0:
		at := rapid.IntRange(0, len(n.below)-1).Draw(t, "gone")
		n.below = slices.Delete(n.below, at, at+1)
		if n.open == '{' {
			n.keys = slices.Delete(n.keys, at, at+1)
		}
	case n.open == '{':
		key := rapid.SampledFrom([]string{"a", "b", "x", "colour", "é", "", "message", "name", "device", "to", "a\"\n"}).Draw(t, "key")
		if what == 2 {
			key = n.keys[rapid.IntRange(0, len(n.keys)-1).Draw(t, "again")]
		}
		at := rapid.IntRange(0, len(n.keys)).Draw(t, "place")
		n.keys = slices.Insert(n.keys, at, key)
		n.below = slices.Insert(n.below, at, value)
	case n.open == '[':
		n.below = append(n.below, value, value)
	}
}

func write(t *rapid.T, b *bytes.Buffer, n *tree, odd bool) {
	space := func() {
		if odd {
			b.WriteString(rapid.SampledFrom([]string{"", "", " ", "\n\t", "\r"}).Draw(t, "space"))
		}
	}
	space()
	defer space()
	if n.open == 0 {
		b.WriteString(respell(n.raw, odd))
		return
	}
	b.WriteByte(n.open)
	for i, child := range n.below {
		if i > 0 {
			b.WriteByte(',')
		}
		if n.open == '{' {
			space()
			key, _ := json.Marshal(n.keys[i])
			b.WriteString(respell(string(key), odd))
			space()
			b.WriteByte(':')
		}
		write(t, b, child, odd)
	}
	b.WriteByte(n.open + 2) // ] and } follow so in ASCII
}

// respell writes a string with an escape for every ASCII letter.
func respell(raw string, odd bool) string {
	var s string
	if !odd || json.Unmarshal([]byte(raw), &s) != nil || !strings.HasPrefix(raw, `"`) {
		return raw
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		if r < 0x10000 {
			fmt.Fprintf(&b, `\u%04X`, r)
		} else {
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
