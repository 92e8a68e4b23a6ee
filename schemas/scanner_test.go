package schemas

import (
	"bytes"
	"encoding/json"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// reference decides what wellFormed must, slowly and with encoding/json.
func reference(payload []byte) bool {
	return json.Valid(payload) && utf8.Valid(payload) && wholeSurrogates(payload) && tokensFit(payload)
}

// wholeSurrogates: encoding/json replaces half a pair by U+FFFD, so that one
// of those must stand in the payload itself.
func wholeSurrogates(payload []byte) bool {
	var escapes []uint64
	for i := 0; i+1 < len(payload); i++ {
		if payload[i] != '\\' {
			continue
		}
		if payload[i+1] == 'u' {
			r, _ := strconv.ParseUint(string(payload[i+2:i+6]), 16, 32)
			escapes = append(escapes, uint64(i)<<32|r)
		}
		i++
	}
	for i := 0; i < len(escapes); i++ {
		r := escapes[i] & 0xffff
		if r < 0xd800 || r > 0xdfff {
			continue
		}
		if r > 0xdbff || i+1 == len(escapes) || escapes[i+1]>>32 != escapes[i]>>32+6 {
			return false
		}
		if low := escapes[i+1] & 0xffff; low < 0xdc00 || low > 0xdfff {
			return false
		}
		i++
	}
	return true
}

// tokensFit: no key twice, not too deep, no number beyond the limits.
func tokensFit(payload []byte) bool {
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	type level struct {
		keys  map[string]bool // nil in an array
		value bool            // a value comes next, not a key
	}
	var open []level
	for {
		tok, err := d.Token()
		if err != nil {
			return true // the end: the grammar was checked before
		}
		in := len(open) - 1
		if delim, ok := tok.(json.Delim); ok && (delim == '}' || delim == ']') {
			open = open[:in]
			continue
		}
		if in >= 0 && open[in].keys != nil {
			if !open[in].value {
				key := tok.(string)
				if open[in].keys[key] {
					return false
				}
				open[in].keys[key], open[in].value = true, true
				continue
			}
			open[in].value = false
		}
		switch tok := tok.(type) {
		case json.Number:
			_, exponent, _ := strings.Cut(strings.ToLower(tok.String()), "e")
			if e, err := strconv.Atoi(exponent); exponent != "" && (err != nil || e > MaxExponent || e < -MaxExponent) || len(tok) > MaxNumber {
				return false
			}
		case json.Delim:
			l := level{}
			if tok == '{' {
				l.keys = map[string]bool{}
			}
			if open = append(open, l); len(open) > MaxDepth {
				return false
			}
		}
	}
}

func FuzzWellFormed(f *testing.F) {
	for _, s := range []string{`{"a":[1,-2.5e+3,true,false,null,"x\n\u00e9é\ud83d\ude00"],"b":{}}`, `"\ud800"`, `{"a":1,"\u0061":2}`, `1e999`, `1e1000`, strings.Repeat("[", 65) + strings.Repeat("]", 65)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		if got, want := wellFormed(payload), reference(payload); (got == nil) != want {
			t.Fatalf("%q: %v, reference says %v", payload, got, want)
		}
	})
}

func TestWellFormed(t *testing.T) {
	for payload, rule := range map[string]string{
		`{"a":1}`: "", ` [ ] `: "", `"a`: RuleJSON, `{} {}`: RuleJSON, ``: RuleJSON, `{"a":01}`: RuleJSON,
		"\"\xff\"": RuleUTF8, `"\ud800x"`: RuleUTF8, `{"a":1,"\u0061":1}`: RuleDuplicate,
		`1e1000`: RuleNumber, strings.Repeat("1", MaxNumber+1): RuleNumber, strings.Repeat("[", MaxDepth+1): RuleDepth,
	} {
		bad := wellFormed([]byte(payload))
		switch {
		case bad == nil && rule != "":
			t.Errorf("%.40q passed, want rule %s", payload, rule)
		case bad != nil && bad.Rule != rule:
			t.Errorf("%.40q: %v, want rule %q", payload, bad, rule)
		}
	}
}

// TestManyKeys: finding doubled keys stays linear, and exact.
func TestManyKeys(t *testing.T) {
	var b strings.Builder
	b.WriteByte('{')
	for i := range 100_000 {
		b.WriteString(`"k` + strconv.Itoa(i) + `":1,`)
	}
	if bad := wellFormed([]byte(b.String() + `"k":1}`)); bad != nil {
		t.Error(bad)
	}
	if bad := wellFormed([]byte(b.String() + `"k77":1}`)); bad == nil || bad.Rule != RuleDuplicate || bad.Field != "/k77" {
		t.Errorf("a doubled key among 100,000: %v", bad)
	}
}

// numbers are spelt in every way, near each other and near what float64 can tell apart.
var numbers = rapid.Custom(func(t *rapid.T) string {
	var s string
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 0:
		s = rapid.StringMatching(`-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?`).Draw(t, "any")
	case 1:
		s = rapid.StringMatching(`-?(9007199254740993|18446744073709551615|9223372036854775807|0\.3)([0-9]{0,2}|\.0{0,18}[0-9])`).Draw(t, "edge")
	default:
		s = rapid.StringMatching(`-?[0-3]([eE][+-]?[0-3])?`).Draw(t, "small")
	}
	if !json.Valid([]byte(s)) {
		return "1"
	}
	return s
})

func TestNumbersAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for range 50 {
			x, y := numbers.Draw(t, "x"), numbers.Draw(t, "y")
			s := scanner{b: []byte(x)}
			n, bad := s.number()
			if bad != nil {
				t.Fatalf("%s: %v", x, bad)
			}
			rx, _ := new(big.Rat).SetString(x)
			ry, _ := new(big.Rat).SetString(y)
			if got, want := n.cmp(newBound(y)), rx.Cmp(ry); got != want {
				t.Fatalf("%s compared with %s: %d, want %d", x, y, got, want)
			}
			if got, want := n.integer(), rx.IsInt(); got != want {
				t.Fatalf("%s an integer: %v, want %v", x, got, want)
			}
		}
	})
}

func TestDateTime(t *testing.T) {
	native, err := compileNativeFormat()
	if err != nil {
		t.Fatal(err)
	}
	passed := 0
	rapid.Check(t, func(t *rapid.T) {
		for range 100 {
			s := rapid.StringMatching(`(0000|1900|2000|20[0-9]{2})-(0[0-9]|1[0-3])-([0-3][0-9])[Tt ](2[0-4]|1[0-9]|0[0-9]):([0-6][0-9]):([0-6][0-9])(\.[0-9]{0,12})?(Z|z|[+-](2[0-4]|0[0-9]):[0-6][0-9])?`).Draw(t, "time")
			if !dateTime([]byte(s)) {
				continue
			}
			passed++
			var at time.Time
			if err := at.UnmarshalText([]byte(s)); err != nil {
				t.Fatalf("%s passes but does not decode: %v", s, err)
			}
			if err := native.Validate(s); err != nil {
				t.Fatalf("%s passes but not the library's own check: %v", s, err)
			}
		}
	})
	if passed < 100 {
		t.Errorf("only %d passed: that proves little", passed)
	}
	rapid.Check(t, func(t *rapid.T) { // everything that Go writes passes
		at := time.Unix(rapid.Int64Range(-62135596800, 253402300799).Draw(t, "s"), rapid.Int64Range(0, 999999999).Draw(t, "ns"))
		at = at.In(time.FixedZone("", 60*rapid.IntRange(-14*60, 14*60).Draw(t, "offset")))
		b, err := at.MarshalText()
		if err == nil && !dateTime(b) {
			t.Fatalf("%s does not pass", b)
		}
	})
	for _, s := range []string{"", "2016-12-31T23:59:60Z", "2026-01-01t00:00:00Z", "2026-01-01T00:00:00z", "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-01-01T00:00:00,5Z", "2026-01-01T00:00:00", "2026-01-01T+1:00:00Z"} {
		if dateTime([]byte(s)) {
			t.Errorf("%q passes", s)
		}
	}
}
