package schemas

import (
	"strings"
	"unicode"

	"midplane/fault"
)

// maxLine is the longest rendering in runes.
const maxLine = 200

// Line renders a payload of type s as one line for a person, of at most 200 runes
// and without control characters. The template s.Line has placeholders: {status}
// is the payload's field, {from.name} a field inside an object, and
// {message|name} the first of these fields that exists and is not empty. Numbers
// are printed as in the payload; null, objects and arrays are empty. Without a
// template the line is the payload's "message"; when the result is empty, it is
// the type. The payload need not be valid.
func Line(s Schema, payload []byte) string {
	template := s.Line
	if template == "" {
		template = "{message}"
	}
	var b strings.Builder
	filled, plain := false, true
	for template != "" {
		text, rest, found := strings.Cut(template, "{")
		b.WriteString(text)
		if !found {
			break
		}
		plain = false
		names, after, _ := strings.Cut(rest, "}")
		if value := firstField(payload, names); value != "" {
			b.WriteString(value)
			filled = true
		}
		template = after
	}
	line := oneLine(b.String())
	if line == "" || !filled && !plain {
		return string(s.Type)
	}
	return line
}

// checkLine reports an Invalid error for a malformed template.
func checkLine(template string) error {
	hint := "placeholders are like {status}, {from.name} or {message|name}"
	for template != "" {
		text, rest, found := strings.Cut(template, "{")
		if strings.Contains(text, "}") {
			return fault.WithHint(fault.New(fault.Invalid, "} without {"), "%s", hint)
		}
		if !found {
			return nil
		}
		names, after, closed := strings.Cut(rest, "}")
		if !closed || strings.Contains(names, "{") {
			return fault.WithHint(fault.New(fault.Invalid, "{ without }"), "%s", hint)
		}
		for _, name := range strings.Split(names, "|") {
			if name == "" || strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, "..") {
				return fault.WithHint(fault.New(fault.Invalid, "{%s} names no field", names), "%s", hint)
			}
		}
		template = after
	}
	return nil
}

func firstField(payload []byte, names string) string {
	for name := range strings.SplitSeq(names, "|") {
		s := scanner{b: payload}
		if value := s.field(name); value != "" {
			return value
		}
	}
	return ""
}

// field returns the scalar at a dotted path; "" when there is none.
func (s *scanner) field(path string) string {
	name, rest, nested := strings.Cut(path, ".")
	if s.space() != '{' {
		return ""
	}
	s.i++
	for s.space() == '"' {
		key, bad := s.key()
		if bad != nil {
			return ""
		}
		if string(key) == name {
			if nested {
				return s.field(rest)
			}
			return s.scalar()
		}
		if s.value(anything) != nil || s.space() != ',' {
			return ""
		}
		s.i++
	}
	return ""
}

func (s *scanner) scalar() string {
	switch c := s.space(); c {
	case '"':
		t, bad := s.str()
		if bad != nil {
			return ""
		}
		return string(t.bytes())
	case 't', 'f', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		start := s.i
		if s.value(anything) != nil {
			return ""
		}
		return string(s.b[start:s.i])
	}
	return ""
}

// oneLine makes s safe for a terminal and a table: one line, no control
// characters, no characters that change the direction of writing, no double
// spaces.
func oneLine(s string) string {
	var b strings.Builder
	n, space := 0, true // a leading space is dropped
	for _, r := range s {
		if unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			r = ' '
		}
		if r == ' ' && space {
			continue
		}
		if n == maxLine-1 {
			b.WriteRune('…')
			break
		}
		space = r == ' '
		b.WriteRune(r)
		n++
	}
	return strings.TrimRight(b.String(), " :")
}
