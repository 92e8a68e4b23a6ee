package tenants

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Checks of single fields, of any part of a spec.

// inRange checks lo ≤ v ≤ hi and reports whether it is so.
func inRange[T ~int | ~int64](p *problems, path string, v, lo, hi T) bool {
	good := v >= lo && v <= hi
	if !good {
		p.add(path, fmt.Sprintf("allowed is %s to %s", show(lo), show(hi)), "%s is out of range", show(v))
	}
	return good
}

var printable = regexp.MustCompile(`^[^\p{Cc}]*$`)

// text checks a display text.
func (p *problems) text(path, s string, limit int) {
	switch {
	case len(s) > limit:
		p.add(path, fmt.Sprintf("at most %d bytes", limit), "the text is too long (%d bytes)", len(s))
	case !printable.MatchString(s):
		p.add(path, "one line of text", "the text has a control character or a line break")
	}
}

func (p *problems) oneOf(path, v string, allowed ...string) {
	if slices.Contains(allowed, v) {
		return
	}
	hint := "one of: " + strings.Join(allowed, ", ")
	if best := closest(v, allowed); best != "" && v != "" {
		hint = fmt.Sprintf("did you mean %q?", best)
	}
	field := path[strings.LastIndex(path, ".")+1:]
	field, _, _ = strings.Cut(field, "[")
	p.add(path, hint, "%s %q is not known", field, clip(v))
}

// reference matches how a secret is named: as the poller sees it.
var reference = regexp.MustCompile(`^(env:[A-Za-z_][A-Za-z0-9_]{0,127}|file:[^\p{Cc}\s][^\p{Cc}]{0,999}|secret:[A-Za-z0-9][A-Za-z0-9_-]{0,62})$`)

// secret checks a field that must hold a reference. The value is never shown.
func (p *problems) secret(path, what, v string) {
	if !reference.MatchString(v) {
		p.addSecret(path, "write secret:NAME (midplane secret set), or env:NAME or file:PATH as the poller sees it; the value itself is not shown here",
			"%s must be a reference to a secret, not the secret", what)
	}
}
