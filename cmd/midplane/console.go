package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/console/access"
	"midplane/fault"
)

func newConsoleCmd(a *app) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "console",
		Short: "Who may use the page and the HTTP API: users, tokens, login links",
		Long: `Who may use the page and the HTTP API. These commands work on the data folder of
a primary, or of "midplane up", running or stopped, and so only for who may read
it. A running server sees a change at the next request.

  admin     everything, also other people's sessions
  operator  sees everything, and acts
  viewer    sees everything, or with --tenant what is of that tenant alone
  metrics   /metrics alone (tokens only)`,
	})
	user := group(&cobra.Command{Use: "user", Short: "People, who log in with a password"})
	user.AddCommand(newConsoleUserAdd(a), newConsoleUserList(a), newConsoleUserPasswd(a), newConsoleUserMFA(a), newConsoleUserDelete(a))
	token := group(&cobra.Command{Use: "token", Short: "Machines, which send a token with every request"})
	token.AddCommand(newConsoleTokenCreate(a), newConsoleTokenList(a), newConsoleTokenRevoke(a))
	cmd.AddCommand(user, token, newConsoleLink(a))
	return cmd
}

// dataFlag is the folder that a command of "console" works on.
func dataFlag(cmd *cobra.Command, data *string) {
	cmd.Flags().StringVar(data, "data", stateDir(), "data folder of the primary, or of up")
}

// openAccess opens the users of a data folder that some server has used.
func openAccess(data string) (*access.Store, error) {
	for _, name := range []string{"lock", "console"} {
		if _, err := os.Stat(filepath.Join(data, name)); err == nil {
			return access.Open(access.Folder(data))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fault.WithHint(fault.Wrap(fault.Denied, err, "--data"), "run this as the user that the server runs as")
		}
	}
	return nil, fault.WithHint(fault.New(fault.NotFound, "%s is not the data folder of a primary or of up", data),
		"name it with --data; a server makes it when it starts for the first time")
}

// grantFlags are what a user, a token and a link are given.
type grantFlags struct{ role, tenant string }

func (g *grantFlags) add(cmd *cobra.Command, role, roles string) {
	usage := roles
	if role == "" {
		usage += " (required)"
	}
	cmd.Flags().StringVar(&g.role, "role", role, usage)
	cmd.Flags().StringVar(&g.tenant, "tenant", "", "confine a viewer to this tenant")
}

func newConsoleLink(a *app) *cobra.Command {
	var data, url string
	var g grantFlags
	cmd := &cobra.Command{
		Use:   "link",
		Short: "Print a link that logs in once, within ten minutes",
		Long: `Prints an address that logs a browser in once, within ten minutes. The code in
it stands behind the #, which browsers send to no server and no proxy.`,
		Example: "  midplane console link\n  midplane console link --data /var/lib/midplane/primary --url https://midplane.example",
		Args:    args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, err := openAccess(data)
			if err != nil {
				return err
			}
			if url == "" {
				if url, err = store.URL(); err != nil {
					return err
				}
			}
			code, err := store.CreateLink(access.Role(g.role), g.tenant)
			if err != nil {
				return err
			}
			if a.format.machine() {
				return a.print(map[string]string{"url": access.LinkURL(url, code), "life": access.LinkLife.String()})
			}
			a.say("%s", access.LinkURL(url, code))
			return nil
		},
	}
	dataFlag(cmd, &data)
	g.add(cmd, string(access.Admin), "admin, operator or viewer")
	cmd.Flags().StringVar(&url, "url", "", "address of the console as the browser sees it (default: where it was opened last)")
	return cmd
}

func newConsoleTokenCreate(a *app) *cobra.Command {
	var data string
	var g grantFlags
	life := api.Duration(access.TokenLife)
	cmd := &cobra.Command{
		Use:   "create NAME --role ROLE",
		Short: "Make a token and print it, this once",
		Long: `Makes a token and prints it on standard output, this once: only a hash is kept.
A program sends it as the header "Authorization: Bearer TOKEN". Keep it in a
file that nobody else can read, not on a command line.`,
		Example: `  midplane console token create prometheus --role metrics > /etc/prometheus/midplane.token
  midplane console token create billing --role viewer --tenant acme --ttl 90d`,
		Args: args(1, 1, "NAME of the token"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if g.role == "" {
				return usage(cmd, "--role is missing")
			}
			store, err := openAccess(data)
			if err != nil {
				return err
			}
			text, t, err := store.CreateToken(given[0], access.Role(g.role), g.tenant, life.Std())
			if err != nil {
				return err
			}
			if a.format.machine() {
				return a.print(struct {
					access.Token
					Secret string `json:"token"`
				}{t, text})
			}
			a.say("%s", text)
			return nil
		},
	}
	dataFlag(cmd, &data)
	g.add(cmd, "", "admin, operator, viewer or metrics")
	cmd.Flags().TextVar(&life, "ttl", life, "how long it is good, like 12h or 90d")
	return cmd
}

func newConsoleTokenList(a *app) *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use: "list", Short: "List the tokens of machines", Args: args(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			store, err := openAccess(data)
			if err != nil {
				return err
			}
			tokens, err := store.Tokens()
			if err != nil {
				return err
			}
			return printList(a, "tokens", tokens, []column[access.Token]{
				{name: "Token", value: func(t access.Token) string { return t.Name }},
				{name: "Role", value: func(t access.Token) string { return string(t.Role) }},
				{name: "Tenant", value: func(t access.Token) string { return tenantOrAll(t.Tenant) }},
				{name: "Created", value: func(t access.Token) string { return day(t.Created) }},
				{name: "Expires", value: func(t access.Token) string { return day(t.Expires) }},
			})
		},
	}
	dataFlag(cmd, &data)
	return cmd
}

func newConsoleTokenRevoke(a *app) *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use: "revoke NAME", Short: "End a token", Args: args(1, 1, "NAME of the token"),
		RunE: func(_ *cobra.Command, given []string) error {
			store, err := openAccess(data)
			if err == nil {
				err = store.RevokeToken(given[0])
			}
			if err == nil {
				a.say("token %s revoked", given[0])
			}
			return err
		},
	}
	dataFlag(cmd, &data)
	return cmd
}
