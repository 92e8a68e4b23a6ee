package serve

import (
	"context"

	"github.com/spf13/cobra"

	"midplane/cmd/midplane/shell"
	"midplane/internal/run"
	"midplane/platform"
	"midplane/platform/deployment"
)

type nodeFlags struct {
	Dir          string `config:"dir"`
	Data         string `config:"data"`
	MaxStore     int64  `config:"max-store"`
	UnsafeNoSync bool   `config:"unsafe-no-sync"`
	Encrypt      bool   `config:"encrypt-at-rest"`
	Repair       string `config:"replica-repair"`

	daemonFlags `config:",squash"`
}

// NewNode is the command "node".
func NewNode(sh *shell.Shell) *cobra.Command {
	var f nodeFlags
	cmd := &cobra.Command{
		Use:   "node --dir DIR --data DIR",
		Short: "One node of the cluster",
		Long: `Runs one node: an embedded NATS server with JetStream, the door into every
tenant, and its part of the control plane. --dir is the node's own folder of
what "midplane init" made.

The master key, with which the tenants' keys are sealed, is read from
master.key in that folder or from MIDPLANE_MASTER_KEY. With --encrypt-at-rest here
or at "midplane init", streams are encrypted with the key that is read from
store.key or MIDPLANE_STORE_KEY. A store that was made with another key, or
without one, is left as it is, and the node does not start.`,
		Example: "  midplane node --dir deployment/nodes/n1 --data /var/lib/midplane/n1",
		Args:    shell.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := sh.Settings.Decode(&f); err != nil {
				return err
			}
			if f.Dir == "" {
				return shell.Usage(cmd, "--dir is missing")
			}
			if f.Repair != repairAuto && f.Repair != repairAsk {
				return shell.Usage(cmd, "--replica-repair is "+repairAuto+" or "+repairAsk)
			}
			return runNode(cmd.Context(), sh, f)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.Dir, "dir", "", "the node's folder (required)")
	fl.StringVar(&f.Data, "data", shell.StateDir("node"), "folder for streams and accounts")
	fl.Int64Var(&f.MaxStore, "max-store", 0, "bytes that streams may use on disk (default: 75 % of what is free)")
	fl.BoolVar(&f.Encrypt, "encrypt-at-rest", false, "encrypt what is stored, with the key in the folder's store.key or MIDPLANE_STORE_KEY")
	fl.StringVar(&f.Repair, "replica-repair", repairAuto, "auto: a damaged replica of a stream is taken over again from the other nodes; ask: when an operator says so (midplane replica repair)")
	fl.BoolVar(&f.UnsafeNoSync, "unsafe-no-sync", false, "do not sync every write: a power cut takes acknowledged data")
	f.add(fl, nodeHTTP, "/metrics, /healthz and /readyz")
	return cmd
}

// Values of --replica-repair.
const (
	repairAuto = "auto"
	repairAsk  = "ask"
)

func runNode(ctx context.Context, sh *shell.Shell, f nodeFlags) error {
	data, unlock, err := openData(f.Data)
	if err != nil {
		return err
	}
	defer unlock()
	cfg, err := platform.Load(f.Dir, data)
	if err != nil {
		return err
	}
	if f.Encrypt && cfg.Node.StoreKey == "" {
		if cfg.Node.StoreKey, err = deployment.StoreKey(f.Dir); err != nil {
			return err
		}
	}
	cfg.Version, cfg.AskBeforeRepair = sh.Version, f.Repair == repairAsk
	cfg.Node.MaxStore, cfg.Node.UnsafeNoSync = f.MaxStore, f.UnsafeNoSync
	exp, err := startExport(ctx, sh, f.daemonFlags, "midplane-node", cfg.Node.Name)
	if err != nil {
		return err
	}
	tel := exp.Telemetry("node")
	if f.UnsafeNoSync {
		tel.Log.Warn("writes are not synced: a power cut takes acknowledged data with it")
	}
	p, err := platform.New(cfg, tel)
	if err != nil {
		return err
	}
	exp.AddReady("node", p.Healthy)
	web, err := httpPart(f.daemonFlags, exp.Handler())
	if err != nil {
		return err
	}
	tel.Log.Info("starting", "node", cfg.Node.Name, "clients", cfg.Advertise, "data", data, "http", f.HTTP)
	return runDaemon(ctx, exp, f.daemonFlags, web, run.Part{Name: "node", Run: p.Run})
}
