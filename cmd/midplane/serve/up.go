package serve

import (
	"cmp"
	"context"
	"path/filepath"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/bus"
	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/connect"
	"midplane/cmd/midplane/shell/output"
	"midplane/console"
	"midplane/internal/local"
	"midplane/internal/run"
	"midplane/platform/deployment"
	"midplane/poller"
	"midplane/poller/collect/all"
	"midplane/poller/embedded"
	"midplane/primary"
	"midplane/telemetry"
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

	Overcommit bool `config:"overcommit"`

	ContextName string `config:"context-name"`

	consoleFlags `config:",squash"`
	daemonFlags  `config:",squash"`
}

// NewUp is the command "up".
func NewUp(sh *shell.Shell) *cobra.Command {
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
other command uses. When a context of that name points at another deployment, it
stays, and this one is called midplane-2 (or what --context-name says).

Stop it with Ctrl-C; start it again, and it continues where it was.`,
		Example: `  midplane up
  midplane up --tenants ./tenants --data ./data
  midplane get devices`,
		Args: shell.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := sh.Settings.Decode(&f); err != nil {
				return err
			}
			return runUp(cmd.Context(), sh, f)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.Data, "data", shell.StateDir(), "folder for everything that is kept")
	fl.StringVar(&f.Tenants, "tenants", "", "folder of tenants' files to apply at start (default: the example, when there is no tenant yet)")
	fl.StringVar(&f.NATS, "nats", "127.0.0.1:4222", "address of the first node for clients; the others take the next two ports")
	fl.BoolVar(&f.Encrypt, "encrypt-at-rest", false, "encrypt what the nodes store, with the key in deployment/store.key (made when missing) or MIDPLANE_STORE_KEY")
	fl.BoolVar(&f.Overcommit, "overcommit", false, "promise tenants more storage than the disk has; when it is nearly full, nothing of tenants is taken")
	fl.StringVar(&f.ContextName, "context-name", "", "name of the NATS context to save (default: midplane, or midplane-2 and so on when that is another deployment's)")
	f.consoleFlags.add(fl)
	f.daemonFlags.add(fl, console.DefaultAddr, "the page, the HTTP API, /metrics, /healthz and /readyz")
	return cmd
}

func runUp(ctx context.Context, sh *shell.Shell, f upFlags) error {
	data, unlock, err := openData(f.Data)
	if err != nil {
		return err
	}
	defer unlock()
	wanted, err := readTenants(f.Tenants)
	if err != nil {
		return err
	}
	if err := checkFree(ctx, "--http", f.HTTP); err != nil {
		return err
	}
	exp, err := startExport(ctx, sh, f.daemonFlags, "midplane-up", "up")
	if err != nil {
		return err
	}
	cluster, err := local.New(local.Config{Dir: data, Client: f.NATS, Version: sh.Version, Admin: upAdmin, Primary: upPrimary, EncryptAtRest: f.Encrypt, Overcommit: f.Overcommit}, exp.Telemetry("node"))
	if err != nil {
		return err
	}
	for _, server := range cluster.Servers() {
		if err := checkFree(ctx, "--nats", strings.TrimPrefix(server, "nats://")); err != nil {
			return err
		}
	}
	admin := &firstAdmin{servers: cluster.Servers(), creds: deployment.AdminCreds(cluster.Deployment(), upAdmin), tel: exp.Telemetry("up")}
	u := &upRun{out: sh.Out, flags: f, data: data, servers: cluster.Servers(), ask: admin.Admin}
	save := u.natsContext(admin.creds)
	if _, err := save.Place(); err != nil {
		return err
	}
	exp.AddReady("cluster", cluster.Healthy)
	prim, err := primary.New(primary.Config{
		Name: upPrimary, Dir: filepath.Join(data, "primary"), Servers: cluster.Servers(), Version: sh.Version,
		CoreCreds:  deployment.PrimaryCreds(cluster.Deployment(), account.RoleCore),
		QueryCreds: deployment.PrimaryCreds(cluster.Deployment(), account.RoleQuery),
	}, exp.Telemetry("primary"))
	if err != nil {
		return err
	}
	cons, err := newConsole(sh.Version, data, f.consoleFlags, f.daemonFlags, beside{admin.Admin, prim}, exp)
	if err != nil {
		return err
	}
	pollers := embedded.New(embedded.Config{
		Dir: filepath.Join(data, "pollers"), Ask: admin.Admin, Log: exp.Telemetry("up").Log,
		Make: func(at embedded.Place) (embedded.Poller, error) {
			return poller.New(poller.Config{
				User: at.Poller, Dir: at.Dir, CredsFile: at.CredsFile, Servers: cluster.Servers(),
				Collectors: all.Collectors(), Version: sh.Version,
			}, exp.Telemetry("poller").With("tenant", at.Tenant))
		},
	})
	sh.Out.Say("midplane %s is starting: 3 nodes, every message replicated 3 times, every write synced", sh.Version)
	return runDaemon(ctx, exp, f.daemonFlags,
		run.Part{Name: "cluster", Run: cluster.Run, Ready: cluster.Ready},
		run.Part{Name: "admin", Run: admin.run, Ready: func(context.Context) (err error) {
			if err = admin.connect(); err == nil {
				u.context, err = save.Save()
			}
			return err
		}},
		run.Part{Name: "primary", Run: prim.Run},
		cons.audit.part(),
		run.Part{Name: "console", Run: cons.console.Run, Ready: cons.console.Ready},
		run.Part{Name: "tenants", Run: pollers.Run, Ready: func(ctx context.Context) error { return u.tenants(ctx, wanted, cons) }},
	)
}

// upRun is one run of "up", once its cluster answers: what it applies and what
// it prints.
type upRun struct {
	out     *output.Output
	flags   upFlags
	data    string
	servers []string
	ask     api.Do // the control plane
	context string // NATS context that was saved
}

// natsContext is the NATS context of the first admin.
func (u *upRun) natsContext(creds string) connect.Context {
	return connect.Context{
		Name: cmp.Or(u.flags.ContextName, connect.DefaultContext), Chosen: u.flags.ContextName != "",
		Servers: strings.Join(u.servers, ","), Creds: creds,
		User: upAdmin, Description: connect.OnThisMachine + " (" + u.data + ")",
	}
}

// firstAdmin is the connection with which "up" and its page ask the cluster.
type firstAdmin struct {
	servers []string
	creds   string
	tel     telemetry.Telemetry

	nc    *nats.Conn
	admin *api.Admin
}

// connect comes before Admin.
func (a *firstAdmin) connect() error {
	nc, err := bus.Connect(bus.Config{Servers: a.servers, User: upAdmin, Name: "up", CredsFile: a.creds, MaxWait: answerWithin}, a.tel)
	if err != nil {
		return err
	}
	a.nc, a.admin = nc, api.NewAdmin(nc, upAdmin)
	return nil
}

// run keeps the connection until ctx ends.
func (a *firstAdmin) run(ctx context.Context) error {
	<-ctx.Done()
	if a.nc != nil {
		a.nc.Close()
	}
	return nil
}

// Admin asks the control plane.
func (a *firstAdmin) Admin(ctx context.Context, verb string, req, resp any) error {
	return a.admin.Do(ctx, verb, req, resp)
}
