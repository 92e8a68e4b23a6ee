package main

import (
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"midplane/fault"
	"midplane/platform/deployment"
)

func newRotateCmd(a *app) *cobra.Command {
	cmd := group(&cobra.Command{Use: "rotate", Short: "Replace keys, certificates and CAs while everything runs"})
	cmd.AddCommand(newRotateStatusCmd(a), newRotateCapabilityCmd(a), newRotateKeysCmd(a), newRotateCertsCmd(a), newRotateCACmd(a))
	return cmd
}

// rotation is a command that changes the certificates of a deployment folder.
func (a *app) rotation(use, short, long, example, after string, do func(dir string) ([]deployment.Certificate, error)) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Example: example, Args: args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return usage(cmd, "--dir is missing")
			}
			full, err := filepath.Abs(dir)
			if err != nil {
				return fault.Wrap(fault.Invalid, err, "--dir")
			}
			certs, err := do(full)
			if err != nil {
				return err
			}
			if err := printList(a, "certificates", certs, certColumns); err != nil {
				return err
			}
			if after != "" {
				a.say("%s", after)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "deployment folder, with offline/ and the folders of all nodes (required)")
	return cmd
}

var certColumns = []column[deployment.Certificate]{
	{name: "Node", value: func(c deployment.Certificate) string { return c.Node }},
	{name: "Kind", value: func(c deployment.Certificate) string { return c.Kind }},
	{name: "CA", value: func(c deployment.Certificate) string { return c.CA }},
	{name: "CAs trusted", value: func(c deployment.Certificate) string { return strconv.Itoa(c.Trusts) }, right: true},
	{name: "Ends", value: func(c deployment.Certificate) string { return day(c.NotAfter) }},
	{name: "Serial", value: func(c deployment.Certificate) string { return c.Serial }, wide: true},
}

const copyNodes = "Give every node the folder tls of its own folder; it takes what is new without a restart."

func newRotateCertsCmd(a *app) *cobra.Command {
	return a.rotation("certs --dir DEPLOYMENT", "Give every node new certificates",
		`Issues new certificates for the clients' and the routes' port of every node, from
the CAs whose keys are in offline/. A certificate lives for a year; a node warns
in its log and in midplane status when less than 30 days are left.

A node looks at its files when somebody connects. New ones take effect without a
restart, open connections stay, and files that cannot be used change nothing.`,
		"  midplane rotate certs --dir deployment", copyNodes, deployment.RenewCertificates)
}

func newRotateCACmd(a *app) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "ca",
		Short: "Replace the CAs, in three steps with overlap",
		Long: `Replaces the CA that clients trust and the one of the routes, in three steps:

  add     makes the new CAs and adds them to what everybody trusts
  issue   gives the nodes certificates of the new CAs
  remove  takes the old CAs away

Between the steps carry the files to where they are used: to every node the
folder tls of its own folder, to every client tls/ca.crt. Until the last step
whoever has only the old CA can connect, and whoever has only the new one. Each
step can be repeated.`,
	})
	var yes bool
	remove := a.rotation("remove --dir DEPLOYMENT --yes", "Take the old CAs away",
		`Takes the old CAs out of what everybody trusts, and the new ones' keys take their
place in offline/. From then on a client that was not given the new tls/ca.crt is
refused.`,
		"  midplane rotate ca remove --dir deployment --yes", copyNodes,
		func(dir string) ([]deployment.Certificate, error) {
			if !yes {
				return nil, mustSayYes("a client that has not got the new tls/ca.crt will be refused")
			}
			return deployment.RemoveOldCA(dir)
		})
	remove.Flags().BoolVar(&yes, "yes", false, "do it")
	cmd.AddCommand(
		a.rotation("add --dir DEPLOYMENT", "Make new CAs, trusted beside the old ones",
			"Makes a new CA for clients and one for routes, and adds them to the files that say\nwhom to trust. Certificates stay as they are.",
			"  midplane rotate ca add --dir deployment", copyNodes+" Give every client tls/ca.crt. Then: midplane rotate ca issue", deployment.AddCA),
		a.rotation("issue --dir DEPLOYMENT", "Give every node certificates of the new CAs",
			"Issues certificates of the new CAs for every node. Begin only when every node has\nthe files of the step before.",
			"  midplane rotate ca issue --dir deployment", copyNodes+" When every client has the new tls/ca.crt: midplane rotate ca remove", deployment.IssueFromNewCA),
		remove)
	return cmd
}
