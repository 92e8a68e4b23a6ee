package people

import (
	"github.com/spf13/cobra"

	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/output"
	"midplane/console/access"
	"midplane/fault"
)

func tenantOrAll(tenant string) string {
	if tenant == "" {
		return "all"
	}
	return tenant
}

func newConsoleUserAdd(sh *shell.Shell) *cobra.Command {
	var data string
	var g grantFlags
	cmd := &cobra.Command{
		Use:   "add NAME --role ROLE",
		Short: "Add a person",
		Long: `Adds a person. The password is asked for at a terminal, or read as one line from
standard input: at least 12 characters, and none that is easily guessed.`,
		Example: `  midplane console user add ann --role admin
  midplane console user add vic --role viewer --tenant acme < password.txt`,
		Args: shell.Args(1, 1, "NAME of the person"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if g.role == "" {
				return shell.Usage(cmd, "--role is missing")
			}
			store, err := openAccess(data)
			if err != nil {
				return err
			}
			password, err := newPassword(sh, cmd, given[0])
			if err == nil {
				err = store.AddUser(given[0], access.Role(g.role), g.tenant, password)
			}
			if err == nil {
				sh.Out.Say("user %s added: %s of %s", given[0], g.role, grantedOver(g.tenant))
			}
			return err
		},
	}
	dataFlag(cmd, &data)
	g.add(cmd, "", "admin, operator or viewer")
	return cmd
}

func grantedOver(tenant string) string {
	if tenant == "" {
		return "all tenants"
	}
	return "tenant " + tenant
}

func newConsoleUserPasswd(sh *shell.Shell) *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "passwd NAME",
		Short: "Give a person another password",
		Long:  "Gives a person another password, asked for like that of a new one. Their sessions end.",
		Args:  shell.Args(1, 1, "NAME of the person"),
		RunE: func(cmd *cobra.Command, given []string) error {
			store, err := openAccess(data)
			if err != nil {
				return err
			}
			password, err := newPassword(sh, cmd, given[0])
			if err == nil {
				err = store.SetPassword(given[0], password)
			}
			if err == nil {
				sh.Out.Say("user %s has another password; open sessions have ended", given[0])
			}
			return err
		},
	}
	dataFlag(cmd, &data)
	return cmd
}

func newConsoleUserMFA(sh *shell.Shell) *cobra.Command {
	var data string
	var off bool
	cmd := &cobra.Command{
		Use:   "mfa NAME",
		Short: "Give a person a second factor",
		Long: `Gives a person a second factor and prints its secret, this once, for an
authenticator app (TOTP: six digits, 30 seconds). From then on a login needs the
code too; one-time links do not. Sessions of that person end. Repeated, it makes
another secret; --off takes the factor away.`,
		Args: shell.Args(1, 1, "NAME of the person"),
		RunE: func(_ *cobra.Command, given []string) error {
			store, err := openAccess(data)
			if err != nil {
				return err
			}
			if off {
				if err = store.DropFactor(given[0]); err == nil {
					sh.Out.Say("user %s needs no second factor any more; open sessions have ended", given[0])
				}
				return err
			}
			f, err := store.SetFactor(given[0])
			if err != nil {
				return err
			}
			if sh.Out.Machine() {
				return sh.Out.Print(f)
			}
			sh.Out.Say("%s", f.Secret)
			sh.Out.Say("%s", f.URL)
			return nil
		},
	}
	dataFlag(cmd, &data)
	cmd.Flags().BoolVar(&off, "off", false, "take it away")
	return cmd
}

func newConsoleUserDelete(sh *shell.Shell) *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use: "delete NAME", Short: "Remove a person and end their sessions", Args: shell.Args(1, 1, "NAME of the person"),
		RunE: func(_ *cobra.Command, given []string) error {
			store, err := openAccess(data)
			if err == nil {
				err = store.DeleteUser(given[0])
			}
			if err == nil {
				sh.Out.Say("user %s deleted", given[0])
			}
			return err
		},
	}
	dataFlag(cmd, &data)
	return cmd
}

func newConsoleUserList(sh *shell.Shell) *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use: "list", Short: "List people", Args: shell.Args(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			store, err := openAccess(data)
			if err != nil {
				return err
			}
			users, err := store.Users()
			if err != nil {
				return err
			}
			return output.List(sh.Out, "users", users, []output.Column[access.User]{
				{Name: "User", Value: func(u access.User) string { return u.Name }},
				{Name: "Role", Value: func(u access.User) string { return string(u.Role) }},
				{Name: "Tenant", Value: func(u access.User) string { return tenantOrAll(u.Tenant) }},
				{Name: "Second factor", Value: func(u access.User) string { return output.YesNo(u.MFA) }},
				{Name: "Created", Value: func(u access.User) string { return output.Minute(u.Created) }},
				{Name: "Password of", Value: func(u access.User) string { return output.Minute(u.Changed) }},
			})
		},
	}
	dataFlag(cmd, &data)
	return cmd
}

// newPassword reads the password of a person and refuses a weak one before
// anything is changed.
func newPassword(sh *shell.Shell, cmd *cobra.Command, name string) (string, error) {
	first, terminal, err := sh.ReadSecret(cmd.Context(), "Password for "+name+": ")
	if err != nil {
		return "", err
	}
	if err := access.CheckPassword(name, first); err != nil {
		return "", err
	}
	if terminal {
		again, _, err := sh.ReadSecret(cmd.Context(), "Again: ")
		if err != nil {
			return "", err
		}
		if again != first {
			return "", fault.New(fault.Invalid, "these were two different passwords; nothing was changed")
		}
	}
	return first, nil
}
