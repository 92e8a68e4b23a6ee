package docs_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	tenancy "midplane/platform/tenancy_test"
)

// permissions shows the matrix that is tried cell by cell: a row for every
// role and verb and result, and what its groups hold.
func permissions(t *testing.T) string {
	m, err := tenancy.Load()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d cells.\n\n| role | verb | subject | result | cells |\n|---|---|---|---|---|\n", len(m.Cells()))
	for _, role := range m.Roles {
		for _, verb := range tenancy.Verbs {
			for _, r := range m.Rows {
				if r.Verb == verb && slices.Contains(r.Roles, role.Role) {
					fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %d |\n", role.Role, verb, subjectCell(m, r, role.Role), outcome(r), len(m.Of(r, role.Role)))
				}
			}
		}
	}
	b.WriteString("\n### Who tries\n\n| role | its user is | who that is |\n|---|---|---|\n")
	for _, r := range m.Roles {
		fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", r.Role, r.User, cell(r.Who))
	}
	b.WriteString("\n### Groups of subjects\n\n| group | what | subjects |\n|---|---|---|\n")
	for _, name := range sorted(m.Groups) {
		if g := m.Groups[name]; name != "tricks" {
			fmt.Fprintf(&b, "| *%s* | %s | %s |\n", name, cell(g.What), codes(g.Subjects))
		}
	}
	b.WriteString("\n### Tricks at the door\n\n| what is hidden in the message | what becomes of it |\n|---|---|\n")
	for _, tr := range m.Tricks {
		fmt.Fprintf(&b, "| %s | %s |\n", cell(tr.Shows), tr.Want)
	}
	return b.String()
}

func subjectCell(m tenancy.Matrix, r tenancy.Row, role string) string {
	var parts []string
	for _, g := range r.Of {
		parts = append(parts, "*"+g+"*")
	}
	for _, s := range r.Subjects {
		if !slices.Contains(r.But[role], s) {
			parts = append(parts, code(s))
		}
	}
	out := strings.Join(parts, ", ")
	if but := r.But[role]; len(but) > 0 {
		out += " without its own " + codes(but)
	}
	if len(r.Via) == 0 {
		return out
	}
	via := slices.Clone(r.Via)
	for i, v := range via {
		if strings.Contains(v, ".") {
			via[i] = code(v)
		}
	}
	return "(" + strings.Join(via, "; ") + ") " + out
}

func outcome(r tenancy.Row) string {
	switch r.How {
	case "no-responders":
		return r.Result + ": nothing listens there"
	case "taken":
		return r.Result + ": the server takes it"
	}
	return r.Result
}

func codes(list []string) string {
	var out []string
	for _, s := range list {
		out = append(out, code(s))
	}
	return strings.Join(out, "<br>")
}

// code shows control characters as they are written in the data.
func code(s string) string {
	data, _ := json.Marshal(s)
	s = strings.NewReplacer(`\u003e`, ">", `\u003c`, "<", `\u0026`, "&", `\"`, `"`).Replace(strings.Trim(string(data), `"`))
	return "`" + strings.ReplaceAll(s, "|", "\\|") + "`"
}
