package main

import "github.com/spf13/cobra"

// newEnvironmentTopic is a topic of the help, not a command: it runs nothing.
func newEnvironmentTopic() *cobra.Command {
	return &cobra.Command{Use: "environment", Short: "Which environment variables count", Long: `Every setting can be given as MIDPLANE_NAME (see: midplane config view); a flag
wins over it, it wins over the file of settings.

  MIDPLANE_CONFIG  the file of settings
  NO_COLOR         no colours
  VISUAL, EDITOR   what midplane edit opens (default: vi)
  COLUMNS          how wide tables may be (default: the terminal; else as they are)

Where a command connects, and as whom, can also be given as for the nats CLI. Any
setting of our own (--context, MIDPLANE_CONTEXT, the file) wins over all of these;
they win over the default context.

  NATS_CONTEXT     NATS context instead of "midplane"
  NATS_URL         servers, a comma list, instead of the context's
  NATS_CREDS       .creds file instead of the context's
  NATS_CA          CA certificates instead of the context's
  NATS_TIMEOUT     how long to wait for one answer, below --request-timeout

With NATS_URL and NATS_CREDS no context is needed.`}
}
