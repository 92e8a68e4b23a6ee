package change

import (
	"strings"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/connect"
	"midplane/cmd/midplane/shell/output"
	"midplane/event"
)

// NewRotate makes the command "rotate" with what it asks the cluster for.
func NewRotate(sh *shell.Shell) *cobra.Command {
	cmd := shell.Group(&cobra.Command{Use: "rotate", Short: "Replace keys, certificates and CAs while everything runs"})
	cmd.AddCommand(newRotateStatus(sh), newRotateCapability(sh), newRotateKeys(sh))
	return cmd
}

func newRotateKeys(sh *shell.Shell) *cobra.Command {
	var req api.Rotate
	var finish bool
	cmd := &cobra.Command{
		Use:   "keys --tenant T [--role ROLE]",
		Short: "Give the roles of a tenant new signing keys",
		Long: `Gives roles of a tenant new keys with which their users' credentials are signed;
without --role those of poller, producer, reader, app and inspector. No client is
disconnected: what a former key has signed stays good.

Pollers, applications and inspectors renew their credentials and come under the
new key by themselves; the former key is removed when all it has signed has
expired (24 hours). Producers and readers cannot renew: make new users for them
and delete the old ones, and the former key is removed with its last user. Or end
it now with --finish, which names the users it would cut off and needs --yes.

The nodes themselves (--role ingress, --role control) take the new key at once,
and their former keys are removed without --finish.`,
		Example: `  midplane rotate keys --tenant acme
  midplane rotate status --tenant acme
  midplane rotate keys --tenant acme --role producer --finish`,
		Args: shell.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			verb := api.RotateKeys
			if finish {
				verb = api.RotateFinish
			}
			return rotateTenant(sh, cmd, verb, req)
		},
	}
	cmd.Flags().StringVar(&req.Tenant, "tenant", "", "tenant (required)")
	cmd.Flags().StringSliceVar(&req.Roles, "role", nil, "role; once for each (default: all that users can have)")
	cmd.Flags().BoolVar(&finish, "finish", false, "end former keys now")
	cmd.Flags().BoolVar(&req.Yes, "yes", false, "with --finish: cut off the users who still have credentials of a former key")
	return cmd
}

func newRotateCapability(sh *shell.Shell) *cobra.Command {
	var req api.Rotate
	cmd := &cobra.Command{
		Use:   "capability --tenant T",
		Short: "Replace the secret behind which a tenant's streams listen",
		Long: `Replaces the capability of a tenant: the secret part of the subjects on which its
streams listen, known to the nodes only. For a moment the streams listen behind
both, every node takes the new one, then the old one is removed. Nothing that is
published at that time is lost.`,
		Example: "  midplane rotate capability --tenant acme",
		Args:    shell.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return rotateTenant(sh, cmd, api.RotateCapability, req)
		},
	}
	cmd.Flags().StringVar(&req.Tenant, "tenant", "", "tenant (required)")
	return cmd
}

func rotateTenant(sh *shell.Shell, cmd *cobra.Command, verb string, req api.Rotate) error {
	if req.Tenant == "" {
		return shell.Usage(cmd, "--tenant is missing")
	}
	if err := event.CheckName("tenant", req.Tenant); err != nil {
		return err
	}
	return sh.WithClient(func(c *connect.Client) error {
		var page api.Page[api.Rotation]
		if err := c.Admin(cmd.Context(), verb, req, &page); err != nil {
			return err
		}
		return printRotations(sh.Out, page.Items)
	})
}

func newRotateStatus(sh *shell.Shell) *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use:   "status [--tenant T]",
		Short: "Show which former keys are still good, and who has credentials of them",
		Long: `Shows what is being rotated in the tenants: former signing keys that are still
good, since when, what they wait for, and the users whose credentials may be of
them. When nothing is shown, no former key is good any more.`,
		Example: "  midplane rotate status",
		Args:    shell.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return sh.WithClient(func(c *connect.Client) error {
				rows := []api.Rotation{}
				for after := ""; ; {
					var page api.Page[api.Rotation]
					if err := c.Admin(cmd.Context(), api.RotationList, api.ListRequest{Tenant: tenant, After: after}, &page); err != nil {
						return err
					}
					rows = append(rows, page.Items...)
					if after = page.Next; after == "" {
						return printRotations(sh.Out, rows)
					}
				}
			})
		},
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "only this tenant")
	return cmd
}

func printRotations(out *output.Output, rows []api.Rotation) error {
	if len(rows) == 0 && !out.Machine() {
		out.Say("Nothing is being rotated: no former key is good any more.")
		return nil
	}
	return output.List(out, "former keys", rows, []output.Column[api.Rotation]{
		{Name: "Tenant", Value: func(r api.Rotation) string { return r.Tenant }},
		{Name: "What", Value: func(r api.Rotation) string { return strings.TrimSpace(r.What + " " + r.Role) }},
		{Name: "Since", Value: func(r api.Rotation) string {
			if r.Since.IsZero() {
				return ""
			}
			return output.Minute(r.Since)
		}},
		{Name: "Waits for", Value: func(r api.Rotation) string { return r.State }, Long: true},
		{Name: "Held by", Value: func(r api.Rotation) string { return strings.Join(r.Holders, ", ") }, Long: true},
		{Name: "Key", Value: func(r api.Rotation) string { return r.Key }, Wide: true},
	})
}
