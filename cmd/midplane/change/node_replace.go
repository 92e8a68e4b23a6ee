package change

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/connect"
	"midplane/cmd/midplane/shell/output"
	"midplane/fault"
)

// NewReplaceNode is the command that stays with an operator who replaces a node.
func NewReplaceNode(sh *shell.Shell) *cobra.Command {
	timeout := time.Hour
	cmd := &cobra.Command{
		Use:   "replace NAME",
		Short: "Replace a node by an empty one, step by step",
		Long: `Stays with you while the node NAME is replaced by one with the same name and an
empty data folder, on the same machine or another one. Drains it when it runs, says
when to stop it and when to start the new one, and waits until all of its replicas
are whole: before that there is one copy less, and no other node may be stopped.

Refused when another node is not live, is behind or is drained, and has not recovered
in half a minute. Can be interrupted
and called again at any moment: it goes on from what it finds. Exits with 6 when the
time is over.`,
		Example: "  midplane node replace n2\n  midplane node replace n2 --timeout 6h",
		Args:    shell.Args(1, 1, "NAME of the node"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := checkNode(cmd, given[0], timeout); err != nil {
				return err
			}
			return sh.WithClient(func(c *connect.Client) error { return replaceNode(cmd.Context(), sh, c, given[0], timeout) })
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", timeout, "how long to wait, all steps together")
	return cmd
}

func replaceNode(ctx context.Context, sh *shell.Shell, c *connect.Client, name string, timeout time.Duration) error {
	began := time.Now()
	left := func() time.Duration { return max(time.Second, timeout-time.Since(began)) }
	p := progress{sh: sh, name: name}
	n, err := p.alone(ctx, c, min(timeout, othersWithin))
	if err != nil {
		return err
	}
	if n.Live && n.Behind == nil { // else it has been replaced already, and catches up
		if err := drainNode(ctx, sh, c, name, left()); err != nil {
			return err
		}
		err := p.until(ctx, c, left(), "stopped", func(nodes []api.Node) (string, bool) {
			n, _ := nodeOf(nodes, name)
			return "is drained: stop it now", !n.Live
		})
		if err != nil {
			return err
		}
	}
	err = p.until(ctx, c, left(), "whole", func(nodes []api.Node) (string, bool) {
		n, _ := nodeOf(nodes, name)
		switch {
		case !n.Live:
			return "is down: start it with its deployment folder and an empty --data", false
		case n.Behind != nil:
			return catchesUp(nodes, n), false
		}
		return "", true
	})
	if err != nil {
		return err
	}
	return done(sh, name, "replaced", time.Since(began), "all of its replicas are whole")
}

// othersWithin is how long the other nodes may take until they are well: when a node was
// lost a moment ago, they elect leaders, and for some seconds look as if they were away.
const othersWithin = 30 * time.Second

// alone returns the node that is replaced, once no other one is away or not whole.
func (p *progress) alone(ctx context.Context, c *connect.Client, within time.Duration) (n api.Node, err error) {
	var refused error
	err = connect.Until(ctx, within, func(ctx context.Context) (bool, error) {
		var s api.ClusterStatus
		if err := c.Admin(ctx, api.NodeStatus, struct{}{}, &s); err != nil {
			return false, err
		}
		var known bool
		if n, known = nodeOf(s.Nodes, p.name); !known {
			return false, fault.WithHint(fault.New(fault.NotFound, "node %q is not known", p.name), "see: midplane status")
		}
		refused = othersAreWell(s.Nodes, p.name)
		return refused == nil, nil
	})
	if errors.Is(err, connect.ErrTimeout) && refused != nil {
		err = refused
	}
	return n, err
}

// othersAreWell refuses to replace a node while another one is not whole.
func othersAreWell(nodes []api.Node, name string) error {
	for _, n := range nodes {
		why := ""
		switch {
		case n.ID == name:
		case !n.Live:
			why = "is not live"
		case n.Behind != nil:
			why = "is not whole: " + n.Behind.String()
		case n.Drained:
			why = "is drained"
		}
		if why != "" {
			return fault.WithHint(fault.New(fault.Conflict, "node %s cannot be replaced: node %s %s", name, n.ID, why), "never two nodes at a time; see: midplane status")
		}
	}
	return nil
}

// catchesUp says how far a node is.
func catchesUp(nodes []api.Node, n api.Node) string {
	most := n.Used
	for _, other := range nodes {
		most = max(most, other.Used)
	}
	return fmt.Sprintf("%s; it holds %s of about %s", n.Behind, output.Bytes(n.Used), output.Bytes(most))
}
