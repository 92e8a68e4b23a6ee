package main

import (
	"strings"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/event"
)

func newRotateKeysCmd(a *app) *cobra.Command {
	var req api.Rotate
	var finish bool
	cmd := &cobra.Command{
		Use:   "keys --tenant T [--role ROLE]",
		Short: "Give the roles of a tenant new signing keys",
		Long: `Gives roles of a tenant new keys with which their users' credentials are signed;
without --role those of poller, producer, reader, app and inspector. Nobody is
disconnected: what a former key has signed stays good.

Pollers, applications and inspectors renew their credentials and come under the
new key by themselves; the former key goes when all it has signed has expired
(24 hours). Producers and readers cannot renew: make them new users, delete the
old ones, and the key goes when nobody is left; or end it with --finish, which
names whom it would cut off and wants --yes for that.

Doors and control plane (--role ingress, --role control) move at once, and their
former keys go by themselves.`,
		Example: `  midplane rotate keys --tenant acme
  midplane rotate status --tenant acme
  midplane rotate keys --tenant acme --role producer --finish`,
		Args: args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			verb := api.RotateKeys
			if finish {
				verb = api.RotateFinish
			}
			return a.rotateTenant(cmd, verb, req)
		},
	}
	cmd.Flags().StringVar(&req.Tenant, "tenant", "", "tenant (required)")
	cmd.Flags().StringSliceVar(&req.Roles, "role", nil, "role; once for each (default: all that users can have)")
	cmd.Flags().BoolVar(&finish, "finish", false, "end former keys now")
	cmd.Flags().BoolVar(&req.Yes, "yes", false, "with --finish: cut off who still has credentials of a former key")
	return cmd
}

func newRotateCapabilityCmd(a *app) *cobra.Command {
	var req api.Rotate
	cmd := &cobra.Command{
		Use:   "capability --tenant T",
		Short: "Replace the secret behind which a tenant's streams listen",
		Long: `Replaces the capability of a tenant: the secret part of the subjects on which its
streams listen, known to the doors and the control plane only. For a moment the
streams listen behind both, every node moves to the new one, then the old one
goes. Nothing that is published meanwhile is lost.`,
		Example: "  midplane rotate capability --tenant acme",
		Args:    args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.rotateTenant(cmd, api.RotateCapability, req)
		},
	}
	cmd.Flags().StringVar(&req.Tenant, "tenant", "", "tenant (required)")
	return cmd
}

func (a *app) rotateTenant(cmd *cobra.Command, verb string, req api.Rotate) error {
	if req.Tenant == "" {
		return usage(cmd, "--tenant is missing")
	}
	if err := event.CheckName("tenant", req.Tenant); err != nil {
		return err
	}
	return a.withClient(func(c *client) error {
		var page api.Page[api.Rotation]
		if err := c.Admin(cmd.Context(), verb, req, &page); err != nil {
			return err
		}
		return a.printRotations(page.Items)
	})
}

func newRotateStatusCmd(a *app) *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use:   "status [--tenant T]",
		Short: "Show which former keys still hold, and who holds credentials of them",
		Long: `Shows what is being rotated in the tenants: former signing keys that still hold,
since when, what they wait for, and the users whose credentials may be of them.
When nothing is shown, nothing former holds.`,
		Example: "  midplane rotate status",
		Args:    args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withClient(func(c *client) error {
				rows := []api.Rotation{}
				for after := ""; ; {
					var page api.Page[api.Rotation]
					if err := c.Admin(cmd.Context(), api.RotationList, api.ListRequest{Tenant: tenant, After: after}, &page); err != nil {
						return err
					}
					rows = append(rows, page.Items...)
					if after = page.Next; after == "" {
						return a.printRotations(rows)
					}
				}
			})
		},
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "only this tenant")
	return cmd
}

func (a *app) printRotations(rows []api.Rotation) error {
	if len(rows) == 0 && !a.format.machine() {
		a.say("Nothing is being rotated: no former key holds.")
		return nil
	}
	return printList(a, "former keys", rows, []column[api.Rotation]{
		{name: "Tenant", value: func(r api.Rotation) string { return r.Tenant }},
		{name: "What", value: func(r api.Rotation) string { return strings.TrimSpace(r.What + " " + r.Role) }},
		{name: "Since", value: func(r api.Rotation) string {
			if r.Since.IsZero() {
				return ""
			}
			return day(r.Since)
		}},
		{name: "Waits for", value: func(r api.Rotation) string { return r.State }, long: true},
		{name: "Held by", value: func(r api.Rotation) string { return strings.Join(r.Holders, ", ") }, long: true},
		{name: "Key", value: func(r api.Rotation) string { return r.Key }, wide: true},
	})
}
