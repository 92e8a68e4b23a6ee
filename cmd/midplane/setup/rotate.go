package setup

import (
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/output"
	"midplane/fault"
	"midplane/platform/deployment"
)

// rotation is a command that changes the certificates of a deployment folder.
type rotation struct {
	use, short, long, example string
	do                        func(dir string) ([]deployment.Certificate, error)
	next                      string // what is to be done afterwards
}

func (r rotation) command(sh *shell.Shell) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: r.use, Short: r.short, Long: r.long, Example: r.example, Args: shell.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return shell.Usage(cmd, "--dir is missing")
			}
			full, err := filepath.Abs(dir)
			if err != nil {
				return fault.Wrap(fault.Invalid, err, "--dir")
			}
			certs, err := r.do(full)
			if err != nil {
				return err
			}
			if err := output.List(sh.Out, "certificates", certs, certColumns); err != nil {
				return err
			}
			if !sh.Out.Machine() {
				sh.Out.Say("%s", r.next)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "deployment folder, with offline/ and the folders of all nodes (required)")
	return cmd
}

var certColumns = []output.Column[deployment.Certificate]{
	{Name: "Node", Value: func(c deployment.Certificate) string { return c.Node }},
	{Name: "Kind", Value: func(c deployment.Certificate) string { return c.Kind }},
	{Name: "CA", Value: func(c deployment.Certificate) string { return c.CA }},
	{Name: "CAs trusted", Value: func(c deployment.Certificate) string { return strconv.Itoa(c.Trusts) }, Right: true},
	{Name: "Ends", Value: func(c deployment.Certificate) string { return output.Minute(c.NotAfter) }},
	{Name: "Serial", Value: func(c deployment.Certificate) string { return c.Serial }, Wide: true},
}

const copyNodes = "Give every node the folder tls of its own folder; it takes what is new without a restart."

// NewRotateCerts is the command "rotate certs".
func NewRotateCerts(sh *shell.Shell) *cobra.Command {
	return rotation{
		use: "certs --dir DEPLOYMENT", short: "Give every node new certificates",
		long: `Issues new certificates for the clients' and the routes' port of every node, from
the CAs whose keys are in offline/. A certificate lives for a year; a node warns
in its log and in midplane status when less than 30 days are left.

A node looks at its files when a client connects. New ones take effect without a
restart, open connections stay, and files that cannot be used change nothing.`,
		example: "  midplane rotate certs --dir deployment",
		do:      deployment.RenewCertificates, next: copyNodes,
	}.command(sh)
}

// NewRotateCA is the command "rotate ca".
func NewRotateCA(sh *shell.Shell) *cobra.Command {
	cmd := shell.Group(&cobra.Command{
		Use:   "ca",
		Short: "Replace the CAs, in three steps with overlap",
		Long: `Replaces the CA that clients trust and the one of the routes, in three steps:

  add     makes the new CAs and adds them to what everybody trusts
  issue   gives the nodes certificates of the new CAs
  remove  removes the old CAs

Between the steps carry the files to where they are used: to every node the
folder tls of its own folder, to every client tls/ca.crt. Until the last step
clients that have only the old CA can connect, and clients that have only the new
one. Each step can be repeated.`,
	})
	cmd.AddCommand(newAddCA(sh), newIssueCA(sh), newRemoveCA(sh))
	return cmd
}

func newAddCA(sh *shell.Shell) *cobra.Command {
	return rotation{
		use: "add --dir DEPLOYMENT", short: "Make new CAs, trusted beside the old ones",
		long: `Makes a new CA for clients and one for routes, and adds them to the files that
list the trusted CAs. Certificates stay as they are.`,
		example: "  midplane rotate ca add --dir deployment",
		do:      deployment.AddCA, next: copyNodes + " Give every client tls/ca.crt. Then: midplane rotate ca issue",
	}.command(sh)
}

func newIssueCA(sh *shell.Shell) *cobra.Command {
	return rotation{
		use: "issue --dir DEPLOYMENT", short: "Give every node certificates of the new CAs",
		long: `Issues certificates of the new CAs for every node. Begin only when every node has
the files of the step before.`,
		example: "  midplane rotate ca issue --dir deployment",
		do:      deployment.IssueFromNewCA, next: copyNodes + " When every client has the new tls/ca.crt: midplane rotate ca remove",
	}.command(sh)
}

func newRemoveCA(sh *shell.Shell) *cobra.Command {
	var yes bool
	cmd := rotation{
		use: "remove --dir DEPLOYMENT --yes", short: "Remove the old CAs",
		long: `Removes the old CAs from the files that list the trusted CAs, and puts the new
ones' keys in their place in offline/. From then on a client that was not given
the new tls/ca.crt is refused.`,
		example: "  midplane rotate ca remove --dir deployment --yes",
		do: func(dir string) ([]deployment.Certificate, error) {
			if !yes {
				return nil, shell.MustSayYes("a client that has not got the new tls/ca.crt will be refused")
			}
			return deployment.RemoveOldCA(dir)
		},
		next: copyNodes,
	}.command(sh)
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}
