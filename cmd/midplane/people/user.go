package people

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/connect"
	"midplane/cmd/midplane/shell/output"
	"midplane/event"
	"midplane/fault"
	"midplane/subject"
	"midplane/tenants/account"
)

// userRoles are the roles a tenant's user can have; the value says whether the
// role reads subscriptions.
var userRoles = map[string]bool{"poller": false, "producer": false, "reader": true, "app": true, "inspector": true, roleAdmin: false}

// createWithin is how long the answer to "user create" is waited for at least.
const createWithin = 30 * time.Second

// roleAdmin is an operator of the cluster: it belongs to no tenant.
const roleAdmin = "admin"

// NewUser is the command "user".
func NewUser(sh *shell.Shell) *cobra.Command {
	cmd := shell.Group(&cobra.Command{Use: "user", Short: "Credentials for pollers, applications and people of a tenant"})
	cmd.AddCommand(newUserCreate(sh), newUserList(sh), newUserRenew(sh), newUserDelete(sh))
	return cmd
}

// newUser is what the command line of "user create" gives.
type newUser struct {
	api.CreateUser
	ttl         string
	out         string
	saveContext bool
	contextName string
}

// createdUser is what it prints with -o json.
type createdUser struct {
	Tenant      string    `json:"tenant"`
	Name        string    `json:"name"`
	Role        string    `json:"role"`
	File        string    `json:"file"`
	InboxPrefix string    `json:"inboxPrefix"`
	Context     string    `json:"context,omitempty"`
	Existed     bool      `json:"existed"`
	Servers     []string  `json:"servers"`
	Expires     time.Time `json:"expires"`
}

func newUserCreate(sh *shell.Shell) *cobra.Command {
	var u newUser
	cmd := &cobra.Command{
		Use:   "create --tenant T --role ROLE NAME --out FILE",
		Short: "Make a user of a tenant and write its .creds file",
		Long: `Makes a user and writes its credentials to FILE (mode 0600). The private key is
made here and never leaves this machine.

  poller     publishes as itself and gets its configuration; only a poller
             that is declared in the tenant's file
  producer   publishes as itself
  reader     reads the subscriptions declared for it (--subscription)
  app        producer and reader together
  inspector  app, and reads everything of the tenant
  admin      operates the cluster; belongs to no tenant, so --tenant is left out

A user may listen only below its own inbox prefix, _INBOX.NAME. A client with
the default prefix gets no answer to anything: give it the prefix, or use
--save-context and the nats CLI.

Pollers, apps and inspectors renew their credentials by themselves about
half-way through their life, 24 hours (for other clients: "midplane user renew
FILE"). Those of producers, readers and admins cannot be renewed: they live for
--ttl (default: one year).

Repeating the command with the same role and subscriptions and the FILE it
wrote changes nothing, except that credentials which have expired begin a new
life; anything else for a name that exists is a conflict.`,
		Example: `  midplane user create --tenant acme --role poller syd-01 --out syd-01.creds
  midplane user create --tenant acme --role reader billing --subscription invoices --out billing.creds
  midplane user create --tenant acme --role inspector ann --out ann.creds --save-context
  nats --context midplane-acme-ann consumer next …
  midplane user create --role admin bob --out bob.creds --save-context`,
		Args: shell.Args(1, 1, "NAME of the user"),
		RunE: func(cmd *cobra.Command, given []string) error {
			u.Name = given[0]
			if err := u.check(cmd); err != nil {
				return err
			}
			return sh.WithClient(func(c *connect.Client) error { return createUser(cmd.Context(), sh, c, &u) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&u.Tenant, "tenant", "", "tenant of the user (required, but for an admin)")
	f.StringVar(&u.Role, "role", "", "poller, producer, reader, app, inspector or admin (required)")
	f.StringSliceVar(&u.Subscriptions, "subscription", nil, "subscription declared for NAME in the tenant's file; may be given several times")
	f.StringVar(&u.ttl, "ttl", "", "how long the credentials of a producer, reader or admin live, like 90d or 12h (default 365d)")
	f.StringVar(&u.out, "out", "", "file to write (required)")
	f.BoolVar(&u.saveContext, "save-context", false, "also save the NATS context midplane-TENANT-NAME (it is not selected)")
	f.StringVar(&u.contextName, "context-name", "", "save it under this name instead")
	return cmd
}

// check finds what is wrong before a key is made.
func (u *newUser) check(cmd *cobra.Command) error {
	for _, f := range []struct{ name, value string }{{"tenant", u.Tenant}, {"role", u.Role}, {"out", u.out}} {
		if f.value == "" && (f.name != "tenant" || u.Role != roleAdmin) {
			return shell.Usage(cmd, "--%s is missing", f.name)
		}
	}
	switch {
	case u.Role == roleAdmin && u.Tenant != "":
		return shell.Usage(cmd, "an admin belongs to no tenant: leave --tenant out")
	case u.Role != roleAdmin:
		if err := event.CheckName("tenant", u.Tenant); err != nil {
			return err
		}
	}
	if err := event.CheckUserName("user", u.Name); err != nil {
		return err
	}
	reads, ok := userRoles[u.Role]
	if !ok {
		return shell.Usage(cmd, "--role %q is none: want poller, producer, reader, app, inspector or admin", u.Role)
	}
	if err := u.life(cmd); err != nil {
		return err
	}
	if len(u.Subscriptions) > 0 && !reads {
		return shell.Usage(cmd, "a %s has no subscriptions", u.Role)
	}
	for _, s := range u.Subscriptions {
		if err := event.CheckName("subscription", s); err != nil {
			return err
		}
	}
	slices.Sort(u.Subscriptions)
	u.Subscriptions = slices.Compact(u.Subscriptions)
	if u.Subscriptions == nil {
		u.Subscriptions = []string{}
	}
	return nil
}

// life reads --ttl.
func (u *newUser) life(cmd *cobra.Command) error {
	if u.ttl == "" {
		return nil
	}
	if u.Role != "producer" && u.Role != "reader" && u.Role != roleAdmin {
		return shell.Usage(cmd, "a %s renews its credentials: leave --ttl out", u.Role)
	}
	if err := u.TTL.UnmarshalText([]byte(u.ttl)); err != nil {
		return fault.Wrap(fault.Invalid, err, "--ttl")
	}
	if u.TTL <= 0 {
		return shell.Usage(cmd, "--ttl %s is not positive", u.ttl)
	}
	return nil
}

func createUser(ctx context.Context, sh *shell.Shell, c *connect.Client, u *newUser) error {
	path, err := filepath.Abs(u.out)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "--out")
	}
	file, err := openCreds(path, u.Tenant+"."+u.Name)
	if err != nil {
		return err
	}
	if file.creds != nil {
		if err := u.matches(ctx, c, path, file.creds); err != nil {
			return err
		}
	}
	if u.contextName != "" {
		if _, err := (connect.Context{Name: u.contextName, Chosen: true, Creds: path}).Place(); err != nil {
			return err
		}
	}
	u.PublicKey = file.public
	var made api.CreatedUser
	if err := c.AdminWithin(ctx, createWithin, api.UserCreate, u.CreateUser, &made); err != nil {
		if !fault.Retryable(err) {
			file.abandon() // it was refused; otherwise the key may be in use
		}
		if fault.Is(err, fault.Conflict) && fault.HintOf(err) == "" {
			err = fault.WithHint(err, "the user exists: repeat with its role, subscriptions and the file that has its key, or choose another NAME")
		}
		return err
	}
	ended := file.creds != nil && !file.creds.Expires.IsZero() && !file.creds.Expires.After(time.Now())
	if err := file.write(made.JWT, made.Existed && !ended); err != nil {
		return err
	}
	out := createdUser{
		Tenant: u.Tenant, Name: u.Name, Role: u.Role, File: path, Existed: made.Existed,
		InboxPrefix: subject.InboxPrefix(u.Name), Servers: made.Servers, Expires: made.Expires,
	}
	if u.saveContext || u.contextName != "" {
		if out.Context, err = u.saveFor(c, out); err != nil {
			return err
		}
	}
	return printUser(sh.Out, out)
}

// matches says whether the credentials in FILE can be those of this user. What
// the control plane has to judge (role, subscriptions) it judges by the key.
func (u *newUser) matches(ctx context.Context, c *connect.Client, path string, have *account.Creds) error {
	conflict := func(format string, args ...any) error {
		return fault.WithHint(fault.New(fault.Conflict, "%s %s", path, fmt.Sprintf(format, args...)),
			"nothing was changed; name another --out FILE")
	}
	if have.Name != u.Name {
		return conflict("holds the credentials of user %q", have.Name)
	}
	if u.Role == roleAdmin {
		return nil // the control plane judges by the key
	}
	var t api.Tenant
	if err := c.Admin(ctx, api.TenantStatus, api.TenantRef{Tenant: u.Tenant}, &t); err != nil {
		return err
	}
	if t.Account != "" && t.Account != have.Account {
		return conflict("holds credentials of another tenant or deployment")
	}
	return nil
}

// saveFor saves a NATS context for the user and does not select it.
func (u *newUser) saveFor(c *connect.Client, made createdUser) (string, error) {
	name, about := "midplane-"+u.Tenant+"-"+u.Name, fmt.Sprintf("Midplane: %s %s of tenant %s", u.Role, u.Name, u.Tenant)
	if u.Role == roleAdmin {
		name, about = "midplane-"+u.Name, "Midplane: admin "+u.Name
	}
	return connect.Context{
		Name: cmp.Or(u.contextName, name), Chosen: u.contextName != "",
		Servers: cmp.Or(strings.Join(made.Servers, ","), c.Servers()),
		Creds:   made.File, CA: c.CAFile(), User: u.Name, Description: about,
	}.Save()
}

func printUser(out *output.Output, u createdUser) error {
	if out.Machine() {
		return out.Print(u)
	}
	verb := "created"
	if u.Existed {
		verb = "exists"
	}
	of := " of tenant " + u.Tenant
	if u.Role == roleAdmin {
		of = ""
	}
	fmt.Fprintf(out.Stdout, "%s %s%s %s: credentials in %s\n", u.Role, u.Name, of, verb, u.File)
	switch {
	case u.Expires.IsZero(): // made before lives were bounded
	case u.Role == "producer" || u.Role == "reader":
		fmt.Fprintf(out.Stdout, "they are good until %s\n", u.Expires.UTC().Format(time.RFC3339))
	default:
		fmt.Fprintf(out.Stdout, "they are good until %s, unless they are renewed\n", u.Expires.UTC().Format(time.RFC3339))
	}
	fmt.Fprintf(out.Stdout, "inbox prefix %s: it may listen nowhere else, and a client with the default prefix gets no answers at all\n", u.InboxPrefix)
	if u.Context != "" {
		fmt.Fprintf(out.Stdout, "NATS context %s saved: nats --context %s …\n", u.Context, u.Context)
	}
	return nil
}
