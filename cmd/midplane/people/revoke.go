package people

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/connect"
	"midplane/cmd/midplane/shell/output"
	"midplane/event"
)

// revokeWithin is how long a revocation is waited for: every live node is asked.
const revokeWithin = 30 * time.Second

// NewRevoke is the command "revoke".
func NewRevoke(sh *shell.Shell) *cobra.Command {
	cmd := shell.Group(&cobra.Command{Use: "revoke KIND", Short: "Shut a user or a poller out for good"})
	cmd.AddCommand(
		newRevocation(sh, "poller", api.UserRef{Role: "poller"}, `Shuts a poller out: its connections are closed on every node, and its key is
never let in again, also not by a node that is down now. Its enrolment tokens
that are still open are revoked with it. What waits in its outbox stays there.

Its name can be used again, with a new key: make a token with
"midplane token create", or free the name with "midplane user delete".`),
		newRevocation(sh, "user", api.UserRef{}, `Shuts a user of any role out: its connections are closed on every node, and its
key is never let in again, also not by a node that is down now. Its record
stays, and "midplane user list" shows when that was. NAME alone is an admin;
one of whom only the name is known (it came with the deployment) is refused by
the control plane, but can ask a primary until its credentials expire.

"midplane user delete" does the same and frees the name for a new key.`))
	return cmd
}

func newRevocation(sh *shell.Shell, kind string, ref api.UserRef, long string) *cobra.Command {
	var yes bool
	noun := strings.ToUpper(kind)
	cmd := &cobra.Command{
		Use:     kind + " TENANT/" + noun + " --yes",
		Short:   "Shut a " + kind + " out on every node, for good",
		Long:    long,
		Example: "  midplane revoke " + kind + " acme/syd-01 --yes",
		Args:    shell.Args(1, 1, "TENANT/"+noun),
		RunE: func(cmd *cobra.Command, given []string) error {
			return endUser(sh, cmd, api.UserRevoke, "revoked", ref, given[0], yes)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

func newUserDelete(sh *shell.Shell) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete TENANT/NAME --yes",
		Short: "Shut a user out for good and free its name",
		Long: `Does what "midplane revoke user" does and forgets the user, so that its name is
free for another with a new key. The old key stays dead.`,
		Example: "  midplane user delete acme/billing --yes",
		Args:    shell.Args(1, 1, "TENANT/NAME"),
		RunE: func(cmd *cobra.Command, given []string) error {
			return endUser(sh, cmd, api.UserDelete, "deleted", api.UserRef{}, given[0], yes)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

// userRef reads TENANT/NAME, or the NAME of an admin.
func userRef(cmd *cobra.Command, text string, admins bool) (tenant, name string, err error) {
	tenant, name, ok := strings.Cut(text, "/")
	if !ok && admins {
		return "", text, event.CheckUserName("user", text)
	}
	if !ok {
		return "", "", shell.Usage(cmd, "%q is not TENANT/NAME", text)
	}
	if err := event.CheckName("tenant", tenant); err != nil {
		return "", "", err
	}
	return tenant, name, event.CheckUserName("user", name)
}

func endUser(sh *shell.Shell, cmd *cobra.Command, verb, done string, ref api.UserRef, text string, yes bool) (err error) {
	if ref.Tenant, ref.Name, err = userRef(cmd, text, verb == api.UserRevoke && ref.Role == ""); err != nil {
		return err
	}
	if !yes {
		return shell.MustSayYes("%s will be shut out for good: its key cannot be used again", text)
	}
	return sh.WithClient(func(c *connect.Client) error {
		var out api.Revoked
		if err := c.AdminWithin(cmd.Context(), revokeWithin, verb, ref, &out); err != nil {
			return err
		}
		if sh.Out.Machine() {
			return sh.Out.Print(out)
		}
		if out.Existed && verb == api.UserRevoke {
			done = "was revoked already, at " + out.Revoked.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(sh.Out.Stdout, "%s %s %s\n", out.Role, text, done)
		if out.Tokens > 0 {
			fmt.Fprintf(sh.Out.Stdout, "%d open %s of it revoked\n", out.Tokens, output.Plural("tokens", out.Tokens))
		}
		return nil
	})
}
