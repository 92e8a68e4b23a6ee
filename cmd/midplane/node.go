package main

import (
	"context"

	"github.com/spf13/cobra"

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

	daemonFlags `config:",squash"`
}

func newNodeCmd(a *app) *cobra.Command {
	var f nodeFlags
	cmd := &cobra.Command{
		Use:   "node --dir DIR --data DIR",
		Short: "One node of the cluster",
		Long: `Runs one node: an embedded NATS server with JetStream, the door into every
tenant, and its part of the control plane. --dir is the node's own folder of
what "midplane init" made.

The master key, with which the tenants' keys are sealed, is read from
master.key in that folder or from MIDPLANE_MASTER_KEY. With --encrypt-at-rest, or
when "midplane init" was told so, streams are encrypted with the key that is read
from store.key or MIDPLANE_STORE_KEY. A store that was made with another key, or
without one, is left as it is, and the node does not start.`,
		Example: "  midplane node --dir deployment/nodes/n1 --data /var/lib/midplane/n1",
		Args:    args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.settings.Decode(&f); err != nil {
				return err
			}
			if f.Dir == "" {
				return usage(cmd, "--dir is missing")
			}
			return a.node(cmd.Context(), f)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.Dir, "dir", "", "the node's folder (required)")
	fl.StringVar(&f.Data, "data", stateDir("node"), "folder for streams and accounts")
	fl.Int64Var(&f.MaxStore, "max-store", 0, "bytes that streams may use on disk (default: 75 % of what is free)")
	fl.BoolVar(&f.Encrypt, "encrypt-at-rest", false, "encrypt what is stored, with the key in the folder's store.key or MIDPLANE_STORE_KEY")
	fl.BoolVar(&f.UnsafeNoSync, "unsafe-no-sync", false, "do not sync every write: a power cut takes acknowledged data")
	f.add(fl, nodeHTTP, "/metrics, /healthz and /readyz")
	return cmd
}

func (a *app) node(ctx context.Context, f nodeFlags) error {
	data, unlock, err := openData(f.Data)
	if err != nil {
		return err
	}
	defer unlock()
	cfg, err := deployment.LoadNode(f.Dir, data)
	if err != nil {
		return err
	}
	if f.Encrypt && cfg.Node.StoreKey == "" {
		if cfg.Node.StoreKey, err = deployment.StoreKey(f.Dir); err != nil {
			return err
		}
	}
	cfg.Version = readBuild().Version
	cfg.Node.MaxStore, cfg.Node.UnsafeNoSync = f.MaxStore, f.UnsafeNoSync
	exp, err := a.export(ctx, f.daemonFlags, "midplane-node", cfg.Node.Name)
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
	return runDaemon(ctx, exp, web, run.Part{Name: "node", Run: p.Run})
}
