package people

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"midplane/bus"
	"midplane/bus/renew"
	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/connect"
	"midplane/event"
	"midplane/fault"
	"midplane/tenants/account"
)

// renewed is what "user renew" prints with -o json.
type renewed struct {
	Name          string    `json:"name"`
	File          string    `json:"file"`
	Expires       time.Time `json:"expires"`
	Subscriptions []string  `json:"subscriptions"`
}

func newUserRenew(sh *shell.Shell) *cobra.Command {
	var cfg bus.Config
	cmd := &cobra.Command{
		Use:   "renew FILE --server URL",
		Short: "Renew the credentials in a .creds file, as the user that they belong to",
		Long: `Asks for new credentials as the user of FILE and writes them into it, whole
(mode 0600). The key stays the same; the subscriptions are those that are
assigned now.

Pollers do this by themselves, and so do Go programs that connect with package
bus/renew. For other clients of an app or inspector run it well within the life
of the credentials, from cron for instance: a client that reads FILE again when
it reconnects (all NATS clients do) goes on by itself. What has expired cannot be
renewed, and neither can the credentials of producers and readers.`,
		Example: `  midplane user renew billing.creds --server tls://n1.example:4222 --ca ca.crt
  # crontab: 0 */6 * * * midplane user renew /etc/billing/billing.creds --server tls://n1.example:4222 --ca /etc/billing/ca.crt`,
		Args: shell.Args(1, 1, "FILE, a .creds file"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if len(cfg.Servers) == 0 {
				return shell.Usage(cmd, "--server is missing")
			}
			return renewUser(sh, cmd, given[0], cfg)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&cfg.Servers, "server", nil, "client URLs of the nodes, comma separated (required)")
	f.StringVar(&cfg.CAFile, "ca", "", "CA certificate of the nodes, PEM")
	return cmd
}

func renewUser(sh *shell.Shell, cmd *cobra.Command, file string, cfg bus.Config) error {
	path, err := filepath.Abs(file)
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "FILE")
	}
	old, err := renew.Read(path)
	if err != nil {
		return err
	}
	if err := old.Ended(time.Now()); err != nil {
		return err
	}
	if err := event.CheckUserName("user", old.Name); err != nil {
		return err
	}
	cfg.User, cfg.Name, cfg.CredsFile, cfg.MaxWait = old.Name, "midplane user renew", path, sh.Timeout
	c, err := connect.Dial(cfg, sh.Timeout)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Ask(cmd.Context(), sh.Timeout, func(ctx context.Context, nc *nats.Conn) error {
		_, err := renew.Once(ctx, nc, path)
		return err
	}); err != nil {
		return err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return fault.Wrap(fault.Other, err, "read what was written")
	}
	now, err := account.ReadCreds(data)
	if err != nil {
		return err
	}
	out := renewed{Name: now.Name, File: path, Expires: now.Expires.UTC(), Subscriptions: append([]string{}, now.Subs...)}
	if sh.Out.Machine() {
		return sh.Out.Print(out)
	}
	fmt.Fprintf(sh.Out.Stdout, "credentials of %s in %s are good until %s\n", out.Name, out.File, out.Expires.Format(time.RFC3339))
	return nil
}
