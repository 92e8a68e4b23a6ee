package schemas

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// scanner walks over JSON text by its grammar (RFC 8259) and knows no schemas.
// Every method moves i behind what it has read, or returns a violation.
type scanner struct {
	b     []byte
	i     int
	depth int
}

// text is a string as written in the payload, between its quotes.
type text struct {
	raw     []byte
	escaped bool // has at least one backslash
	ascii   bool
}

func (s *scanner) malformed(what string) *Violation {
	if s.i >= len(s.b) {
		return &Violation{Rule: RuleJSON, Message: "malformed JSON: it ends inside a value"}
	}
	return &Violation{Rule: RuleJSON, Message: "malformed JSON at byte " + strconv.Itoa(s.i) + ": " + what}
}

// space skips white space and returns the next byte, 0 at the end.
func (s *scanner) space() byte {
	b, i := s.b, s.i
	for i < len(b) {
		switch c := b[i]; c {
		case ' ', '\t', '\n', '\r':
			i++
		default:
			s.i = i
			return c
		}
	}
	s.i = i
	return 0
}

// ends returns a violation unless only white space is left.
func (s *scanner) ends() *Violation {
	if s.space(); s.i < len(s.b) {
		return s.malformed("something after the value")
	}
	return nil
}

func (s *scanner) literal(word string) *Violation {
	if len(s.b)-s.i < len(word) || string(s.b[s.i:s.i+len(word)]) != word {
		return s.malformed("expected a value")
	}
	s.i += len(word)
	return nil
}

func (s *scanner) enter() *Violation {
	if s.depth++; s.depth > MaxDepth {
		return &Violation{Rule: RuleDepth, Message: "is nested deeper than " + strconv.Itoa(MaxDepth)}
	}
	s.i++
	return nil
}

func (s *scanner) leave() {
	s.depth--
	s.i++
}

const (
	lows  = 0x0101010101010101
	highs = 0x8080808080808080
)

// plain8 returns how many of eight bytes, from the lowest, are ordinary characters
// of a string: ASCII, no control character, quote or backslash. A byte that is
// not ordinary causes a borrow, so only the bytes below it are certain.
func plain8(w uint64) int {
	quote := w ^ (lows * '"')
	slash := w ^ (lows * '\\')
	return bits.TrailingZeros64(((w-lows*0x20)|(quote-lows)|(slash-lows)|w)&highs) / 8
}

// str reads a string; b[i] is its opening quote.
func (s *scanner) str() (text, *Violation) {
	b, i := s.b, s.i+1
	start := i
	t := text{ascii: true}
	for {
		for i+8 <= len(b) {
			n := plain8(binary.LittleEndian.Uint64(b[i:]))
			if i += n; n < 8 {
				break
			}
		}
		if i >= len(b) {
			s.i = i
			return t, s.malformed("")
		}
		switch c := b[i]; {
		case c == '"':
			t.raw, s.i = b[start:i], i+1
			return t, nil
		case c == '\\':
			t.escaped = true
			n, v := s.escape(i)
			if v != nil {
				return t, v
			}
			i += n
		case c < 0x20:
			s.i = i
			return t, s.malformed("a control character in a string")
		case c < utf8.RuneSelf:
			i++
		default:
			t.ascii = false
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n <= 1 {
				return t, &Violation{Rule: RuleUTF8, Message: "is not UTF-8 at byte " + strconv.Itoa(i)}
			}
			i += n
		}
	}
}

// escape returns the length of the escape at i. A lone half of a surrogate
// pair is refused: readers disagree on what it means.
func (s *scanner) escape(i int) (int, *Violation) {
	b := s.b
	s.i = i
	if i+1 >= len(b) {
		s.i = len(b)
		return 0, s.malformed("")
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, nil
	case 'u':
	default:
		return 0, s.malformed("an unknown escape in a string")
	}
	r, ok := hex4(b, i+2)
	if !ok {
		return 0, s.malformed("\\u without four hexadecimal digits")
	}
	switch {
	case r >= 0xdc00 && r < 0xe000:
	case r < 0xd800 || r >= 0xe000:
		return 6, nil
	case i+7 < len(b) && b[i+6] == '\\' && b[i+7] == 'u':
		if low, ok := hex4(b, i+8); ok && low >= 0xdc00 && low < 0xe000 {
			return 12, nil
		}
	}
	return 0, &Violation{Rule: RuleUTF8, Message: "has half of a surrogate pair at byte " + strconv.Itoa(i)}
}

func hex4(b []byte, i int) (rune, bool) {
	if i+4 > len(b) {
		return 0, false
	}
	var r rune
	for _, c := range b[i : i+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
