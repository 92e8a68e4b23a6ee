package change

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/connect"
	"midplane/cmd/midplane/shell/output"
	"midplane/event"
	"midplane/fault"
)

// NewReplica is the command "replica".
func NewReplica(sh *shell.Shell) *cobra.Command {
	replica := shell.Group(&cobra.Command{
		Use:   "replica COMMAND",
		Short: "Verify the nodes' replicas of a stream, or have one taken over again",
		Long: `Every node keeps a replica of every stream. Nodes verify their files before they
start and while they run, and the leading node compares what they hold; a replica
that is not whole is taken over again from the others. "midplane get replicas"
shows them all.`,
	})
	replica.AddCommand(newReplicaVerify(sh), newReplicaRepair(sh))
	return replica
}

// streamOf returns the stream that TENANT/STREAM names, or that STREAM names in
// the control plane.
func streamOf(given string) (api.ReplicaTarget, error) {
	tenant, stream, of := strings.Cut(given, "/")
	if !of {
		return api.ReplicaTarget{Stream: given}, nil
	}
	if err := event.CheckName("tenant", tenant); err != nil {
		return api.ReplicaTarget{}, err
	}
	if stream == "" {
		return api.ReplicaTarget{}, fault.New(fault.Invalid, "%q names no stream; want TENANT/STREAM", given)
	}
	return api.ReplicaTarget{Tenant: tenant, Stream: stream}, nil
}

func newReplicaVerify(sh *shell.Shell) *cobra.Command {
	return &cobra.Command{
		Use:   "verify TENANT/STREAM",
		Short: "Have every node read its files of a stream",
		Long: `Has every node read its files of a stream from beginning to end, and says for
each whether they are whole. STREAM alone is a stream of the control plane
(KV_REGISTRY, KV_STATUS, AUDIT). A replica that is found damaged is dealt with as
if the node had found it by itself.

Exits with 1 when one is damaged or a node does not answer.`,
		Example: "  midplane replica verify acme/EVENTS\n  midplane replica verify AUDIT",
		Args:    shell.Args(1, 1, "TENANT/STREAM"),
		RunE: func(cmd *cobra.Command, given []string) error {
			target, err := streamOf(given[0])
			if err != nil {
				return err
			}
			var found api.ReplicaVerdicts
			if err := sh.WithClient(func(c *connect.Client) error {
				return c.Admin(cmd.Context(), api.ReplicaVerifyVerb, target, &found)
			}); err != nil {
				return err
			}
			if sh.Out.Machine() {
				err = sh.Out.Print(found.Items)
			} else {
				for _, v := range found.Items {
					fmt.Fprintf(sh.Out.Stdout, "%s: %s, %s read%s\n", v.Node, v.Result, output.Bytes(uint64(v.Bytes)), colon(v.Problem))
				}
			}
			for _, v := range found.Items {
				if v.Result != api.VerdictWhole && err == nil {
					err = fault.WithHint(fault.New(fault.Other, "the replica on node %s is %s", v.Node, v.Result), "see: midplane get replicas")
				}
			}
			return err
		},
	}
}

func colon(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}

func newReplicaRepair(sh *shell.Shell) *cobra.Command {
	var node string
	var yes bool
	cmd := &cobra.Command{
		Use:   "repair TENANT/STREAM --node NAME --yes",
		Short: "Have a node take its replica of a stream over again from the others",
		Long: `Has one node remove its replica of a stream and take it over from the others,
whole. It is refused unless all nodes answer, and two others have read their files
and found them whole. The node starts its server again: its clients go to the
other nodes. Until then the stream has two whole copies.

Damaged replicas are repaired without this command, unless the nodes run with
--replica-repair=ask.`,
		Example: "  midplane replica repair acme/EVENTS --node n2 --yes",
		Args:    shell.Args(1, 1, "TENANT/STREAM"),
		RunE: func(cmd *cobra.Command, given []string) error {
			target, err := streamOf(given[0])
			if err != nil {
				return err
			}
			if node == "" {
				return shell.Usage(cmd, "--node is missing")
			}
			if err := event.CheckName("node", node); err != nil {
				return err
			}
			if !yes {
				return shell.MustSayYes("node %s starts its server again, and until it is done %s has two whole copies", node, given[0])
			}
			target.Node = node
			return sh.WithClient(func(c *connect.Client) error {
				if err := c.Admin(cmd.Context(), api.ReplicaRepairVerb, target, nil); err != nil {
					return err
				}
				if sh.Out.Machine() {
					return sh.Out.Print(map[string]string{"replica": given[0], "node": node, "status": "repairing"})
				}
				fmt.Fprintf(sh.Out.Stdout, "node %s takes its replica of %s over again; see: midplane get replicas\n", node, given[0])
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&node, "node", "", "whose replica (required)")
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}
