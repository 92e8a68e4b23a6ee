package people

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/output"
	"midplane/console/access"
	"midplane/fault"
)

// NewConsole is the command "console".
func NewConsole(sh *shell.Shell) *cobra.Command {
	cmd := shell.Group(&cobra.Command{
		Use:   "console",
		Short: "Who may use the page and the HTTP API: users, tokens, login links",
		Long: `Who may use the page and the HTTP API. These commands work on the data folder of
a primary, or of "midplane up", running or stopped: run them as a user who may
read it. A running server sees a change at the next request.

  admin     everything, also other people's sessions
  operator  sees everything, and acts
  viewer    sees everything, or with --tenant what is of that tenant alone
  metrics   /metrics alone (tokens only)`,
	})
	user := shell.Group(&cobra.Command{Use: "user", Short: "People, who log in with a password"})
	user.AddCommand(newConsoleUserAdd(sh), newConsoleUserList(sh), newConsoleUserPasswd(sh), newConsoleUserMFA(sh), newConsoleUserDelete(sh))
	token := shell.Group(&cobra.Command{Use: "token", Short: "Machines, which send a token with every request"})
	token.AddCommand(newConsoleTokenCreate(sh), newConsoleTokenList(sh), newConsoleTokenRevoke(sh))
	cmd.AddCommand(user, token, newConsoleLink(sh))
	return cmd
}

// dataFlag is the folder that a command of "console" works on.
func dataFlag(cmd *cobra.Command, data *string) {
	cmd.Flags().StringVar(data, "data", shell.StateDir(), "data folder of the primary, or of up")
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

func newConsoleLink(sh *shell.Shell) *cobra.Command {
	var data, url string
	var g grantFlags
	cmd := &cobra.Command{
		Use:   "link",
		Short: "Print a link that logs in once, within ten minutes",
		Long: `Prints an address that logs a browser in once, within ten minutes. The code in
it comes after the #, which browsers send to no server and no proxy.`,
		Example: "  midplane console link\n  midplane console link --data /var/lib/midplane/primary --url https://midplane.example",
		Args:    shell.Args(0, 0, ""),
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
			if sh.Out.Machine() {
				return sh.Out.Print(map[string]string{"url": access.LinkURL(url, code), "life": access.LinkLife.String()})
			}
			sh.Out.Say("%s", access.LinkURL(url, code))
			return nil
		},
	}
	dataFlag(cmd, &data)
	g.add(cmd, string(access.Admin), "admin, operator or viewer")
	cmd.Flags().StringVar(&url, "url", "", "address of the console as the browser sees it (default: where it was opened last)")
	return cmd
}

func newConsoleTokenCreate(sh *shell.Shell) *cobra.Command {
	var data string
	var g grantFlags
	life := api.Duration(access.TokenLife)
	cmd := &cobra.Command{
		Use:   "create NAME --role ROLE",
		Short: "Make a token and print it, this once",
		Long: `Makes a token and prints it on standard output, this once: only a hash is kept.
A program sends it as the header "Authorization: Bearer TOKEN". Keep it in a
file that only that program can read, not on a command line.`,
		Example: `  midplane console token create prometheus --role metrics > /etc/prometheus/midplane.token
  midplane console token create billing --role viewer --tenant acme --ttl 90d`,
		Args: shell.Args(1, 1, "NAME of the token"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if g.role == "" {
				return shell.Usage(cmd, "--role is missing")
			}
			store, err := openAccess(data)
			if err != nil {
				return err
			}
			text, t, err := store.CreateToken(given[0], access.Role(g.role), g.tenant, life.Std())
			if err != nil {
				return err
			}
			if sh.Out.Machine() {
				return sh.Out.Print(struct {
					access.Token
					Secret string `json:"token"`
				}{t, text})
			}
			sh.Out.Say("%s", text)
			return nil
		},
	}
	dataFlag(cmd, &data)
	g.add(cmd, "", "admin, operator, viewer or metrics")
	cmd.Flags().TextVar(&life, "ttl", life, "how long it is good, like 12h or 90d")
	return cmd
}

func newConsoleTokenList(sh *shell.Shell) *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use: "list", Short: "List the tokens of machines", Args: shell.Args(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			store, err := openAccess(data)
			if err != nil {
				return err
			}
			tokens, err := store.Tokens()
			if err != nil {
				return err
			}
			return output.List(sh.Out, "tokens", tokens, []output.Column[access.Token]{
				{Name: "Token", Value: func(t access.Token) string { return t.Name }},
				{Name: "Role", Value: func(t access.Token) string { return string(t.Role) }},
				{Name: "Tenant", Value: func(t access.Token) string { return tenantOrAll(t.Tenant) }},
				{Name: "Created", Value: func(t access.Token) string { return output.Minute(t.Created) }},
				{Name: "Expires", Value: func(t access.Token) string { return output.Minute(t.Expires) }},
			})
		},
	}
	dataFlag(cmd, &data)
	return cmd
}

func newConsoleTokenRevoke(sh *shell.Shell) *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use: "revoke NAME", Short: "End a token", Args: shell.Args(1, 1, "NAME of the token"),
		RunE: func(_ *cobra.Command, given []string) error {
			store, err := openAccess(data)
			if err == nil {
				err = store.RevokeToken(given[0])
			}
			if err == nil {
				sh.Out.Say("token %s revoked", given[0])
			}
			return err
		},
	}
	dataFlag(cmd, &data)
	return cmd
}
