package output

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// What devices, pollers and other users say is printed on people's terminals, and what
// they may do there is decided here: nothing.

// hostile reports whether a character acts on a terminal, or on how what is beside it is
// read, instead of being shown: controls of C0 and C1, DEL, and the invisible ones that
// turn the direction of writing.
func hostile(r rune) bool {
	return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029')
}

// escapeJSON writes hostile characters of JSON, which are in its strings only, as \u and
// their number.
func escapeJSON(data []byte) []byte {
	if bytes.IndexFunc(data, hostile) < 0 {
		return data
	}
	var out bytes.Buffer
	for _, r := range string(data) {
		switch {
		case !hostile(r):
			out.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.Bytes()
}

// Clean returns a writer in front of a terminal, or of what may be shown on one later:
// hostile characters become �, where a command has left them in. The colours of this
// package pass.
func Clean(w io.Writer) io.Writer { return &cleaner{to: w} }

type cleaner struct {
	mu   sync.Mutex // a daemon's parts write at the same time
	to   io.Writer
	rest []byte // of a character whose end has not been written yet
}

// file returns the file that is written to, nil when it is none.
func (c *cleaner) file() *os.File {
	f, _ := c.to.(*os.File)
	return f
}

func (c *cleaner) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in := append(c.rest, p...)
	c.rest = nil
	var out bytes.Buffer
	for len(in) > 0 {
		if !utf8.FullRune(in) {
			c.rest = append(c.rest, in...)
			break
		}
		if n := colour(in); n > 0 {
			out.Write(in[:n])
			in = in[n:]
			continue
		}
		r, n := utf8.DecodeRune(in)
		if hostile(r) {
			r = utf8.RuneError
		}
		out.WriteRune(r)
		in = in[n:]
	}
	if _, err := c.to.Write(out.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// colour returns the length of one of this package's own colours at the beginning of s.
func colour(s []byte) int {
	for _, c := range []string{green, red, yellow, reset} {
		if bytes.HasPrefix(s, []byte(c)) {
			return len(c)
		}
	}
	return 0
}
