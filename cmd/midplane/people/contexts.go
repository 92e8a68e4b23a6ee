package people

import (
	"cmp"
	"strings"

	"github.com/spf13/cobra"

	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/connect"
	"midplane/cmd/midplane/shell/output"
)

// NewContext is the command "context".
func NewContext(sh *shell.Shell) *cobra.Command {
	cmd := shell.Group(&cobra.Command{Use: "context", Short: "The NATS contexts that were saved: who connects, and where"})
	cmd.AddCommand(newContextLsCmd(sh), newContextSelectCmd(sh))
	return cmd
}

func newContextLsCmd(sh *shell.Shell) *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List the saved contexts",
		Long: `Lists the NATS contexts of this user of the machine, those of other systems too.
Selected is the one that the nats CLI takes without --context; used is the one
that midplane takes: --context or its setting, else $NATS_CONTEXT, else
"midplane"; none when NATS_URL and NATS_CREDS say where to connect and as whom.`,
		Example: "  midplane context ls",
		Args:    shell.Args(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			return output.List(sh.Out, "contexts", connect.ListContexts(sh.Target().Context), []output.Column[connect.Saved]{
				{Name: "Context", Value: func(c connect.Saved) string { return c.Name }},
				{Name: "User", Value: func(c connect.Saved) string { return c.User }},
				{Name: "Servers", Value: func(c connect.Saved) string { return strings.Join(c.Servers, ", ") }, Long: true},
				{Name: "Selected", Value: func(c connect.Saved) string { return output.YesNo(c.Selected) }},
				{Name: "Used", Value: func(c connect.Saved) string { return output.YesNo(c.Used) }},
				{Name: "Description", Value: func(c connect.Saved) string { return cmp.Or(c.Problem, c.Description) }, Wide: true},
			})
		},
	}
}

func newContextSelectCmd(sh *shell.Shell) *cobra.Command {
	return &cobra.Command{
		Use:   "select NAME",
		Short: "Select the context that the nats CLI uses",
		Long: `Selects the context that the nats CLI takes when it is given none. midplane itself
goes on with --context, its setting context, else "midplane": a tenant's user can
do nothing there.`,
		Example: "  midplane user create --tenant acme --role inspector ann --out ann.creds --save-context\n  midplane context select midplane-acme-ann",
		Args:    shell.Args(1, 1, "NAME of the context"),
		RunE: func(_ *cobra.Command, given []string) error {
			if err := connect.SelectContext(given[0]); err != nil {
				return err
			}
			if sh.Out.Machine() {
				return sh.Out.Print(map[string]string{"context": given[0], "status": "selected"})
			}
			sh.Out.Say("the nats CLI now uses context %s", given[0])
			return nil
		},
	}
}
