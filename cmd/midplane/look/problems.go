package look

import (
	"fmt"
	"strings"

	"midplane/api"
	"midplane/cmd/midplane/shell/output"
)

// printProblems prints what is wrong, root causes first, and what follows from each:
// whole, or how much of what.
func printProblems(out *output.Output, list []api.Problem, whole bool) {
	if len(list) == 0 {
		fmt.Fprintln(out.Stdout, "\nNothing is wrong.")
		return
	}
	fmt.Fprintf(out.Stdout, "\n%d %s:\n", len(list), output.Plural("problems", len(list)))
	for _, r := range together(api.Roots(list)) {
		printProblem(out, "  ", r.Problem)
		switch {
		case len(r.Follows) == 0:
		case whole:
			fmt.Fprintf(out.Stdout, "      %d more %s from this:\n", len(r.Follows), follow(r.Follows))
			for _, p := range r.Follows {
				printProblem(out, "      ", p)
			}
		default:
			fmt.Fprintf(out.Stdout, "      %d more %s from this: %s (-v shows all)\n", len(r.Follows), follow(r.Follows), counted(r.Follows))
		}
	}
}

func follow(list []api.Problem) string {
	if len(list) == 1 {
		return "follows"
	}
	return "follow"
}

func printProblem(out *output.Output, indent string, p api.Problem) {
	where := ""
	if p.Tenant != "" {
		where = "tenant " + p.Tenant + ": "
	}
	fmt.Fprintf(out.Stdout, "%s%s: %s%s (%s)\n", indent, out.Paint(p.Severity), where, output.Printable(p.Message), output.Printable(string(p.Code)))
	if p.Hint != "" {
		fmt.Fprintf(out.Stdout, "%s    → %s\n", indent, output.Printable(p.Hint))
	}
}

// together makes one of problems of the whole cluster that follow each other and have
// the same code and hint: two nodes that are down are one line.
func together(roots []api.Root) (out []api.Root) {
	for _, r := range roots {
		if n := len(out) - 1; n >= 0 && r.Tenant == "" && r.Code != api.CodeUnspecified && r.Code == out[n].Code && r.Tenant == out[n].Tenant && r.Hint == out[n].Hint {
			out[n].Message += "; " + r.Message
			out[n].Follows = append(out[n].Follows, r.Follows...)
			continue
		}
		out = append(out, r)
	}
	return out
}

// counted names the codes of some problems in their order, with how many there are of
// each.
func counted(list []api.Problem) string {
	var order []api.Code
	count := map[api.Code]int{}
	for _, p := range list {
		if count[p.Code]++; count[p.Code] == 1 {
			order = append(order, p.Code)
		}
	}
	var out []string
	for _, c := range order {
		name := output.Printable(string(c))
		if count[c] > 1 {
			name = fmt.Sprintf("%d × %s", count[c], name)
		}
		out = append(out, name)
	}
	return strings.Join(out, ", ")
}
