package tenants

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of one file, so that a hostile one costs little.
const (
	MaxFile   = 16 << 20 // bytes
	maxDepth  = 40       // nesting
	maxFields = 1000     // in one group of fields
)

// place is a position in a file, from 1.
type place struct{ line, column int }

func placeOf(tk *token.Token) place {
	if tk == nil || tk.Position == nil {
		return place{1, 1}
	}
	return place{max(tk.Position.Line, 1), max(tk.Position.Column, 1)}
}

// source is one file as text, with the places of its fields once it is decoded.
type source struct {
	file     string
	before   int // lines of the file that come before these, of other documents
	lines    []string
	keys     map[string]place // path of a field → its name
	values   map[string]place // path of a field → its value
	meant    map[string]bool  // paths of fields that a misspelt name most likely meant
	mistakes []*Mistake
	more     int // mistakes beyond maxMistakes
}

func newSource(file string, data []byte) *source {
	return &source{
		file: file, lines: strings.Split(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n"),
		keys: map[string]place{}, values: map[string]place{}, meant: map[string]bool{},
	}
}

// maxMistakes is how many mistakes of one file are reported.
const maxMistakes = 50

// add notes a mistake at a place.
func (s *source) add(at place, path, hint, format string, args ...any) {
	if len(s.mistakes) >= maxMistakes {
		s.more++
		return
	}
	at.line = min(at.line, len(s.lines))
	at.column = min(at.column, utf8.RuneCountInString(s.lines[at.line-1])+1)
	s.mistakes = append(s.mistakes, &Mistake{
		File: s.file, Line: s.before + at.line, Column: at.column, Path: path,
		Message: fmt.Sprintf(format, args...), Source: s.show(at.line), Hint: hint,
	})
}

// show returns a line fit to be printed. A line without a name of its own may
// go on with the secret of the line above it.
func (s *source) show(n int) string {
	line := strings.TrimRight(s.lines[n-1], " \t\r")
	indent := func(l string) int { return len(l) - len(strings.TrimLeft(l, " \t")) }
	for i := n - 2; i >= 0 && i >= n-200; i-- {
		above := s.lines[i]
		if strings.TrimSpace(above) == "" || indent(above) >= indent(line) {
			continue
		}
		if name, _, ok := strings.Cut(above, ":"); ok && secretName.MatchString(name) {
			return strings.Repeat(" ", indent(line)) + "***"
		}
		break
	}
	if r := []rune(line); len(r) > 160 {
		line = string(r[:160])
		return mask(line) + "…"
	}
	return mask(line)
}

// find returns the place of a field, or of the nearest thing around it.
func (s *source) find(path string, atKey bool) place {
	for first := true; ; first = false {
		if p, ok := s.keys[path]; ok && (atKey || !first) {
			return p
		}
		if p, ok := s.values[path]; ok {
			return p
		}
		if path == "" {
			return place{1, 1}
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
}

// blame gives the problems of a validation their places.
func (s *source) blame(list []problem) {
	for _, p := range list {
		s.add(s.find(p.path, p.atKey), p.path, p.hint, "%s", p.message)
	}
}

// parse reads YAML into a tree: one document, valid UTF-8, bounded. It returns
// nil when it noted a mistake.
func (s *source) parse(data []byte) ast.Node {
	if len(data) > MaxFile {
		s.add(place{1, 1}, "", fmt.Sprintf("a tenant has at most %d devices", MaxDevices), "the file has %d bytes, at most %d are allowed", len(data), MaxFile)
		return nil
	}
	if line, ok := badLine(data); !ok {
		s.add(place{line, 1}, "", "save the file as UTF-8", "the line is not valid UTF-8 text")
		return nil
	}
	if line, why := excess(data); why != "" {
		s.add(place{line, 1}, "", "", "%s", why)
		return nil
	}
	// Duplicate keys are found by the decoder, which goes on after the first.
	f, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		s.syntax(err)
		return nil
	}
	var body ast.Node
	for _, doc := range f.Docs {
		switch {
		case doc.Body == nil || doc.Body.Type() == ast.NullType || doc.Body.Type() == ast.CommentType:
		case body != nil:
			s.add(placeOf(first(doc.Body)), "", "put every tenant into a file of its own", "a second document in one file")
			return nil
		case doc.Body.Type() == ast.DirectiveType:
			s.add(placeOf(doc.Body.GetToken()), "", "leave it out", "a YAML directive is not allowed here")
			return nil
		default:
			body = doc.Body
		}
	}
	if body == nil {
		s.add(place{1, 1}, "", "begin with: apiVersion: "+APIVersion, "the file is empty")
	}
	return body
}

// syntax notes an error of the parser.
func (s *source) syntax(err error) {
	var se *yaml.SyntaxError
	if errors.As(err, &se) {
		s.add(placeOf(se.GetToken()), "", syntaxHint(se.GetMessage()), "not valid YAML: %s", se.GetMessage())
		return
	}
	s.add(place{1, 1}, "", "", "not valid YAML")
}

func syntaxHint(message string) string {
	switch {
	case strings.Contains(message, "tab") || strings.Contains(message, "cannot start any token"):
		return "indent with spaces, not with tabs; quote a value that begins with a special character"
	case strings.Contains(message, "pre-defined"), strings.Contains(message, "quote"):
		return "look for a quote that is not closed, here or above"
	case strings.Contains(message, "not allowed in this context"), strings.Contains(message, "non-map value"):
		return "check the indentation of this line and the one above, and quote a value that contains \": \""
	}
	return ""
}

// badLine returns the first line that is not UTF-8 or has a control character.
func badLine(data []byte) (int, bool) {
	line := 1
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == '\n':
			line++
		case r == utf8.RuneError && size == 1, r < ' ' && r != '\t' && r != '\r', r == 0x7f:
			return line, false
		}
		i += size
	}
	return line, true
}
