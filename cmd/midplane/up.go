package main

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/nats-io/jsm.go/natscontext"
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/bus"
	"midplane/console"
	"midplane/fault"
	"midplane/internal/run"
	"midplane/platform/deployment"
	"midplane/platform/local"
	"midplane/primary"
	"midplane/subject"
	"midplane/telemetry/export"
	"midplane/tenants/account"
)

// Names that "up" gives.
const (
	upAdmin   = "admin"
	upPrimary = "primary-1"
)

type upFlags struct {
	Data    string `config:"data"`
	Tenants string `config:"tenants"`
	NATS    string `config:"nats"`
	Encrypt bool   `config:"encrypt-at-rest"`

	consoleFlags `config:",squash"`
	daemonFlags  `config:",squash"`
}

func newUpCmd(a *app) *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Everything in one process, on this machine: nodes, primary, pollers",
		Long: `Starts a cluster of three nodes (replicated three times, every write synced),
the control plane, a primary with its page, and the pollers that the tenants'
files mark as embedded. Everything listens on loopback.

The page and the HTTP API ask who you are: the address printed at start signs a
browser in, once and within ten minutes; "midplane console link" prints another,
"midplane console user add" adds people.

Without --tenants, and when there is no tenant yet, two example tenants watch
this machine. The credentials are saved as NATS context "midplane", which every
other command uses.

Stop it with Ctrl-C; start it again, and it continues where it was.`,
		Example: `  midplane up
  midplane up --tenants ./tenants --data ./data
  midplane get devices`,
		Args: args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.settings.Decode(&f); err != nil {
				return err
			}
			return a.up(cmd.Context(), f)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.Data, "data", stateDir(), "folder for everything that is kept")
	fl.StringVar(&f.Tenants, "tenants", "", "folder of tenants' files to apply at start (default: the example, when there is no tenant yet)")
	fl.StringVar(&f.NATS, "nats", "127.0.0.1:4222", "address of the first node for clients; the others take the next two ports")
	fl.BoolVar(&f.Encrypt, "encrypt-at-rest", false, "encrypt what the nodes store, with the key in deployment/store.key (made when missing) or MIDPLANE_STORE_KEY")
	f.consoleFlags.add(fl)
	f.daemonFlags.add(fl, console.DefaultAddr, "the page, the HTTP API, /metrics, /healthz and /readyz")
	return cmd
}

func (a *app) up(ctx context.Context, f upFlags) error {
	data, unlock, err := openData(f.Data)
	if err != nil {
		return err
	}
	defer unlock()
	wanted, err := upTenants(f)
	if err != nil {
		return err
	}
	if err := checkFree(ctx, "--http", f.HTTP); err != nil {
		return err
	}
	exp, err := a.export(ctx, f.daemonFlags, "midplane-up", "up")
	if err != nil {
		return err
	}
	version := readBuild().Version
	cluster, err := local.New(local.Config{Dir: data, Client: f.NATS, Version: version, Admin: upAdmin, Primary: upPrimary, EncryptAtRest: f.Encrypt}, exp.Telemetry("node"))
	if err != nil {
		return err
	}
	for _, server := range cluster.Servers() {
		if err := checkFree(ctx, "--nats", strings.TrimPrefix(server, "nats://")); err != nil {
			return err
		}
	}
	u := &upRun{app: a, flags: f, data: data, version: version, cluster: cluster, exp: exp}
	exp.AddReady("cluster", cluster.Healthy)
	prim, err := primary.New(primary.Config{
		Name: upPrimary, Dir: filepath.Join(data, "primary"), Servers: cluster.Servers(), Version: version,
		CoreCreds:  deployment.PrimaryCreds(cluster.Deployment(), account.RoleCore),
		QueryCreds: deployment.PrimaryCreds(cluster.Deployment(), account.RoleQuery),
	}, exp.Telemetry("primary"))
	if err != nil {
		return err
	}
	cons, err := newConsole(data, f.consoleFlags, f.daemonFlags, u, exp)
	if err != nil {
		return err
	}
	a.say("midplane %s is starting: 3 nodes, every message replicated 3 times, every write synced", version)
	return runDaemon(ctx, exp,
		run.Part{Name: "cluster", Run: cluster.Run, Ready: cluster.Ready},
		run.Part{Name: "admin", Run: u.admin, Ready: u.connected},
		run.Part{Name: "primary", Run: prim.Run},
		cons.audit.part(),
		run.Part{Name: "console", Run: cons.Run, Ready: cons.Ready},
		run.Part{Name: "tenants", Run: func(ctx context.Context) error { return u.pollers(ctx) }, Ready: func(ctx context.Context) error { return u.tenants(ctx, wanted, cons) }},
	)
}

// upRun is one run of "up".
type upRun struct {
	*app
	flags   upFlags
	data    string
	version string
	cluster *local.Cluster
	exp     *export.Export
	nc      *nats.Conn
	client  *api.Admin
	query   *api.Query
}

// Admin and Query make it a console.Source.
func (u *upRun) Admin(ctx context.Context, verb string, req, resp any) error {
	return u.client.Do(ctx, verb, req, resp)
}

// Query asks the primary.
func (u *upRun) Query(ctx context.Context, verb string, req, resp any) error {
	return u.query.Do(ctx, verb, req, resp)
}

// admin keeps the connection with which "up" itself asks.
func (u *upRun) admin(ctx context.Context) error {
	<-ctx.Done()
	if u.nc != nil {
		u.nc.Close()
	}
	return nil
}

func (u *upRun) connected(context.Context) error {
	creds := deployment.AdminCreds(u.cluster.Deployment(), upAdmin)
	nc, err := bus.Connect(bus.Config{Servers: u.cluster.Servers(), User: upAdmin, Name: "up", CredsFile: creds, MaxWait: answerWithin}, u.exp.Telemetry("up"))
	if err != nil {
		return err
	}
	u.nc, u.client, u.query = nc, api.NewAdmin(nc, upAdmin), api.NewQuery(nc, upAdmin)
	return saveContext(DefaultContext, u.cluster.Servers(), creds, "", upAdmin, "Midplane on this machine ("+u.data+")")
}

// saveContext writes a NATS context and does not select it.
func saveContext(name string, servers []string, creds, ca, user, description string) error {
	opts := []natscontext.Option{
		natscontext.WithServerURL(strings.Join(servers, ",")), natscontext.WithCreds(creds),
		natscontext.WithInboxPrefix(subject.InboxPrefix(user)), natscontext.WithDescription(description),
	}
	if ca != "" {
		opts = append(opts, natscontext.WithCA(ca))
	}
	nctx, err := natscontext.New(name, false, opts...)
	if err == nil {
		err = nctx.Save(name)
	}
	return fault.Wrap(fault.Other, err, "save NATS context %s", name)
}
