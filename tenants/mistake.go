package tenants

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"midplane/fault"
)

// Mistake is one thing wrong in a tenant's file or spec. Line and Column count
// from 1 and are 0 when there is no file (a spec that came as JSON).
type Mistake struct {
	File    string
	Line    int
	Column  int
	Path    string // of the field, "sites[0].devices[1].address"
	Message string
	Source  string // the offending line, secrets masked
	Hint    string
}

// Error prints place, message, the offending line and the hint, one below the
// other.
func (m *Mistake) Error() string {
	var b strings.Builder
	switch {
	case m.Line > 0:
		fmt.Fprintf(&b, "%s:%d:%d: ", m.File, m.Line, m.Column)
	case m.File != "":
		b.WriteString(m.File + ": ")
	case m.Path != "":
		b.WriteString(m.Path + ": ")
	}
	b.WriteString(m.Message)
	if m.Source != "" {
		number := fmt.Sprintf("%5d", m.Line)
		fmt.Fprintf(&b, "\n%s | %s\n%s | %s^", number, m.Source, strings.Repeat(" ", len(number)), caretIndent(m.Source, m.Column))
	}
	if m.Hint != "" {
		b.WriteString("\n      = hint: " + m.Hint)
	}
	return b.String()
}

// caretIndent keeps tabs, so that the caret stands under its column.
func caretIndent(source string, column int) string {
	var b strings.Builder
	for i, r := range []rune(source) {
		if i >= column-1 {
			break
		}
		if r != '\t' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Mistakes returns every mistake in err, in the order they were found.
func Mistakes(err error) []*Mistake {
	switch e := err.(type) {
	case nil:
		return nil
	case *Mistake:
		return []*Mistake{e}
	case interface{ Unwrap() []error }:
		var out []*Mistake
		for _, sub := range e.Unwrap() {
			out = append(out, Mistakes(sub)...)
		}
		return out
	}
	return Mistakes(errors.Unwrap(err))
}

// join makes one error of class Invalid of all mistakes; nil when there are none.
func join(list []*Mistake) error {
	if len(list) == 0 {
		return nil
	}
	errs := make([]error, len(list))
	for i, m := range list {
		errs[i] = m
	}
	return &fault.Error{Kind: fault.Invalid, Err: errors.Join(errs...)}
}

// problem is a mistake before its place in a file is known.
type problem struct {
	path    string
	message string
	hint    string
	atKey   bool // show the field's name, not its value
}

// problems collects.
type problems struct{ list []problem }

func (p *problems) add(path, hint, format string, args ...any) {
	p.list = append(p.list, problem{path: path, message: fmt.Sprintf(format, args...), hint: hint})
}

// addErr takes an error of another package.
func (p *problems) addErr(path string, err error) {
	if err != nil {
		p.add(path, fault.HintOf(err), "%s", err.Error())
	}
}

// addSecret is add for a field whose value must not be shown.
func (p *problems) addSecret(path, hint, format string, args ...any) {
	p.add(path, hint, format, args...)
	p.list[len(p.list)-1].atKey = true
}

func (p *problems) mistakes() []*Mistake {
	out := make([]*Mistake, 0, len(p.list))
	for _, x := range p.list {
		out = append(out, &Mistake{Path: x.path, Message: x.message, Hint: x.hint})
	}
	return out
}

// What may be a secret on a line that is about to be printed: the value of a
// field with a telling name unless it is a reference, and credentials in a URL.
var (
	secretName  = regexp.MustCompile(`(?i)(community|secret|password|passphrase|passwd|token|api_?key|credential|authorization)`)
	secretField = regexp.MustCompile(`(?i)(["']?[a-z0-9_-]*(?:community|secret|password|passphrase|passwd|token|api_?key|credential|authorization)[a-z0-9_-]*["']?\s*:\s*)(\S.*)$`)
	userinfo    = regexp.MustCompile(`(://)[^\s"']*@`)
	plainRef    = regexp.MustCompile(`^["']?(env|file):[^\s,}"']*["']?[\s}\]]*(#.*)?$`)
)

// mask hides secrets in a line of a file. A secret hides the rest of its line:
// where it ends cannot be known in a file that may be broken.
func mask(line string) string {
	line = userinfo.ReplaceAllString(line, "$1***@")
	m := secretField.FindStringSubmatchIndex(line)
	if m == nil || plainRef.MatchString(line[m[4]:m[5]]) {
		return line
	}
	return line[:m[4]] + "***"
}
