package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"midplane/api"
)

func newUserList(a *app) *cobra.Command {
	var req api.ListRequest
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List users, their roles and how long their credentials are good",
		Long: `Lists the users of tenants. Pollers, apps and inspectors renew their credentials
by themselves at half of their life; those of producers, readers and admins end
at the time shown. Admins belong to no tenant.`,
		Example: "  midplane user list --tenant acme",
		Args:    args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withClient(func(c *client) error {
				rows, err := api.All[api.User](cmd.Context(), c.Admin, api.UserList, req)
				if err != nil {
					return err
				}
				return printList(a, "users", rows, userColumns)
			})
		},
	}
	cmd.Flags().StringVar(&req.Tenant, "tenant", "", "only this tenant's")
	return cmd
}

func when(at *time.Time, never string) string {
	if at == nil {
		return never
	}
	return at.UTC().Format(time.RFC3339)
}

var userColumns = []column[api.User]{
	{name: "Tenant", value: func(u api.User) string { return u.Tenant }},
	{name: "Name", value: func(u api.User) string { return u.Name }},
	{name: "Role", value: func(u api.User) string { return u.Role }},
	{name: "Status", value: func(u api.User) string { return u.Status }},
	{name: "Created", value: func(u api.User) string { return u.Created.UTC().Format(time.RFC3339) }},
	{name: "Expires", value: func(u api.User) string { return when(u.Expires, "never") }},
	{name: "Revoked", value: func(u api.User) string { return when(u.Revoked, "") }},
	{name: "Subscriptions", value: func(u api.User) string { return strings.Join(u.Subscriptions, ",") }},
	{name: "Site", value: func(u api.User) string { return u.Site }, wide: true},
}
