package serve

import (
	"context"

	"github.com/spf13/pflag"

	"midplane/api"
	"midplane/console"
	"midplane/console/access"
	"midplane/primary"
	"midplane/telemetry/export"
)

// consoleFlags are of the servers that have a page.
type consoleFlags struct {
	Hosts []string `config:"http-host"`
	Cert  string   `config:"http-cert"`
	Key   string   `config:"http-key"`
	MFA   bool     `config:"http-require-mfa"`
}

func (c *consoleFlags) add(f *pflag.FlagSet) {
	f.StringSliceVar(&c.Hosts, "http-host", nil, "name, besides its own, under which browsers reach --http; may be given several times")
	f.StringVar(&c.Cert, "http-cert", "", "file of the certificate with which --http speaks TLS; read again when it changes")
	f.StringVar(&c.Key, "http-key", "", "file of the certificate's key")
	f.BoolVar(&c.MFA, "http-require-mfa", false, "let admins and operators in with a second factor only: midplane console user mfa")
}

// beside is what a page asks that runs beside a primary: that primary, in this
// process, and the control plane.
type beside struct {
	admin   api.Do
	primary *primary.Primary
}

// Admin asks the control plane.
func (b beside) Admin(ctx context.Context, verb string, req, resp any) error {
	return b.admin(ctx, verb, req, resp)
}

// Query asks the primary.
func (b beside) Query(ctx context.Context, verb string, req, resp any) error {
	return b.primary.Query(ctx, verb, req, resp)
}

// served is the console of a server with what belongs to it.
type served struct {
	console *console.Console
	users   *access.Store
	audit   *auditor
}

// newConsole makes the console of a server, whose users are in its data folder.
func newConsole(version, data string, c consoleFlags, d daemonFlags, src console.Source, exp *export.Export) (*served, error) {
	users, err := access.Open(access.Folder(data))
	if err != nil {
		return nil, err
	}
	if _, err := users.Users(); err != nil {
		return nil, err // better now than at the first login
	}
	audit := newAuditor(src, exp.Telemetry("console").Log)
	cons, err := console.New(console.Config{
		Addr: d.HTTP, Open: d.HTTPOpen, Hosts: c.Hosts, Cert: c.Cert, Key: c.Key,
		Version: version, Telemetry: exp.Handler(), Access: access.NewKeeper(users, access.Config{RequireMFA: c.MFA}), Audit: audit.add,
	}, src, exp.Telemetry("console"))
	return &served{console: cons, users: users, audit: audit}, err
}
