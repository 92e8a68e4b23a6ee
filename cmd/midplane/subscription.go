package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/tenants/account"
)

func newSubscriptionCmd(a *app) *cobra.Command {
	cmd := group(&cobra.Command{Use: "subscription", Short: "What a reader, app or inspector may read"})
	cmd.AddCommand(
		newSubscribe(a, "add", api.UserSubscribe, "Let a user read one more subscription", `Lets a user read a subscription that the tenant's file declares for it.`),
		newSubscribe(a, "remove", api.UserUnsubscribe, "Take a subscription from a user", `Takes a subscription from a user. The durable consumer stays as long as the
tenant's file declares it. Credentials that were given out before keep the
right until they are renewed or expire; to end it at once, remove the
subscription from the tenant's file, or revoke the user.`))
	return cmd
}

func newSubscribe(a *app, verb, ask, short, long string) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   verb + " TENANT/NAME SUBSCRIPTION",
		Short: short,
		Long: long + `

An app or inspector gets its new credentials over the control channel, when it
renews them (at half of their life, or at once with "midplane user renew"). A
reader cannot renew: name its .creds file with --out, and the new credentials
are written into it, for the same key. Without the file at hand the subscription
is changed all the same, and the command can be repeated with it.`,
		Example: "  midplane subscription " + verb + " acme/billing invoices --out billing.creds",
		Args:    args(2, 2, "TENANT/NAME and SUBSCRIPTION"),
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
			return a.withClient(func(c *client) error { return a.subscribe(cmd.Context(), c, ask, req, out, have) })
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "the user's .creds file, to be written anew")
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

func (a *app) subscribe(ctx context.Context, c *client, verb string, req api.Subscribe, out string, have account.Creds) error {
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
		if err := replace(out, data); err != nil {
			return fault.Wrap(fault.Other, err, "write credentials")
		}
	}
	if a.format.machine() {
		made.JWT = "" // it is in the file, if anywhere
		return a.print(made)
	}
	subs := strings.Join(made.Subscriptions, ", ")
	if subs == "" {
		subs = "nothing"
	}
	fmt.Fprintf(a.stdout, "%s %s/%s reads %s\n", made.Role, req.Tenant, req.Name, subs)
	switch {
	case out != "":
		fmt.Fprintf(a.stdout, "new credentials in %s; a client that is connected takes them when it reconnects\n", out)
	case made.Renews:
		fmt.Fprintln(a.stdout, "it gets new credentials when it renews them; to hurry: midplane user renew FILE")
	default:
		fmt.Fprintln(a.stdout, "its credentials are as they were: repeat the command with --out FILE, the .creds file that it uses")
	}
	return nil
}
