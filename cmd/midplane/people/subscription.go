package people

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/connect"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/atomicfile"
	"midplane/tenants/account"
)

// NewSubscription is the command "subscription".
func NewSubscription(sh *shell.Shell) *cobra.Command {
	cmd := shell.Group(&cobra.Command{Use: "subscription", Short: "What a reader, app or inspector may read"})
	cmd.AddCommand(
		newSubscribe(sh, "add", api.UserSubscribe, "Let a user read one more subscription", `Lets a user read a subscription that the tenant's file declares for it.`),
		newSubscribe(sh, "remove", api.UserUnsubscribe, "Take a subscription from a user", `Takes a subscription from a user. The durable consumer stays as long as the
tenant's file declares it. Credentials that were given out before keep the
right until they are renewed or expire; to end it at once, remove the
subscription from the tenant's file, or revoke the user.`))
	return cmd
}

func newSubscribe(sh *shell.Shell, verb, ask, short, long string) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   verb + " TENANT/NAME SUBSCRIPTION",
		Short: short,
		Long: long + `

An app or inspector gets its new credentials over the control channel, when it
renews them (about half-way through their life, or at once with "midplane user renew"). A
reader cannot renew: name its .creds file with --out, and the new credentials
are written into it, for the same key. Without the file at hand the subscription
is changed all the same, and the command can be repeated with it.`,
		Example: "  midplane subscription " + verb + " acme/billing invoices --out billing.creds",
		Args:    shell.Args(2, 2, "TENANT/NAME and SUBSCRIPTION"),
		RunE: func(cmd *cobra.Command, given []string) error {
			req := api.Subscribe{Subscription: given[1]}
			var err error
			if req.Tenant, req.Name, err = userRef(cmd, given[0], false); err != nil {
				return err
			}
			if err := event.CheckName("subscription", req.Subscription); err != nil {
				return err
			}
			var have account.Creds
			if out != "" {
				if have, err = readOwn(out, req.Name); err != nil {
					return err
				}
			}
			return sh.WithClient(func(c *connect.Client) error { return changeSubscription(cmd.Context(), sh, c, ask, req, out, have) })
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "the user's .creds file, to be written again")
	return cmd
}

// readOwn reads the .creds file of user name.
func readOwn(path, name string) (account.Creds, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return account.Creds{}, fault.WithHint(fault.Wrap(fault.NotFound, err, "--out"), "the user's key is in its .creds file only: name that file")
	}
	if err != nil {
		return account.Creds{}, fault.Wrap(fault.Invalid, err, "--out")
	}
	have, err := account.ReadCreds(data)
	if err == nil && have.Name != name {
		err = fault.New(fault.Conflict, "%s holds the credentials of user %q", path, have.Name)
	}
	return have, err
}

func changeSubscription(ctx context.Context, sh *shell.Shell, c *connect.Client, verb string, req api.Subscribe, out string, have account.Creds) error {
	var made api.Subscribed
	if err := c.Admin(ctx, verb, req, &made); err != nil {
		return err
	}
	if out != "" {
		if made.PublicKey != have.PublicKey {
			return fault.WithHint(fault.New(fault.Conflict, "%s holds another key than that of user %s/%s", out, req.Tenant, req.Name), "the subscription is changed; name the user's own file")
		}
		data, err := account.FormatCreds(made.JWT, have.Seed)
		if err != nil {
			return err
		}
		if err := atomicfile.Write(out, data); err != nil {
			return fault.Wrap(fault.Other, err, "write credentials")
		}
	}
	if sh.Out.Machine() {
		made.JWT = "" // it is in the file when there is one
		return sh.Out.Print(made)
	}
	subs := strings.Join(made.Subscriptions, ", ")
	if subs == "" {
		subs = "nothing"
	}
	fmt.Fprintf(sh.Out.Stdout, "%s %s/%s reads %s\n", made.Role, req.Tenant, req.Name, subs)
	switch {
	case out != "":
		fmt.Fprintf(sh.Out.Stdout, "new credentials in %s; a client that is connected takes them when it reconnects\n", out)
	case made.Renews:
		fmt.Fprintln(sh.Out.Stdout, "it gets new credentials when it renews them; to hurry: midplane user renew FILE")
	default:
		fmt.Fprintln(sh.Out.Stdout, "its credentials are as they were: repeat the command with --out FILE, the .creds file that it uses")
	}
	return nil
}
