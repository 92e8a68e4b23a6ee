package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/tenants/account"
	"midplane/tenants/enrol"
)

func newTokenCmd(a *app) *cobra.Command {
	cmd := group(&cobra.Command{
		Use: "token", Short: "Tokens with which pollers join",
		Long: `A token makes a machine at a site one poller of one tenant, once, before it
expires. It is a secret: who has it first can join with it. It holds the
addresses of the nodes, the fingerprint of their CA and a credential that can do
nothing but redeem this token; the poller's own key is made at the site.`,
	})
	cmd.AddCommand(newTokenCreate(a), newTokenList(a), newTokenRevoke(a))
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

func newTokenCreate(a *app) *cobra.Command {
	req := api.CreateToken{}
	ttl := enrol.DefaultLife
	cmd := &cobra.Command{
		Use:   "create --tenant T --poller P",
		Short: "Make a token for one poller",
		Long: `Prints the token and the one line to run at the site, and nothing else, on
standard output. The token is shown once and kept nowhere.

A poller that the tenant's file does not declare is recorded in the site --site
(default: the tenant's first) with nothing to do; "midplane apply" leaves it
alone. Declare it later, and the declaration counts.`,
		Example: `  midplane token create --tenant acme --poller syd-01
  midplane token create --tenant acme --poller syd-02 --site syd --ttl 15m -o json`,
		Args: args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, f := range []struct{ name, value string }{{"tenant", req.Tenant}, {"poller", req.Poller}} {
				if f.value == "" {
					return usage(cmd, "--%s is missing", f.name)
				}
			}
			if ttl < time.Second || ttl > enrol.MaxLife {
				return usage(cmd, "--ttl %s: want 1s to %s", ttl, enrol.MaxLife)
			}
			if err := event.CheckName("tenant", req.Tenant); err != nil {
				return err
			}
			if err := event.CheckUserName("poller", req.Poller); err != nil {
				return err
			}
			req.TTL = api.Duration(ttl)
			return a.withClient(func(c *client) error { return a.createToken(cmd.Context(), c, req) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&req.Tenant, "tenant", "", "tenant of the poller (required)")
	f.StringVar(&req.Poller, "poller", "", "name of the poller (required)")
	f.StringVar(&req.Site, "site", "", "site of a poller that the tenant's file does not declare (default: the tenant's first)")
	f.DurationVar(&ttl, "ttl", ttl, "how long the token can be redeemed, at most 24h")
	return cmd
}

func (a *app) createToken(ctx context.Context, c *client, req api.CreateToken) error {
	key, seed, err := account.NewUserKey()
	if err != nil {
		return err
	}
	pins, err := c.pins()
	if err != nil {
		return err
	}
	req.PublicKey = key
	var made api.CreatedToken
	if err := c.Admin(ctx, api.TokenCreate, req, &made); err != nil {
		return err
	}
	if len(made.Servers) == 0 {
		made.Servers = strings.Split(c.context.ServerURL(), ",")
	}
	word, err := enrol.Token{Tenant: event.Tenant(req.Tenant), Poller: event.Producer(req.Poller), Servers: made.Servers, Pins: pins, JWT: made.JWT, Seed: seed}.Encode()
	if err != nil {
		return err
	}
	out := createdToken{ID: made.ID, Tenant: req.Tenant, Poller: req.Poller, Site: made.Site, Expires: made.Expires, Token: word, Join: "midplane poller join " + word}
	if a.format.machine() {
		return a.print(out)
	}
	fmt.Fprintf(a.stderr, "token %s: poller %s of tenant %s joins site %s, once, until %s\n", out.ID, out.Poller, out.Tenant, out.Site, out.Expires.UTC().Format(time.RFC3339))
	fmt.Fprintln(a.stderr, `run the second line at the site; "midplane poller join -" reads the token from standard input instead`)
	fmt.Fprintf(a.stdout, "%s\n%s\n", out.Token, out.Join)
	return nil
}

// pins are the fingerprints of the CAs that this client trusts the nodes by;
// none when it speaks to them without TLS.
func (c *client) pins() ([]enrol.Pin, error) {
	state, err := c.nc.TLSConnectionState()
	if err != nil {
		return nil, nil // plain: the token is for this machine
	}
	var cas []*x509.Certificate
	if path := c.context.CA(); path != "" {
		if cas, err = certificates(path); err != nil {
			return nil, err
		}
	} else if len(state.VerifiedChains) > 0 {
		chain := state.VerifiedChains[0]
		cas = chain[len(chain)-1:]
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

func certificates(path string) (out []*x509.Certificate, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, err, "CA certificate")
	}
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return out, nil
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "CA certificate %s", path)
		}
		out = append(out, c)
	}
}

func newTokenList(a *app) *cobra.Command {
	var req api.ListRequest
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List tokens, by id; a token itself is shown once only, when it is made",
		Args:  args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withClient(func(c *client) error {
				rows, err := api.All[api.Token](cmd.Context(), c.Admin, api.TokenList, req)
				if err != nil {
					return err
				}
				return printList(a, "tokens", rows, tokenColumns)
			})
		},
	}
	cmd.Flags().StringVar(&req.Tenant, "tenant", "", "only this tenant's")
	return cmd
}

var tokenColumns = []column[api.Token]{
	{name: "ID", value: func(t api.Token) string { return t.ID }},
	{name: "Tenant", value: func(t api.Token) string { return t.Tenant }},
	{name: "Poller", value: func(t api.Token) string { return t.Poller }},
	{name: "Site", value: func(t api.Token) string { return t.Site }},
	{name: "Status", value: func(t api.Token) string { return t.Status }},
	{name: "Expires", value: func(t api.Token) string { return t.Expires.UTC().Format(time.RFC3339) }},
	{name: "Failures", value: func(t api.Token) string { return fmt.Sprint(t.Failures) }, right: true},
	{name: "Created", value: func(t api.Token) string { return t.Created.UTC().Format(time.RFC3339) }, wide: true},
	{name: "By", value: func(t api.Token) string { return t.By }, wide: true},
}

func newTokenRevoke(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "Make a token worthless that was not redeemed yet",
		Long: `Makes a token worthless at once. ID is what "midplane token list" shows, also as
TENANT/ID. A token that was redeemed is used up; to shut its poller out:
midplane revoke poller TENANT/POLLER --yes`,
		Args: args(1, 1, "ID of the token"),
		RunE: func(cmd *cobra.Command, given []string) error {
			ref := api.TokenRef{ID: given[0]}
			if tenant, id, ok := strings.Cut(given[0], "/"); ok {
				ref = api.TokenRef{Tenant: tenant, ID: id}
			}
			if err := event.CheckName("token", ref.ID); err != nil {
				return err
			}
			return a.withClient(func(c *client) error {
				var row api.Token
				if err := c.Admin(cmd.Context(), api.TokenRevoke, ref, &row); err != nil {
					return err
				}
				if a.format.machine() {
					return a.print(row)
				}
				fmt.Fprintf(a.stdout, "token %s for poller %s of tenant %s: revoked\n", row.ID, row.Poller, row.Tenant)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "not needed: another token is easily made")
	return cmd
}
