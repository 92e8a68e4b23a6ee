package look

import (
	"fmt"
	"regexp"

	"github.com/spf13/cobra"

	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/output"
	"midplane/fault"
	"midplane/tenants"
)

// NewExplain is the command "explain".
func NewExplain(sh *shell.Shell) *cobra.Command {
	return &cobra.Command{
		Use:   "explain FIELD",
		Short: "What a field of a tenant's file means",
		Long: `Prints what the reference has about a field of a tenant's file, and about the
fields inside it. "tenant" is the whole file. Needs no cluster.`,
		Example: "  midplane explain tenant\n  midplane explain tenant.sites.devices.checks\n  midplane explain quota.storage",
		Args:    shell.Args(1, 1, "FIELD"),
		ValidArgsFunction: func(_ *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
			var out []string
			for _, f := range tenants.Fields() {
				out = append(out, f.Path)
			}
			return firstOnly(given, out)
		},
		RunE: func(_ *cobra.Command, given []string) error {
			f, inside, near, ok := tenants.Explain(given[0])
			if !ok {
				err := fault.New(fault.NotFound, "a tenant's file has no field %q", given[0])
				if near != "" {
					return fault.WithHint(err, "did you mean %s?", near)
				}
				return fault.WithHint(err, "see: midplane explain tenant")
			}
			return printField(sh.Out, f, inside)
		},
	}
}

// firstOnly completes the first argument and none behind it.
func firstOnly(given, values []string) ([]string, cobra.ShellCompDirective) {
	if len(given) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return values, cobra.ShellCompDirectiveNoFileComp
}

// link is a link of Markdown, which a terminal cannot show.
var link = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)

func printField(out *output.Output, of tenants.Field, inside []tenants.Field) error {
	for _, f := range append([]*tenants.Field{&of}, pointers(inside)...) {
		f.Default, f.Allowed, f.Meaning = link.ReplaceAllString(f.Default, "$1"), link.ReplaceAllString(f.Allowed, "$1"), link.ReplaceAllString(f.Meaning, "$1")
	}
	if out.Machine() {
		return out.Print(struct {
			tenants.Field
			Fields []tenants.Field `json:"fields"`
		}{of, inside})
	}
	fmt.Fprintln(out.Stdout, of.Path)
	f := facts{out.Stdout, out.Paint}
	f.line("Meaning", of.Meaning)
	f.line("Type", of.Type)
	f.line("Default", of.Default)
	f.line("Allowed", of.Allowed)
	output.Section(out, "Fields inside", inside, []output.Column[tenants.Field]{
		{Name: "Field", Value: func(f tenants.Field) string { return f.Path }},
		{Name: "Meaning", Value: func(f tenants.Field) string { return f.Meaning }, Long: true},
		{Name: "Default", Value: func(f tenants.Field) string { return f.Default }, Long: true, Drop: 2},
		{Name: "Allowed", Value: func(f tenants.Field) string { return f.Allowed }, Long: true, Drop: 1},
		{Name: "Type", Value: func(f tenants.Field) string { return f.Type }, Wide: true},
	})
	return nil
}

func pointers[T any](list []T) []*T {
	out := make([]*T, 0, len(list))
	for i := range list {
		out = append(out, &list[i])
	}
	return out
}
