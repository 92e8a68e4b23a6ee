package change

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/connect"
	"midplane/event"
	"midplane/fault"
)

// NewDrainNode is the command that takes a node out of work before it is stopped.
func NewDrainNode(sh *shell.Shell) *cobra.Command {
	timeout := time.Minute
	cmd := &cobra.Command{
		Use:   "drain NAME",
		Short: "Hand over what a node leads, and move its clients, before it is stopped",
		Long: `Other nodes take over the streams and consumers that the node leads, then its
clients move to other nodes, and new ones are moved, too. Waits until both are done:
then the node can be stopped and nothing waits for an election. Operators stay
connected. The start of the node takes it back, or: midplane node undrain NAME

Refused while another node is not live, is behind or is drained: never two at a
time. Exits with 6 when the time is over; the node is still being drained then.`,
		Example: "  midplane node drain n2\n  midplane node undrain n2",
		Args:    shell.Args(1, 1, "NAME of the node"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := checkNode(cmd, given[0], timeout); err != nil {
				return err
			}
			return sh.WithClient(func(c *connect.Client) error {
				began := time.Now()
				if err := drainNode(cmd.Context(), sh, c, given[0], timeout); err != nil {
					return err
				}
				return done(sh, given[0], "drained", time.Since(began), "it has no clients and leads nothing. Stop it now, or take it back with: midplane node undrain "+given[0])
			})
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", timeout, "how long to wait")
	return cmd
}

// NewUndrainNode is the command that takes a node back.
func NewUndrainNode(sh *shell.Shell) *cobra.Command {
	return &cobra.Command{
		Use:     "undrain NAME",
		Short:   "Take a drained node back",
		Long:    `The node keeps clients again, and may lead. The start of a node does the same.`,
		Example: "  midplane node undrain n2",
		Args:    shell.Args(1, 1, "NAME of the node"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := event.CheckName("node", given[0]); err != nil {
				return err
			}
			return sh.WithClient(func(c *connect.Client) error {
				began := time.Now()
				if err := c.Admin(cmd.Context(), api.NodeUndrain, api.NodeRef{Node: given[0]}, nil); err != nil {
					return err
				}
				return done(sh, given[0], "undrained", time.Since(began), "it keeps clients again")
			})
		},
	}
}

func checkNode(cmd *cobra.Command, name string, timeout time.Duration) error {
	if err := event.CheckName("node", name); err != nil {
		return err
	}
	if timeout <= 0 {
		return shell.Usage(cmd, "--timeout %s is not positive", timeout)
	}
	return nil
}

// done prints what was done with a node.
func done(sh *shell.Shell, name, status string, took time.Duration, text string) error {
	if sh.Out.Machine() {
		return sh.Out.Print(struct {
			Node      string `json:"node"`
			Status    string `json:"status"`
			ElapsedMS int64  `json:"elapsedMs"`
		}{name, status, took.Milliseconds()})
	}
	fmt.Fprintf(sh.Out.Stdout, "node %s %s after %.1fs: %s\n", name, status, took.Seconds(), text)
	return nil
}

// drainNode drains a node and waits until it has no clients and leads nothing.
func drainNode(ctx context.Context, sh *shell.Shell, c *connect.Client, name string, timeout time.Duration) error {
	if err := c.Admin(ctx, api.NodeDrain, api.NodeRef{Node: name}, nil); err != nil {
		return err
	}
	p := progress{sh: sh, name: name}
	return p.until(ctx, c, timeout, "drained", func(nodes []api.Node) (string, bool) {
		n, known := nodeOf(nodes, name)
		switch {
		case !known || !n.Live || !n.Drained:
			return "it is to be drained", false
		case n.Leads > 0 || n.Clients > 0:
			return fmt.Sprintf("it leads %d streams and consumers and has %d clients", n.Leads, n.Clients), false
		}
		return "", true
	})
}

func nodeOf(nodes []api.Node, name string) (api.Node, bool) {
	i := slices.IndexFunc(nodes, func(n api.Node) bool { return n.ID == name })
	if i < 0 {
		return api.Node{}, false
	}
	return nodes[i], true
}

// progress tells what a node is waited for, when that changes.
type progress struct {
	sh   *shell.Shell
	name string
	last string
}

// until asks for the nodes until look is content; what look returns otherwise is
// what is waited for.
func (p *progress) until(ctx context.Context, c *connect.Client, timeout time.Duration, want string, look func([]api.Node) (string, bool)) error {
	err := connect.Until(ctx, timeout, func(ctx context.Context) (bool, error) {
		var s api.ClusterStatus
		if err := c.Admin(ctx, api.NodeStatus, struct{}{}, &s); err != nil {
			return false, err
		}
		text, ok := look(s.Nodes)
		if !ok && text != p.last {
			p.last = text
			fmt.Fprintf(p.sh.Out.Stderr, "node %s: %s\n", p.name, text)
		}
		return ok, nil
	})
	if errors.Is(err, connect.ErrTimeout) {
		return fault.WithHint(fault.New(fault.Unavailable, "node %s is not %s after %s: %s", p.name, want, timeout, p.last), "see: midplane status")
	}
	return err
}
