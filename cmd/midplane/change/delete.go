package change

import (
	"context"
	"errors"
	"fmt"
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

// NewDelete is the command "delete".
func NewDelete(sh *shell.Shell) *cobra.Command {
	var files []string
	var yes bool
	timeout := time.Minute
	cmd := shell.Group(&cobra.Command{
		Use:   "delete KIND | -f DIR|FILE|-",
		Short: "Remove something for good",
		Long: `Removes something for good: a tenant by its name, or with -f all tenants that
files declare. A tenant that does not exist is skipped; when none of them
exists, that is an error.`,
		Example: "  midplane delete tenant acme --yes\n  midplane delete -f old/ --yes",
	})
	help := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, given []string) error {
		if len(files) == 0 {
			return help(cmd, given)
		}
		loaded, err := loadTenants(sh, cmd, files)
		if err != nil {
			return err
		}
		var ids []string
		for _, l := range loaded {
			ids = append(ids, string(l.Spec.ID))
		}
		if !yes {
			return shell.MustSayYes("everything that tenants %s have stored will be gone for good", strings.Join(ids, ", "))
		}
		return sh.WithClient(func(c *connect.Client) error { return deleteTenants(cmd.Context(), sh.Out, c, ids, timeout) })
	}
	fileFlag(cmd, &files)
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	cmd.Flags().DurationVar(&timeout, "timeout", timeout, "how long to wait until each is gone")
	cmd.AddCommand(newDeleteTenant(sh))
	return cmd
}

func newDeleteTenant(sh *shell.Shell) *cobra.Command {
	var yes bool
	timeout := time.Minute
	cmd := &cobra.Command{
		Use:   "tenant TENANT --yes",
		Short: "Remove a tenant with everything it has stored",
		Long: `Removes a tenant: its streams with all they hold, its users, its pollers'
access. There is no way back. Waits until it is gone.

A tenant is removed by this command only: "midplane apply" never removes one
whose file is missing.`,
		Example: "  midplane delete tenant acme --yes",
		Args:    shell.Args(1, 1, "TENANT"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := event.CheckName("tenant", given[0]); err != nil {
				return err
			}
			if !yes {
				return shell.MustSayYes("everything that tenant %s has stored will be gone for good", given[0])
			}
			return sh.WithClient(func(c *connect.Client) error {
				gone, err := deleteTenant(cmd.Context(), sh.Out, c, given[0], timeout)
				if err == nil && sh.Out.Machine() {
					return sh.Out.Print(gone)
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	cmd.Flags().DurationVar(&timeout, "timeout", timeout, "how long to wait until it is gone")
	return cmd
}

// deleted is a tenant that is gone.
type deleted struct {
	Tenant    string `json:"tenant"`
	Status    string `json:"status"`
	ElapsedMS int64  `json:"elapsedMs"`
}

// deleteTenants removes those of ids that exist.
func deleteTenants(ctx context.Context, out *output.Output, c *connect.Client, ids []string, timeout time.Duration) error {
	rows := []deleted{}
	var missing error
	for _, id := range ids {
		row, err := deleteTenant(ctx, out, c, id, timeout)
		switch {
		case fault.Is(err, fault.NotFound):
			missing = err
			fmt.Fprintf(out.Stderr, "tenant %s: does not exist\n", id)
		case err != nil:
			return err
		default:
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		return missing
	}
	if out.Machine() {
		return out.Print(rows)
	}
	return nil
}

// deleteTenant removes a tenant and waits until it is gone. For a person it
// prints how long that took.
func deleteTenant(ctx context.Context, out *output.Output, c *connect.Client, id string, timeout time.Duration) (deleted, error) {
	start := time.Now()
	if err := c.Admin(ctx, api.TenantDelete, api.TenantRef{Tenant: id}, nil); err != nil {
		return deleted{}, err
	}
	fmt.Fprintf(out.Stderr, "tenant %s: deleting\n", id)
	gone := func(ctx context.Context) (bool, error) {
		err := c.Admin(ctx, api.TenantStatus, api.TenantRef{Tenant: id}, nil)
		if fault.Is(err, fault.NotFound) {
			return true, nil
		}
		return false, err
	}
	if err := connect.Until(ctx, timeout, gone); err != nil {
		if errors.Is(err, connect.ErrTimeout) {
			return deleted{}, fault.WithHint(fault.New(fault.Unavailable, "tenant %s is not gone after %s", id, timeout),
				"it goes on being deleted; look with: midplane get tenants, midplane status")
		}
		return deleted{}, err
	}
	elapsed := time.Since(start)
	if !out.Machine() {
		fmt.Fprintf(out.Stdout, "tenant %s deleted in %.1fs\n", id, elapsed.Seconds())
	}
	return deleted{id, "deleted", elapsed.Milliseconds()}, nil
}
