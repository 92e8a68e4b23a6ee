package change

import (
	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/cmd/midplane/shell"
	"midplane/event"
)

// NewForgetNode is the command that removes a node from what is known.
func NewForgetNode(sh *shell.Shell) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "forget NAME --yes",
		Short: "Stop expecting a node that is gone for good",
		Long: `Removes what the registry knows of a node that does not run: it is no longer listed
as down, and an upgrade no longer waits for it. Its replicas of streams are not
moved. A node that starts again under the name is known again.`,
		Example: "  midplane status                  shows the nodes\n  midplane node forget n4 --yes",
		Args:    shell.Args(1, 1, "NAME of the node"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := event.CheckName("node", given[0]); err != nil {
				return err
			}
			if !yes {
				return shell.MustSayYes("nothing waits for node %s any more", given[0])
			}
			return forget(cmd.Context(), sh, "node", given[0], api.NodeDrop, api.NodeRef{Node: given[0]})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}
