package change

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/connect"
	"midplane/event"
)

// NewForgetPrimary is the command "primary forget".
func NewForgetPrimary(sh *shell.Shell) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "forget NAME --yes",
		Short: "Stop keeping messages for a primary that is gone for good",
		Long: `Forgets the cursors of a primary. Messages are kept until every known primary
has read them, so one that is gone for good holds space for ever. One that comes
back after it was forgotten may find that what it has not read is gone.`,
		Example: "  midplane status                        shows the primaries\n  midplane primary forget core-2 --yes",
		Args:    shell.Args(1, 1, "NAME of the primary"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := event.CheckName("primary", given[0]); err != nil {
				return err
			}
			if !yes {
				return shell.MustSayYes("what primary %s has not read may be lost to it", given[0])
			}
			return forget(cmd.Context(), sh, "primary", given[0], api.PrimaryDrop, api.PrimaryRef{Primary: given[0]})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

// forget asks the control plane to forget a node or a primary, and prints that it did.
func forget(ctx context.Context, sh *shell.Shell, kind, name, verb string, ref any) error {
	return sh.WithClient(func(c *connect.Client) error {
		if err := c.Admin(ctx, verb, ref, nil); err != nil {
			return err
		}
		if sh.Out.Machine() {
			return sh.Out.Print(map[string]string{kind: name, "status": "forgotten"})
		}
		fmt.Fprintf(sh.Out.Stdout, "%s %s forgotten\n", kind, name)
		return nil
	})
}
