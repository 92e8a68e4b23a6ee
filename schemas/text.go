package schemas

import (
	"bytes"
	"unicode/utf8"
)

// runes returns the length in code points, as minLength and maxLength count.
func (t text) runes() int {
	switch {
	case !t.escaped && t.ascii:
		return len(t.raw)
	case !t.escaped:
		return utf8.RuneCount(t.raw)
	}
	n := 0
	for b := t.raw; len(b) > 0; n++ {
		_, size := t.next(b)
		b = b[size:]
	}
	return n
}

// next decodes the first code point of b, which is the rest of a scanned string,
// and returns how many bytes it has.
func (t text) next(b []byte) (rune, int) {
	if b[0] != '\\' {
		return utf8.DecodeRune(b)
	}
	switch b[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
	default:
		return rune(b[1]), 2
	}
	r, _ := hex4(b, 2) // scanned before
	if r >= 0xd800 && r < 0xdc00 {
		low, _ := hex4(b, 8)
		return (r-0xd800)<<10 | (low - 0xdc00) + 0x10000, 12
	}
	return r, 6
}

// bytes returns the decoded string: a part of the payload, or a copy when it has
// escapes.
func (t text) bytes() []byte {
	if !t.escaped {
		return t.raw
	}
	out := make([]byte, 0, len(t.raw))
	for b := t.raw; len(b) > 0; {
		if i := bytes.IndexByte(b, '\\'); i != 0 {
			if i < 0 {
				i = len(b)
			}
			out, b = append(out, b[:i]...), b[i:]
			continue
		}
		r, size := t.next(b)
		out, b = utf8.AppendRune(out, r), b[size:]
	}
	return out
}
