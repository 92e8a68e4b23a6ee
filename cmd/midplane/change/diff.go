package change

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/connect"
	"midplane/cmd/midplane/shell/output"
	"midplane/tenants"
)

// NewValidate is the command "validate".
func NewValidate(sh *shell.Shell) *cobra.Command {
	var files []string
	cmd := &cobra.Command{
		Use:     "validate -f DIR|FILE|-",
		Short:   "Find mistakes in tenants' files, without a cluster",
		Long:    "Reads tenants' files as apply does and reports every mistake with file, line,\ncolumn and a hint. It asks no cluster and changes nothing.",
		Example: "  midplane validate -f tenants/",
		Args:    shell.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := loadTenants(sh, cmd, files)
			if err != nil {
				return err
			}
			rows := make([]validated, 0, len(loaded))
			for _, l := range loaded {
				rows = append(rows, validate(l))
				warn(sh.Out, l.Spec)
			}
			return output.List(sh.Out, "tenants", rows, []output.Column[validated]{
				{Name: "Tenant", Value: func(v validated) string { return v.Tenant }},
				{Name: "File", Value: func(v validated) string { return v.File }},
				{Name: "Sites", Value: func(v validated) string { return fmt.Sprint(v.Sites) }, Right: true},
				{Name: "Pollers", Value: func(v validated) string { return fmt.Sprint(v.Pollers) }, Right: true},
				{Name: "Devices", Value: func(v validated) string { return fmt.Sprint(v.Devices) }, Right: true},
				{Name: "Secrets", Value: func(v validated) string { return strings.Join(v.Secrets, ", ") }, Long: true},
				{Name: "Valid", Value: func(v validated) string { return output.YesNo(v.Valid) }},
			})
		},
	}
	fileFlag(cmd, &files)
	return cmd
}

// validated is one file without a mistake.
type validated struct {
	Tenant  string `json:"tenant"`
	File    string `json:"file"`
	Valid   bool   `json:"valid"`
	Sites   int    `json:"sites"`
	Pollers int    `json:"pollers"`
	Devices int    `json:"devices"`
	// Secrets are the names that the file refers to as secret:NAME. Whether they
	// are set, only the cluster knows: see midplane secret list.
	Secrets []string `json:"secrets"`
}

func validate(l *tenants.Loaded) validated {
	v := validated{Tenant: string(l.Spec.ID), File: l.File, Valid: true, Sites: len(l.Spec.Sites)}
	for _, s := range l.Spec.Sites {
		v.Pollers += len(s.Pollers)
		v.Devices += len(s.Devices)
	}
	v.Secrets = l.Spec.Secrets()
	return v
}

// NewDiff is the command "diff".
func NewDiff(sh *shell.Shell) *cobra.Command {
	var files []string
	cmd := &cobra.Command{
		Use:   "diff -f DIR|FILE|-",
		Short: "What apply would do",
		Long: `Compares tenants' files with the cluster and prints what "midplane apply" would
do. Changes nothing.

Exits with 0 when there is nothing to do, 1 when there are differences, and
above 1 on an error.`,
		Example: "  midplane diff -f tenants/\n  midplane diff -f tenants/acme.yaml -o json",
		Args:    shell.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := loadTenants(sh, cmd, files)
			if err != nil {
				return err
			}
			return sh.WithClient(func(c *connect.Client) error {
				changes, err := planAll(cmd.Context(), c, loaded)
				if err != nil {
					return err
				}
				if err := printPlan(sh.Out, changes); err != nil {
					return err
				}
				for _, ch := range changes {
					warn(sh.Out, ch.want)
				}
				for _, ch := range changes {
					if len(ch.Steps) > 0 {
						return shell.Exit(1)
					}
				}
				return nil
			})
		},
	}
	fileFlag(cmd, &files)
	return cmd
}

// printPlan is the output of diff and of apply --dry-run.
func printPlan(out *output.Output, changes []change) error {
	if out.Machine() {
		return out.Print(changes)
	}
	_, err := fmt.Fprint(out.Stdout, planText(changes))
	return err
}
