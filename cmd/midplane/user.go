package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/jsm.go/natscontext"
	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/subject"
	"midplane/tenants/account"
)

// userRoles are the roles a tenant's user can have; the value says whether the
// role reads subscriptions.
var userRoles = map[string]bool{"poller": false, "producer": false, "reader": true, "app": true, "inspector": true, roleAdmin: false}

// roleAdmin is an operator of the cluster: it belongs to no tenant.
const roleAdmin = "admin"

func newUserCmd(a *app) *cobra.Command {
	cmd := group(&cobra.Command{Use: "user", Short: "Credentials for pollers, applications and people of a tenant"})
	cmd.AddCommand(newUserCreate(a), newUserList(a), newUserRenew(a), newUserDelete(a))
	return cmd
}

// newUser is what "user create" was told.
type newUser struct {
	api.CreateUser
	ttl         string
	out         string
	saveContext bool
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

func newUserCreate(a *app) *cobra.Command {
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

Pollers, apps and inspectors renew their credentials by themselves at half of
their life, 24 hours (for other clients: "midplane user renew FILE"). Those of
producers, readers and admins cannot be renewed: they live for --ttl, one year
when nothing is said.

Repeating the command with the same role and subscriptions and the FILE it
wrote changes nothing, except that credentials which have expired begin a new
life; anything else for a name that exists is a conflict.`,
		Example: `  midplane user create --tenant acme --role poller syd-01 --out syd-01.creds
  midplane user create --tenant acme --role reader billing --subscription invoices --out billing.creds
  midplane user create --tenant acme --role inspector ann --out ann.creds --save-context
  nats --context midplane-acme-ann consumer next …
  midplane user create --role admin bob --out bob.creds --save-context`,
		Args: args(1, 1, "NAME of the user"),
		RunE: func(cmd *cobra.Command, given []string) error {
			u.Name = given[0]
			if err := u.check(cmd); err != nil {
				return err
			}
			return a.withClient(func(c *client) error { return a.createUser(cmd.Context(), c, &u) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&u.Tenant, "tenant", "", "tenant of the user (required, but for an admin)")
	f.StringVar(&u.Role, "role", "", "poller, producer, reader, app, inspector or admin (required)")
	f.StringSliceVar(&u.Subscriptions, "subscription", nil, "subscription declared for NAME in the tenant's file; may be given several times")
	f.StringVar(&u.ttl, "ttl", "", "how long the credentials of a producer, reader or admin live, like 90d or 12h (default 365d)")
	f.StringVar(&u.out, "out", "", "file to write (required)")
	f.BoolVar(&u.saveContext, "save-context", false, "also save the NATS context midplane-TENANT-NAME (it is not selected)")
	return cmd
}

// check finds what is wrong before a key is made.
func (u *newUser) check(cmd *cobra.Command) error {
	for _, f := range []struct{ name, value string }{{"tenant", u.Tenant}, {"role", u.Role}, {"out", u.out}} {
		if f.value == "" && (f.name != "tenant" || u.Role != roleAdmin) {
			return usage(cmd, "--%s is missing", f.name)
		}
	}
	switch {
	case u.Role == roleAdmin && u.Tenant != "":
		return usage(cmd, "an admin belongs to no tenant: leave --tenant out")
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
		return usage(cmd, "--role %q is none: want poller, producer, reader, app, inspector or admin", u.Role)
	}
	if err := u.life(cmd); err != nil {
		return err
	}
	if len(u.Subscriptions) > 0 && !reads {
		return usage(cmd, "a %s has no subscriptions", u.Role)
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
		return usage(cmd, "a %s renews its credentials: leave --ttl out", u.Role)
	}
	if err := u.TTL.UnmarshalText([]byte(u.ttl)); err != nil {
		return fault.Wrap(fault.Invalid, err, "--ttl")
	}
	if u.TTL <= 0 {
		return usage(cmd, "--ttl %s is not positive", u.ttl)
	}
	return nil
}

func (a *app) createUser(ctx context.Context, c *client, u *newUser) error {
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
	u.PublicKey = file.public
	var made api.CreatedUser
	if err := c.ask(ctx, max(c.timeout, 30*time.Second), func(ctx context.Context) error {
		return c.admin.Do(ctx, api.UserCreate, u.CreateUser, &made)
	}); err != nil {
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
	if u.saveContext {
		if out.Context, err = saveUserContext(c, out); err != nil {
			return err
		}
	}
	return a.printUser(out)
}

// matches says whether the credentials in FILE can be those of this user. What
// the control plane has to judge (role, subscriptions) it judges by the key.
func (u *newUser) matches(ctx context.Context, c *client, path string, have *account.Creds) error {
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

// saveUserContext writes a NATS context for the user and does not select it.
func saveUserContext(c *client, u createdUser) (string, error) {
	name, about := "midplane-"+u.Tenant+"-"+u.Name, fmt.Sprintf("Midplane: %s %s of tenant %s", u.Role, u.Name, u.Tenant)
	if u.Role == roleAdmin {
		name, about = "midplane-"+u.Name, "Midplane: admin "+u.Name
	}
	url := strings.Join(u.Servers, ",")
	if url == "" {
		url = c.context.ServerURL()
	}
	nctx, err := natscontext.New(name, false,
		natscontext.WithServerURL(url),
		natscontext.WithCreds(u.File),
		natscontext.WithCA(c.context.CA()),
		natscontext.WithInboxPrefix(u.InboxPrefix),
		natscontext.WithDescription(about),
	)
	if err == nil {
		err = nctx.Save(name)
	}
	return name, fault.Wrap(fault.Other, err, "save NATS context %s", name)
}

func (a *app) printUser(u createdUser) error {
	if a.format.machine() {
		return a.print(u)
	}
	verb := "created"
	if u.Existed {
		verb = "exists"
	}
	of := " of tenant " + u.Tenant
	if u.Role == roleAdmin {
		of = ""
	}
	fmt.Fprintf(a.stdout, "%s %s%s %s: credentials in %s\n", u.Role, u.Name, of, verb, u.File)
	switch {
	case u.Expires.IsZero(): // made before lives were bounded
	case u.Role == "producer" || u.Role == "reader":
		fmt.Fprintf(a.stdout, "they are good until %s\n", u.Expires.UTC().Format(time.RFC3339))
	default:
		fmt.Fprintf(a.stdout, "they are good until %s, unless they are renewed\n", u.Expires.UTC().Format(time.RFC3339))
	}
	fmt.Fprintf(a.stdout, "inbox prefix %s: it may listen nowhere else, and a client with the default prefix gets no answers at all\n", u.InboxPrefix)
	if u.Context != "" {
		fmt.Fprintf(a.stdout, "NATS context %s saved: nats --context %s …\n", u.Context, u.Context)
	}
	return nil
}
