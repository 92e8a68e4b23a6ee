package tenants

import (
	"bytes"
	"fmt"
)

// The YAML library takes quadratic time for groups of very many fields and for
// lists of very many empty items (minutes for a megabyte), and recurses once
// per open bracket. No tenant needs either, so such a file is refused before
// the library sees it. The guard looks at lines and brackets only; what it
// takes for a field inside a text is harmless in these numbers.

// excess returns the line where a file becomes unreasonable, and why.
func excess(data []byte) (int, string) {
	var g guard
	for n, line := range bytes.Split(data, []byte("\n")) {
		if why := g.line(line); why != "" {
			return n + 1, why
		}
	}
	return 0, ""
}

type guard struct {
	depth  []flow      // open brackets
	fields map[int]int // indentation → lines of one group of fields
	deep   int         // largest indentation in fields
	empty  int         // items or fields with nothing behind them
	last   int         // indentation of such a line that was just seen, or -1
	docs   int
}

// flow is an open bracket and how many commas were inside it.
type flow struct {
	open   byte
	commas int
}

func (g *guard) line(line []byte) string {
	text := bytes.TrimLeft(line, " ")
	indent := len(line) - len(text)
	text = bytes.TrimRight(text, " \t\r")
	if len(text) == 0 || text[0] == '#' {
		return ""
	}
	if bytes.HasPrefix(line, []byte("---")) {
		g.docs++
	}
	if g.fields == nil {
		g.fields, g.last = map[int]int{}, -1
	}
	item := text[0] == '-'
	if g.last >= indent && !(item && g.last == indent && text[len(text)-1] != '-') {
		g.empty++
	}
	g.last = -1
	if c := text[len(text)-1]; c == ':' || len(text) == 1 && c == '-' {
		g.last = indent
	}
	g.group(indent, item || bytes.IndexByte([]byte("[]{}"), text[0]) >= 0)
	run := g.brackets(text)
	switch {
	case len(g.depth) > maxDepth || run > maxDepth:
		return fmt.Sprintf("nested more than %d deep", maxDepth)
	case g.fields[indent] > maxFields || g.wide():
		return fmt.Sprintf("more than %d fields in one place", maxFields)
	case g.empty > maxFields:
		return fmt.Sprintf("more than %d fields or items with nothing behind them", maxFields)
	case g.docs > 4:
		return "several documents in one file: put every tenant into a file of its own"
	}
	return ""
}

// group counts the lines of a group of fields. A line that stands further left
// ends the groups inside; an item or a bracket is no field.
func (g *guard) group(indent int, item bool) {
	if g.deep > indent {
		for i := range g.fields {
			if i > indent {
				delete(g.fields, i)
			}
		}
		g.deep = indent
	}
	if !item {
		g.fields[indent]++
		g.deep = max(g.deep, indent)
	}
}

// brackets follows the brackets of a line and returns its longest run of
// indicators ("- - -").
func (g *guard) brackets(text []byte) int {
	run, longest := 0, 0
	for i, c := range text {
		switch c {
		case '[', '{':
			if len(g.depth) <= maxDepth {
				g.depth = append(g.depth, flow{open: c})
			}
		case ']', '}':
			g.depth = g.depth[:max(len(g.depth)-1, 0)]
		case ',':
			if n := len(g.depth); n > 0 && g.depth[n-1].commas <= maxFields {
				g.depth[n-1].commas++
			}
			if g.wide() {
				return longest
			}
		case '-', '?', ':':
			if i+1 < len(text) && text[i+1] == ' ' {
				run++
			}
		case ' ', '\t':
		default:
			run = 0
		}
		longest = max(longest, run)
		if len(g.depth) > maxDepth {
			return longest
		}
	}
	return longest
}

// wide reports whether the innermost open brace has too many fields.
func (g *guard) wide() bool {
	n := len(g.depth)
	return n > 0 && g.depth[n-1].open == '{' && g.depth[n-1].commas > maxFields
}
