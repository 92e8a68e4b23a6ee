package serve

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/bus"
	"midplane/cmd/midplane/shell"
	"midplane/console"
	"midplane/fault"
	"midplane/internal/run"
	"midplane/platform/deployment"
	"midplane/primary"
	"midplane/telemetry"
	"midplane/tenants/account"
)

type primaryFlags struct {
	Deployment string   `config:"deployment"`
	Data       string   `config:"data"`
	Servers    []string `config:"server"`
	EventDays  int      `config:"event-days"`

	consoleFlags `config:",squash"`
	daemonFlags  `config:",squash"`
}

// NewPrimary is the command "primary".
func NewPrimary(sh *shell.Shell) *cobra.Command {
	var f primaryFlags
	cmd := &cobra.Command{
		Use:   "primary --deployment DIR --data DIR",
		Short: "The primary: reads every tenant, keeps the picture, answers and shows it",
		Long: `Reads every tenant's streams from its own cursor, folds them into inventory,
status and event log, answers the command line and serves the page and the HTTP
API. --deployment is what "midplane init" made; of it the primary reads
deployment.json, tls/ca.crt and primary/ only.`,
		Example: "  midplane primary --deployment deployment --data /var/lib/midplane/primary",
		Args:    shell.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := sh.Settings.Decode(&f); err != nil {
				return err
			}
			if f.Deployment == "" {
				return shell.Usage(cmd, "--deployment is missing")
			}
			return runPrimary(cmd.Context(), sh, f)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.Deployment, "deployment", "", "the deployment folder (required)")
	fl.StringVar(&f.Data, "data", shell.StateDir("primary"), "folder for the database")
	fl.StringSliceVar(&f.Servers, "server", nil, "client URL of a node; may be given several times (default: those of the deployment)")
	fl.IntVar(&f.EventDays, "event-days", 30, "days that the event log is kept")
	f.consoleFlags.add(fl)
	f.daemonFlags.add(fl, console.DefaultAddr, "the page, the HTTP API, /metrics, /healthz and /readyz")
	return cmd
}

func runPrimary(ctx context.Context, sh *shell.Shell, f primaryFlags) error {
	data, unlock, err := openData(f.Data)
	if err != nil {
		return err
	}
	defer unlock()
	sum, err := deployment.Read(f.Deployment)
	if err != nil {
		return err
	}
	if len(f.Servers) > 0 {
		sum.Servers = f.Servers
	}
	ca := ""
	if sum.TLS {
		ca = deployment.CAFile(f.Deployment)
	}
	exp, err := startExport(ctx, sh, f.daemonFlags, "midplane-primary", sum.Primary)
	if err != nil {
		return err
	}
	prim, err := primary.New(primary.Config{
		Name: sum.Primary, Dir: data, Servers: sum.Servers, CAFile: ca, Version: sh.Version, EventDays: f.EventDays,
		CoreCreds:  deployment.PrimaryCreds(f.Deployment, account.RoleCore),
		QueryCreds: deployment.PrimaryCreds(f.Deployment, account.RoleQuery),
	}, exp.Telemetry("primary"))
	if err != nil {
		return err
	}
	src := &asker{servers: sum.Servers, ca: ca, creds: deployment.PrimaryCreds(f.Deployment, account.RoleAdmin), name: sum.Primary, tel: exp.Telemetry("console")}
	cons, err := newConsole(sh.Version, data, f.consoleFlags, f.daemonFlags, beside{src.Admin, prim}, exp)
	if err != nil {
		return err
	}
	exp.AddReady("primary", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		return prim.Ready(ctx)
	})
	exp.Telemetry("primary").Log.Info("starting", "primary", sum.Primary, "servers", sum.Servers, "data", data, "http", f.HTTP)
	return runDaemon(ctx, exp, f.daemonFlags,
		run.Part{Name: "primary", Run: prim.Run},
		run.Part{Name: "admin", Run: src.run},
		cons.audit.part(),
		run.Part{Name: "console", Run: cons.console.Run, Ready: cons.console.Ready},
	)
}

// asker is the connection with which the page asks the control plane.
type asker struct {
	servers         []string
	ca, creds, name string
	tel             telemetry.Telemetry

	mu sync.Mutex
	nc *nats.Conn
}

func (s *asker) run(ctx context.Context) error {
	<-ctx.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nc != nil {
		s.nc.Close()
	}
	return nil
}

// conn connects at first use and reconnects for ever after.
func (s *asker) conn() (*nats.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nc != nil {
		return s.nc, nil
	}
	if _, err := os.Stat(s.creds); errors.Is(err, os.ErrNotExist) {
		return nil, fault.New(fault.Unavailable, "the primary's admin credentials are not there yet")
	}
	nc, err := bus.Connect(bus.Config{Servers: s.servers, User: s.name, Name: "console", CredsFile: s.creds, CAFile: s.ca}, s.tel)
	if err == nil {
		s.nc = nc
	}
	return nc, err
}

// Admin asks the control plane.
func (s *asker) Admin(ctx context.Context, verb string, req, resp any) error {
	nc, err := s.conn()
	if err != nil {
		return err
	}
	return api.NewAdmin(nc, s.name).Do(ctx, verb, req, resp)
}
