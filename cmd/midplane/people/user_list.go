package people

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/connect"
	"midplane/cmd/midplane/shell/output"
)

func newUserList(sh *shell.Shell) *cobra.Command {
	var req api.ListRequest
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List users, their roles and how long their credentials are good",
		Long: `Lists the users of tenants. Pollers, apps and inspectors renew their credentials
by themselves about half-way through their life; those of producers, readers and admins end
at the time shown. Admins belong to no tenant.`,
		Example: "  midplane user list --tenant acme",
		Args:    shell.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return sh.WithClient(func(c *connect.Client) error {
				rows, err := api.All[api.User](cmd.Context(), c.Admin, api.UserList, req)
				if err != nil {
					return err
				}
				return output.List(sh.Out, "users", rows, userColumns)
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

var userColumns = []output.Column[api.User]{
	{Name: "Tenant", Value: func(u api.User) string { return u.Tenant }},
	{Name: "Name", Value: func(u api.User) string { return u.Name }},
	{Name: "Role", Value: func(u api.User) string { return u.Role }},
	{Name: "Status", Value: func(u api.User) string { return u.Status }},
	{Name: "Created", Value: func(u api.User) string { return u.Created.UTC().Format(time.RFC3339) }, Drop: 1},
	{Name: "Expires", Value: func(u api.User) string { return when(u.Expires, "never") }},
	{Name: "Revoked", Value: func(u api.User) string { return when(u.Revoked, "") }, Drop: 3},
	{Name: "Subscriptions", Value: func(u api.User) string { return strings.Join(u.Subscriptions, ",") }, Drop: 2},
	{Name: "Site", Value: func(u api.User) string { return u.Site }, Wide: true},
}
