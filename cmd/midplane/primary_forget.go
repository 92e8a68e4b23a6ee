package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/event"
)

func newPrimaryForgetCmd(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "forget NAME --yes",
		Short: "Stop keeping messages for a primary that is gone for good",
		Long: `Forgets the cursors of a primary. Messages are kept until every known primary
has read them, so one that is gone for good holds space for ever. One that comes
back after it was forgotten may find that what it has not read is gone.`,
		Example: "  midplane status                        shows the primaries\n  midplane primary forget core-2 --yes",
		Args:    args(1, 1, "NAME of the primary"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := event.CheckName("primary", given[0]); err != nil {
				return err
			}
			if !yes {
				return mustSayYes("what primary %s has not read may be lost to it", given[0])
			}
			return a.withClient(func(c *client) error {
				if err := c.Admin(cmd.Context(), api.PrimaryDrop, api.PrimaryRef{Primary: given[0]}, nil); err != nil {
					return err
				}
				if a.format.machine() {
					return a.print(map[string]string{"primary": given[0], "status": "forgotten"})
				}
				fmt.Fprintf(a.stdout, "primary %s forgotten\n", given[0])
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}
