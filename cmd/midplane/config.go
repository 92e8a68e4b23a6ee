package main

import (
	"github.com/spf13/cobra"

	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/output"
	"midplane/config"
	"midplane/fault"
)

func newConfigCmd(sh *shell.Shell) *cobra.Command {
	cmd := shell.Group(&cobra.Command{Use: "config", Short: "Settings and where they come from"})
	cmd.AddCommand(&cobra.Command{
		Use:   "view [COMMAND]",
		Short: "Print every setting, its value and where the value came from",
		Long: `Prints the common settings or, with the name of a server command, those of
that server as it would find them now. A flag wins over the environment, the
environment over the file, the file over the default. Secrets are hidden.
Where to connect, and as whom, can also come from the variables of the nats CLI:
see midplane help environment.

The file is the one of --config, else $MIDPLANE_CONFIG, else the first of
$XDG_CONFIG_HOME/midplane/config.yaml and /etc/midplane/config.yaml that
exists. It holds one "key: value" a line; lists are YAML lists.`,
		Example: "  midplane config view\n  midplane config view node --config node1.yaml\n  MIDPLANE_OUTPUT=json midplane config view up",
		Args:    shell.Args(0, 1, "at most one COMMAND"),
		RunE: func(cmd *cobra.Command, given []string) error {
			settings := sh.Settings
			if len(given) == 1 {
				server, err := findServer(cmd.Root(), given[0])
				if err != nil {
					return err
				}
				if settings, err = sh.Load(cmd, server); err != nil {
					return err
				}
			}
			return output.List(sh.Out, "settings", sh.Describe(settings), []output.Column[config.Setting]{
				{Name: "Setting", Value: func(s config.Setting) string { return s.Key }},
				{Name: "Value", Value: func(s config.Setting) string { return s.Value }},
				{Name: "From", Value: func(s config.Setting) string { return s.Origin }},
				{Name: "Environment", Value: func(s config.Setting) string { return s.Env }, Wide: true},
			})
		},
	})
	return cmd
}

func findServer(root *cobra.Command, name string) (*cobra.Command, error) {
	for _, c := range root.Commands() {
		if c.GroupID == shell.GroupRun && c.Name() == name {
			return c, nil
		}
	}
	return nil, fault.WithHint(fault.New(fault.Invalid, "%q is no command with settings of its own", name), "one of: up, init, node, primary, poller")
}
