package main

import (
	"time"

	"github.com/spf13/cobra"

	"midplane/console/access"
	"midplane/fault"
)

func tenantOrAll(tenant string) string {
	if tenant == "" {
		return "all"
	}
	return tenant
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04Z") }

func newConsoleUserAdd(a *app) *cobra.Command {
	var data string
	var g grantFlags
	cmd := &cobra.Command{
		Use:   "add NAME --role ROLE",
		Short: "Add a person",
		Long: `Adds a person. The password is asked for at a terminal, or read as one line from
standard input: at least 12 characters, and none that is easily guessed.`,
		Example: `  midplane console user add ann --role admin
  midplane console user add vic --role viewer --tenant acme < password.txt`,
		Args: args(1, 1, "NAME of the person"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if g.role == "" {
				return usage(cmd, "--role is missing")
			}
			store, err := openAccess(data)
			if err != nil {
				return err
			}
			password, err := a.newPassword(cmd, given[0])
			if err == nil {
				err = store.AddUser(given[0], access.Role(g.role), g.tenant, password)
			}
			if err == nil {
				a.say("user %s added: %s of %s", given[0], g.role, grantedOver(g.tenant))
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

func newConsoleUserPasswd(a *app) *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "passwd NAME",
		Short: "Give a person another password",
		Long:  "Gives a person another password, asked for like that of a new one. Their sessions end.",
		Args:  args(1, 1, "NAME of the person"),
		RunE: func(cmd *cobra.Command, given []string) error {
			store, err := openAccess(data)
			if err != nil {
				return err
			}
			password, err := a.newPassword(cmd, given[0])
			if err == nil {
				err = store.SetPassword(given[0], password)
			}
			if err == nil {
				a.say("user %s has another password; open sessions have ended", given[0])
			}
			return err
		},
	}
	dataFlag(cmd, &data)
	return cmd
}

func newConsoleUserMFA(a *app) *cobra.Command {
	var data string
	var off bool
	cmd := &cobra.Command{
		Use:   "mfa NAME",
		Short: "Give a person a second factor",
		Long: `Gives a person a second factor and prints its secret, this once, for an
authenticator app (TOTP: six digits, 30 seconds). From then on a login needs the
code too; one-time links do not. Sessions of that person end. Repeated, it makes
another secret; --off takes the factor away.`,
		Args: args(1, 1, "NAME of the person"),
		RunE: func(_ *cobra.Command, given []string) error {
			store, err := openAccess(data)
			if err != nil {
				return err
			}
			if off {
				if err = store.DropFactor(given[0]); err == nil {
					a.say("user %s needs no second factor any more; open sessions have ended", given[0])
				}
				return err
			}
			f, err := store.SetFactor(given[0])
			if err != nil {
				return err
			}
			if a.format.machine() {
				return a.print(f)
			}
			a.say("%s", f.Secret)
			a.say("%s", f.URL)
			return nil
		},
	}
	dataFlag(cmd, &data)
	cmd.Flags().BoolVar(&off, "off", false, "take it away")
	return cmd
}

func newConsoleUserDelete(a *app) *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use: "delete NAME", Short: "Remove a person and end their sessions", Args: args(1, 1, "NAME of the person"),
		RunE: func(_ *cobra.Command, given []string) error {
			store, err := openAccess(data)
			if err == nil {
				err = store.DeleteUser(given[0])
			}
			if err == nil {
				a.say("user %s deleted", given[0])
			}
			return err
		},
	}
	dataFlag(cmd, &data)
	return cmd
}

func newConsoleUserList(a *app) *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use: "list", Short: "List people", Args: args(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			store, err := openAccess(data)
			if err != nil {
				return err
			}
			users, err := store.Users()
			if err != nil {
				return err
			}
			return printList(a, "users", users, []column[access.User]{
				{name: "User", value: func(u access.User) string { return u.Name }},
				{name: "Role", value: func(u access.User) string { return string(u.Role) }},
				{name: "Tenant", value: func(u access.User) string { return tenantOrAll(u.Tenant) }},
				{name: "Second factor", value: func(u access.User) string { return yesNo(u.MFA) }},
				{name: "Created", value: func(u access.User) string { return day(u.Created) }},
				{name: "Password of", value: func(u access.User) string { return day(u.Changed) }},
			})
		},
	}
	dataFlag(cmd, &data)
	return cmd
}

// newPassword reads the password of a person and refuses a weak one before
// anything is changed.
func (a *app) newPassword(cmd *cobra.Command, name string) (string, error) {
	first, terminal, err := a.readSecret(cmd.Context(), "Password for "+name+": ")
	if err != nil {
		return "", err
	}
	if err := access.CheckPassword(name, first); err != nil {
		return "", err
	}
	if terminal {
		again, _, err := a.readSecret(cmd.Context(), "Again: ")
		if err != nil {
			return "", err
		}
		if again != first {
			return "", fault.New(fault.Invalid, "these were two different passwords; nothing was changed")
		}
	}
	return first, nil
}
