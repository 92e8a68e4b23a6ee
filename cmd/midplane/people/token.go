package people

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/connect"
	"midplane/cmd/midplane/shell/output"
	"midplane/event"
	"midplane/fault"
	"midplane/tenants/account"
	"midplane/tenants/enrol"
)

// NewToken is the command "token".
func NewToken(sh *shell.Shell) *cobra.Command {
	cmd := shell.Group(&cobra.Command{
		Use: "token", Short: "Tokens with which pollers join",
		Long: `A token makes a machine at a site one poller of one tenant, once, before it
expires. It is a secret: the first who has it can join with it. It holds the
addresses of the nodes, the fingerprint of their CA and a credential that can do
nothing but redeem this token; the poller's own key is made at the site.`,
	})
	cmd.AddCommand(newTokenCreate(sh), newTokenList(sh), newTokenRevoke(sh))
	return cmd
}

// createdToken is what "token create" prints with -o json.
type createdToken struct {
	ID      string    `json:"id"`
	Tenant  string    `json:"tenant"`
	Poller  string    `json:"poller"`
	Site    string    `json:"site"`
	Expires time.Time `json:"expires"`
	Token   string    `json:"token"`
	Join    string    `json:"join"` // the line to run at the site
}

func newTokenCreate(sh *shell.Shell) *cobra.Command {
	req := api.CreateToken{}
	ttl := enrol.DefaultLife
	cmd := &cobra.Command{
		Use:   "create --tenant T --poller P",
		Short: "Make a token for one poller",
		Long: `Prints the token and the one line to run at the site, and nothing else, on
standard output. The token is shown this once and kept nowhere.

A poller that the tenant's file does not declare is recorded in the site --site
(default: the tenant's first) with nothing to do; "midplane apply" leaves it
alone. Declare it later, and the declaration counts.`,
		Example: `  midplane token create --tenant acme --poller syd-01
  midplane token create --tenant acme --poller syd-02 --site syd --ttl 15m -o json`,
		Args: shell.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, f := range []struct{ name, value string }{{"tenant", req.Tenant}, {"poller", req.Poller}} {
				if f.value == "" {
					return shell.Usage(cmd, "--%s is missing", f.name)
				}
			}
			if ttl < time.Second || ttl > enrol.MaxLife {
				return shell.Usage(cmd, "--ttl %s: want 1s to %s", ttl, enrol.MaxLife)
			}
			if err := event.CheckName("tenant", req.Tenant); err != nil {
				return err
			}
			if err := event.CheckUserName("poller", req.Poller); err != nil {
				return err
			}
			req.TTL = api.Duration(ttl)
			return sh.WithClient(func(c *connect.Client) error { return createToken(cmd.Context(), sh, c, req) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&req.Tenant, "tenant", "", "tenant of the poller (required)")
	f.StringVar(&req.Poller, "poller", "", "name of the poller (required)")
	f.StringVar(&req.Site, "site", "", "site of a poller that the tenant's file does not declare (default: the tenant's first)")
	f.DurationVar(&ttl, "ttl", ttl, "how long the token can be redeemed, at most 24h")
	return cmd
}

func createToken(ctx context.Context, sh *shell.Shell, c *connect.Client, req api.CreateToken) error {
	key, seed, err := account.NewUserKey()
	if err != nil {
		return err
	}
	pins, err := pinsOf(c)
	if err != nil {
		return err
	}
	req.PublicKey = key
	var made api.CreatedToken
	if err := c.Admin(ctx, api.TokenCreate, req, &made); err != nil {
		return err
	}
	if len(made.Servers) == 0 {
		made.Servers = strings.Split(c.Servers(), ",")
	}
	word, err := enrol.Token{Tenant: event.Tenant(req.Tenant), Poller: event.Producer(req.Poller), Servers: made.Servers, Pins: pins, JWT: made.JWT, Seed: seed}.Encode()
	if err != nil {
		return err
	}
	out := createdToken{ID: made.ID, Tenant: req.Tenant, Poller: req.Poller, Site: made.Site, Expires: made.Expires, Token: word, Join: "midplane poller join " + word}
	if sh.Out.Machine() {
		return sh.Out.Print(out)
	}
	fmt.Fprintf(sh.Out.Stderr, "token %s: poller %s of tenant %s joins site %s, once, until %s\n", out.ID, out.Poller, out.Tenant, out.Site, out.Expires.UTC().Format(time.RFC3339))
	fmt.Fprintln(sh.Out.Stderr, `run the second line at the site; "midplane poller join -" reads the token from standard input instead`)
	fmt.Fprintf(sh.Out.Stdout, "%s\n%s\n", out.Token, out.Join)
	return nil
}

// pinsOf are the fingerprints of the CAs that this client trusts the nodes by;
// none when it speaks to them without TLS: then the token is for this machine.
func pinsOf(c *connect.Client) ([]enrol.Pin, error) {
	cas, tls, err := c.CAs()
	if err != nil || !tls {
		return nil, err
	}
	var pins []enrol.Pin
	for _, ca := range cas {
		if ca.IsCA {
			pins = append(pins, enrol.PinOf(ca))
		}
	}
	if len(pins) == 0 {
		return nil, fault.New(fault.Invalid, "NATS context: it names no CA by which the nodes could be known")
	}
	return pins, nil
}

func newTokenList(sh *shell.Shell) *cobra.Command {
	var req api.ListRequest
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List tokens, by id; a token itself is shown once only, when it is made",
		Args:  shell.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return sh.WithClient(func(c *connect.Client) error {
				rows, err := api.All[api.Token](cmd.Context(), c.Admin, api.TokenList, req)
				if err != nil {
					return err
				}
				return output.List(sh.Out, "tokens", rows, tokenColumns)
			})
		},
	}
	cmd.Flags().StringVar(&req.Tenant, "tenant", "", "only this tenant's")
	return cmd
}

var tokenColumns = []output.Column[api.Token]{
	{Name: "ID", Value: func(t api.Token) string { return t.ID }},
	{Name: "Tenant", Value: func(t api.Token) string { return t.Tenant }},
	{Name: "Poller", Value: func(t api.Token) string { return t.Poller }},
	{Name: "Site", Value: func(t api.Token) string { return t.Site }, Drop: 2},
	{Name: "Status", Value: func(t api.Token) string { return t.Status }},
	{Name: "Expires", Value: func(t api.Token) string { return t.Expires.UTC().Format(time.RFC3339) }, Drop: 3},
	{Name: "Failures", Value: func(t api.Token) string { return fmt.Sprint(t.Failures) }, Right: true, Drop: 1},
	{Name: "Created", Value: func(t api.Token) string { return t.Created.UTC().Format(time.RFC3339) }, Wide: true},
	{Name: "By", Value: func(t api.Token) string { return t.By }, Wide: true},
}

func newTokenRevoke(sh *shell.Shell) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "Make a token worthless that was not redeemed yet",
		Long: `Makes a token worthless at once. ID is what "midplane token list" shows, also as
TENANT/ID. A token that was redeemed is used up; to shut its poller out:
midplane revoke poller TENANT/POLLER --yes`,
		Args: shell.Args(1, 1, "ID of the token"),
		RunE: func(cmd *cobra.Command, given []string) error {
			ref := api.TokenRef{ID: given[0]}
			if tenant, id, ok := strings.Cut(given[0], "/"); ok {
				ref = api.TokenRef{Tenant: tenant, ID: id}
			}
			if err := event.CheckName("token", ref.ID); err != nil {
				return err
			}
			return sh.WithClient(func(c *connect.Client) error {
				var row api.Token
				if err := c.Admin(cmd.Context(), api.TokenRevoke, ref, &row); err != nil {
					return err
				}
				if sh.Out.Machine() {
					return sh.Out.Print(row)
				}
				fmt.Fprintf(sh.Out.Stdout, "token %s for poller %s of tenant %s: revoked\n", row.ID, row.Poller, row.Tenant)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "not needed: another token is easily made")
	return cmd
}
