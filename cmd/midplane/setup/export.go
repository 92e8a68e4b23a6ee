package setup

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"midplane/cmd/midplane/shell"
	"midplane/fault"
	"midplane/platform/deployment"
)

// NewExport is the command "export".
func NewExport(sh *shell.Shell) *cobra.Command {
	cmd := shell.Group(&cobra.Command{Use: "export", Short: "Write keys in the layout of other tools"})
	var dir, out string
	nsc := &cobra.Command{
		Use:   "nsc --dir DEPLOYMENT --out DIR",
		Short: "Write the operator and its first accounts as a store of nsc",
		Long: `Writes the operator, the accounts SYS, CONTROL and ENROL, the first admin and all
their keys in the layout of nsc, the tool of NATS for operators: JWTs below
stores/, seeds and .creds below keys/. Everything in it is secret. Tenants are in
the registry and not in it.

It is a copy to look at: what is changed there with nsc does not reach the nodes.`,
		Example: `  midplane export nsc --dir deployment --out nsc
  nsc --config-dir nsc --data-dir nsc/stores --keystore-dir nsc/keys describe operator`,
		Args: shell.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" || out == "" {
				return shell.Usage(cmd, "--dir or --out is missing")
			}
			from, err := filepath.Abs(dir)
			if err != nil {
				return fault.Wrap(fault.Invalid, err, "--dir")
			}
			to, err := filepath.Abs(out)
			if err != nil {
				return fault.Wrap(fault.Invalid, err, "--out")
			}
			identity, err := deployment.ExportNsc(from, to)
			if err != nil {
				return err
			}
			if sh.Out.Machine() {
				return sh.Out.Print(map[string]any{"out": to, "identity": identity})
			}
			sh.Out.Say("made %s: it holds every key of the deployment but the tenants'", to)
			if !identity {
				sh.Out.Say("The operator's identity key is not in it: offline/ is not there.")
			}
			return nil
		},
	}
	nsc.Flags().StringVar(&dir, "dir", "", "deployment folder (required)")
	nsc.Flags().StringVar(&out, "out", "", "folder to make (required)")
	cmd.AddCommand(nsc)
	return cmd
}
