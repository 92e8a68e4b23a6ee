package serve

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"midplane/cmd/midplane/shell"
	"midplane/fault"
	"midplane/poller/join"
	"midplane/tenants/enrol"
)

type joinFlags struct {
	Data        string `config:"data"`
	OutboxBytes int64  `config:"outbox-bytes"`

	daemonFlags `config:",squash"`
}

func newPollerJoinCmd(sh *shell.Shell) *cobra.Command {
	var f joinFlags
	cmd := &cobra.Command{
		Use:   "join TOKEN|-",
		Short: "Make this machine a poller with a token, and run it",
		Long: `Joins with a token of "midplane token create" and then runs in the foreground as
"midplane poller" does. It fails at once when the token is refused.

Nothing is sent to a server that cannot prove to be of the cluster which made
the token. The poller's key is made here and never leaves this machine.
Credentials, addresses and the CA are kept in --data; "midplane poller --data
DIR" runs the poller again later, and so does this very command.

With - the token is read from standard input, so that it does not stand in the
list of processes.`,
		Example: `  midplane poller join mpt1.… --data /var/lib/midplane/syd-01
  midplane poller join - --data /var/lib/midplane/syd-01 < token`,
		// An argument too many may be a piece of the token: no error repeats it.
		Args: shell.Args(1, 100, "TOKEN, or - to read it from standard input,"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := sh.Settings.Decode(&f); err != nil {
				return err
			}
			text := strings.Join(given, "")
			if text == "-" {
				var err error
				if text, err = readToken(cmd.Context(), sh); err != nil {
					return err
				}
			}
			token, err := enrol.Parse(text)
			if err != nil {
				return err
			}
			return joinPoller(cmd.Context(), sh, f, token)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.Data, "data", shell.StateDir("poller"), "folder for the credentials and the outbox")
	fl.Int64Var(&f.OutboxBytes, "outbox-bytes", 64<<20, "bytes the outbox may take on disk")
	f.add(fl, pollerHTTP, "/metrics, /healthz and /readyz")
	return cmd
}

func joinPoller(ctx context.Context, sh *shell.Shell, f joinFlags, token enrol.Token) error {
	data, unlock, err := openData(f.Data)
	if err != nil {
		return err
	}
	defer unlock()
	exp, err := startExport(ctx, sh, f.daemonFlags, "midplane-poller", "")
	if err != nil {
		return err
	}
	id, err := join.Join(ctx, data, token, exp.Telemetry("join"))
	if err != nil {
		return err
	}
	sh.Out.Say("joined as poller %s of tenant %s, site %s", id.Poller, id.Tenant, id.Site)
	return runPollerWith(ctx, sh, exp, data, pollerFlags{Creds: id.Creds, Servers: id.Servers, CA: id.CA, OutboxBytes: f.OutboxBytes, daemonFlags: f.daemonFlags})
}

// readToken reads a token from a terminal, without echo, or else from standard
// input, where it may be broken into lines.
func readToken(ctx context.Context, sh *shell.Shell) (string, error) {
	text, terminal, err := sh.ReadSecret(ctx, "token: ")
	if err != nil || terminal {
		return text, err
	}
	in := shell.Lines(sh.Stdin)
	for {
		if _, err := enrol.Parse(text); err == nil {
			return text, nil
		}
		line, err := in.ReadString('\n')
		text += strings.TrimSpace(line)
		if err == io.EOF {
			return text, nil // Parse says what is wrong with it
		}
		if err != nil {
			return "", fault.Wrap(fault.Other, err, "standard input")
		}
	}
}
