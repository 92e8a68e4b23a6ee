package look

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/connect"
	"midplane/cmd/midplane/shell/output"
	"midplane/event"
	"midplane/fault"
)

// What can be waited for besides the conditions of a tenant.
const (
	waitReady   = "Ready"
	waitDeleted = "Deleted"
)

var waitable = []string{waitReady, api.AccountPushed, api.StreamsReady, api.SchemasBound, api.IngressOpen, api.PrimaryReading, waitDeleted}

// NewWait is the command "wait".
func NewWait(sh *shell.Shell) *cobra.Command {
	cmd := shell.Group(&cobra.Command{Use: "wait KIND", Short: "Wait until something is as wanted"})
	cmd.AddCommand(newWaitTenant(sh))
	return cmd
}

func newWaitTenant(sh *shell.Shell) *cobra.Command {
	want, timeout := waitReady, time.Minute
	cmd := &cobra.Command{
		Use:   "tenant TENANT",
		Short: "Wait until a tenant is ready, or gone",
		Long: `Waits until the tenant is ready as it was stored last, or until one of its
conditions is there, or, with --for Deleted, until it is gone. Changes nothing.
Exits with 6 when the time is over.`,
		Example: `  midplane wait tenant acme
  midplane wait tenant acme --for IngressOpen --timeout 10s
  midplane wait tenant acme --for Deleted`,
		Args: shell.Args(1, 1, "TENANT"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := event.CheckName("tenant", given[0]); err != nil {
				return err
			}
			if timeout <= 0 {
				return shell.Usage(cmd, "--timeout %s is not positive", timeout)
			}
			i := slices.IndexFunc(waitable, func(s string) bool { return strings.EqualFold(s, want) })
			if i < 0 {
				return shell.Usage(cmd, "--for %q: want %s", want, strings.Join(waitable, ", "))
			}
			return sh.WithClient(func(c *connect.Client) error {
				return waitTenant(cmd.Context(), sh.Out, c, given[0], waitable[i], timeout)
			})
		},
	}
	cmd.Flags().StringVar(&want, "for", want, "what to wait for: "+strings.Join(waitable, ", "))
	cmd.Flags().DurationVar(&timeout, "timeout", timeout, "how long to wait")
	_ = cmd.RegisterFlagCompletionFunc("for", shell.Words(waitable...)) // fails only for a flag that is not there
	return cmd
}

func waitTenant(ctx context.Context, out *output.Output, c *connect.Client, id, want string, timeout time.Duration) error {
	start := time.Now()
	var last api.Tenant
	progress := ""
	err := connect.Until(ctx, timeout, func(ctx context.Context) (bool, error) {
		var now api.Tenant
		err := c.Admin(ctx, api.TenantStatus, api.TenantRef{Tenant: id}, &now)
		if want == waitDeleted {
			if fault.Is(err, fault.NotFound) {
				return true, nil
			}
			return false, err
		}
		if err != nil {
			return false, err
		}
		if last = now; reached(now, want) {
			return true, nil
		}
		if text := connect.Missing(now); text != "" && text != progress {
			progress = text
			fmt.Fprintf(out.Stderr, "tenant %s: waiting for %s\n", id, output.Printable(text))
		}
		return false, nil
	})
	if errors.Is(err, connect.ErrTimeout) {
		text := ""
		if m := connect.Missing(last); m != "" {
			text = ": it waits for " + m
		}
		return fault.WithHint(fault.New(fault.Unavailable, "tenant %s is not %s after %s%s", id, want, timeout, text), "see: midplane describe tenant %s, midplane status", id)
	}
	if err != nil {
		return err
	}
	elapsed := time.Since(start)
	if out.Machine() {
		return out.Print(struct {
			Tenant    string `json:"tenant"`
			For       string `json:"for"`
			ElapsedMS int64  `json:"elapsedMs"`
		}{id, want, elapsed.Milliseconds()})
	}
	fmt.Fprintf(out.Stdout, "tenant %s: %s after %.1fs\n", id, want, elapsed.Seconds())
	return nil
}

func reached(t api.Tenant, want string) bool {
	if want == waitReady {
		return t.Ready
	}
	return slices.ContainsFunc(t.Conditions, func(c api.Condition) bool { return c.Type == want && c.OK })
}
