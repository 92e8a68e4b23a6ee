package serve

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"midplane/cmd/midplane/shell"
	"midplane/fault"
	"midplane/internal/run"
	"midplane/poller"
	"midplane/poller/collect/all"
	"midplane/poller/join"
	"midplane/telemetry/export"
	"midplane/tenants/account"
	"midplane/tenants/enrol"
)

type pollerFlags struct {
	Creds       string   `config:"creds"`
	Data        string   `config:"data"`
	Servers     []string `config:"server"`
	CA          string   `config:"ca"`
	OutboxBytes int64    `config:"outbox-bytes"`

	daemonFlags `config:",squash"`
}

// NewPoller is the command "poller".
func NewPoller(sh *shell.Shell) *cobra.Command {
	var f pollerFlags
	cmd := &cobra.Command{
		Use:   "poller [--creds FILE --server URL]",
		Short: "A poller at a customer's site",
		Long: `Asks the cluster what to watch, watches it, and keeps what it sees in an outbox
on disk until it is stored: it works on without the network, and sends later.

A machine becomes a poller with a token: see "midplane poller join". What it
joined with is in --data, and nothing else has to be given afterwards.

Or the credentials come from "midplane user create --role poller"; then --creds
and --server are needed. A file that is not there yet is waited for. --data
holds the outbox, too; losing it loses what was not sent yet, and sharing it
between two pollers is refused.`,
		Example: `  midplane poller join mpt1.… --data /var/lib/midplane/syd-01
  midplane poller --data /var/lib/midplane/syd-01
  midplane poller --creds syd-01.creds --server tls://n1:4222 --server tls://n2:4222 --ca ca.crt --data /var/lib/midplane/syd-01`,
		Args: func(cmd *cobra.Command, given []string) error {
			if len(given) > 0 && enrol.Looks(given[0]) { // a secret, which is not to be repeated
				return fault.WithHint(shell.Usage(cmd, "a token where none belongs"), "did you mean: midplane poller join TOKEN")
			}
			return shell.Args(0, 0, "")(cmd, given)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := sh.Settings.Decode(&f); err != nil {
				return err
			}
			if f.Creds != "" && len(f.Servers) == 0 {
				return shell.Usage(cmd, "--server is needed with --creds")
			}
			return runPoller(cmd.Context(), sh, f)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.Creds, "creds", "", "the poller's .creds file (default: what it joined with)")
	fl.StringVar(&f.Data, "data", shell.StateDir("poller"), "folder for the outbox, and for what the poller joined with")
	fl.StringSliceVar(&f.Servers, "server", nil, "client URL of a node; may be given several times (default: those it joined with)")
	fl.StringVar(&f.CA, "ca", "", "CA certificate of the nodes, PEM; turns TLS on")
	fl.Int64Var(&f.OutboxBytes, "outbox-bytes", 64<<20, "bytes the outbox may take on disk; what is kept of what was sent takes an eighth more")
	f.add(fl, pollerHTTP, "/metrics, /healthz and /readyz")
	join := newPollerJoinCmd(sh)
	join.GroupID = shell.GroupRun // its flags are settings, too
	cmd.AddGroup(&cobra.Group{ID: shell.GroupRun, Title: "Run:"})
	cmd.AddCommand(join)
	return cmd
}

func runPoller(ctx context.Context, sh *shell.Shell, f pollerFlags) error {
	data, unlock, err := openData(f.Data)
	if err != nil {
		return err
	}
	defer unlock()
	if f.Creds == "" {
		id, joined, err := join.Load(data)
		if err != nil {
			return err
		}
		if !joined {
			return fault.WithHint(fault.New(fault.Invalid, "no poller has joined in %s, and there is no --creds", data), "join with: midplane poller join TOKEN --data %s", f.Data)
		}
		f.Creds = id.Creds
		if len(f.Servers) == 0 {
			f.Servers = id.Servers
		}
		if f.CA == "" {
			f.CA = id.CA
		}
	}
	exp, err := startExport(ctx, sh, f.daemonFlags, "midplane-poller", "")
	if err != nil {
		return err
	}
	return runPollerWith(ctx, sh, exp, data, f)
}

// runPollerWith runs a poller whose credentials there are, or will be.
func runPollerWith(ctx context.Context, sh *shell.Shell, exp *export.Export, data string, f pollerFlags) error {
	web, err := httpPart(f.daemonFlags, exp.Handler())
	if err != nil {
		return err
	}
	tel := exp.Telemetry("poller")
	return runDaemon(ctx, exp, f.daemonFlags, web, run.Part{Name: "poller", Run: func(ctx context.Context) error {
		// The poller's name is in its credentials.
		user, err := pollerName(ctx, f.Creds, tel.Log)
		if err != nil || ctx.Err() != nil {
			return err
		}
		p, err := poller.New(poller.Config{User: user, Dir: data, CredsFile: f.Creds, Servers: f.Servers, CAFile: f.CA,
			Collectors: all.Collectors(), OutboxBytes: f.OutboxBytes, Version: sh.Version}, tel)
		if err != nil {
			return err
		}
		exp.AddReady("connection", func(context.Context) error {
			if !p.Connected() {
				return fault.New(fault.Unavailable, "not connected to a node; what is seen waits in the outbox")
			}
			return nil
		})
		tel.Log.Info("starting", "poller", user, "servers", f.Servers, "data", data)
		return p.Run(ctx)
	}})
}

// pollerName waits for the credentials and returns whose they are.
func pollerName(ctx context.Context, path string, log *slog.Logger) (string, error) {
	for tries := 0; ; tries++ {
		data, err := os.ReadFile(path)
		if err == nil {
			creds, err := account.ReadCreds(data)
			if err != nil {
				return "", fault.Wrap(fault.Invalid, err, "%s", path)
			}
			return creds.Name, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", fault.Wrap(fault.Denied, err, "--creds")
		}
		if tries%60 == 0 {
			log.Info("waiting for the credentials file", "file", path, "hint", "midplane user create --role poller … --out "+path)
		}
		select {
		case <-ctx.Done():
			return "", nil
		case <-time.After(500 * time.Millisecond):
		}
	}
}
