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
	"midplane/fault"
	"midplane/tenants"
)

// NewApply is the command "apply".
func NewApply(sh *shell.Shell) *cobra.Command {
	var files []string
	var dryRun string
	var overcommit bool
	timeout := time.Minute
	cmd := &cobra.Command{
		Use:   "apply -f DIR|FILE|-",
		Short: "Make tenants as their files say, and wait until they are ready",
		Long: `Reads tenants' files, prints what has to be done, does it and waits until each
tenant is ready: its account known to every node, its streams there, its
schemas bound, its door open on every live node, and a primary reading it. It
does not wait for pollers.

-f may be given several times; "-f -" reads standard input, which may hold
several tenants as YAML documents. Files of schemas are then named relative to
the working folder.

A mistake in any file is reported before anything is changed, and so are quotas
that the nodes do not have the disk for. Applying again
changes nothing. A tenant whose file is missing stays: see midplane delete.`,
		Example: `  midplane apply -f tenants/
  midplane apply -f tenants/acme.yaml --dry-run=server
  midplane apply -f acme.yaml -f globex.yaml --timeout 2m -o json
  render-tenants | midplane apply -f -`,
		Args: shell.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if timeout <= 0 {
				return shell.Usage(cmd, "--timeout %s is not positive", timeout)
			}
			if dryRun != "" && dryRun != dryClient && dryRun != dryServer {
				return shell.Usage(cmd, "--dry-run=%s: want client or server", dryRun)
			}
			loaded, err := loadTenants(sh, cmd, files)
			if err != nil {
				return err
			}
			return sh.WithClient(func(c *connect.Client) error {
				changes, err := planAll(cmd.Context(), c, loaded)
				if err != nil {
					return err
				}
				if dryRun != dryClient {
					if err := checkSpace(cmd.Context(), c, changes, overcommit); err != nil {
						return err
					}
				}
				if dryRun == dryServer {
					if changes, err = checkAll(cmd.Context(), c, changes); err != nil {
						return err
					}
				}
				if dryRun != "" {
					return printPlan(sh.Out, changes)
				}
				fmt.Fprint(sh.Out.Stderr, planText(changes))
				return applyAll(cmd.Context(), sh.Out, c, changes, timeout)
			})
		},
	}
	fileFlag(cmd, &files)
	cmd.Flags().StringVar(&dryRun, "dry-run", "", "only print what would be done; server: the control plane checks it, too, as if it were stored")
	cmd.Flags().Lookup("dry-run").NoOptDefVal = dryClient
	_ = cmd.RegisterFlagCompletionFunc("dry-run", shell.Words(dryClient, dryServer)) // fails only for a flag that is not there
	cmd.Flags().BoolVar(&overcommit, "overcommit", false, "promise tenants more storage than the nodes have; when a node's store is nearly full, nothing of tenants is taken")
	cmd.Flags().DurationVar(&timeout, "timeout", timeout, "how long to wait until all are ready")
	return cmd
}

// Values of --dry-run; alone it means client.
const (
	dryClient = "client"
	dryServer = "server"
)

// applied is one tenant on its way to ready.
type applied struct {
	Tenant    string         `json:"tenant"`
	Ready     bool           `json:"ready"`
	Steps     []tenants.Step `json:"steps"`
	ElapsedMS int64          `json:"elapsedMs"`

	start    time.Time
	revision uint64 // to wait for
	progress string // last line that was printed
	last     api.Tenant
}

// applyAll stores every tenant that changes and waits for all of them together,
// since the control plane works on several at a time.
func applyAll(ctx context.Context, out *output.Output, c *connect.Client, changes []change, timeout time.Duration) error {
	limited, stop := context.WithTimeout(ctx, timeout)
	defer stop()
	rows := make([]*applied, 0, len(changes))
	for _, ch := range changes {
		row := &applied{Tenant: ch.Tenant, Steps: ch.Steps, start: time.Now(), revision: ch.was.Revision}
		rows = append(rows, row)
		if len(ch.Steps) == 0 {
			continue
		}
		var err error
		if row.revision, err = storeSpec(limited, out, c, ch); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fault.Wrap(fault.Other, err, "tenant %s", ch.Tenant)
		}
	}
	for _, ch := range changes {
		warnMissing(limited, out, c, ch.want)
		warn(out, ch.want)
	}
	err := connect.Until(limited, timeout, func(ctx context.Context) (bool, error) { return lookAt(ctx, out, c, rows) })
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, connect.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return notReady(rows, timeout)
	case err != nil:
		return err
	}
	return printApplied(out, rows)
}

// storeSpec stores the wanted spec of a tenant and returns its revision. When no
// answer comes the spec may be stored or not, so it compares again before it
// tries again.
func storeSpec(ctx context.Context, out *output.Output, c *connect.Client, ch change) (uint64, error) {
	reported := ""
	for {
		revision, err := put(ctx, c, ch)
		if err == nil {
			return revision, nil
		}
		if fault.Is(err, fault.Conflict) {
			return 0, fault.WithHint(err, "it was changed by another command: look with midplane diff, then apply again")
		}
		for fault.Is(err, fault.Unavailable) {
			if text := err.Error(); text != reported {
				reported = text
				fmt.Fprintf(out.Stderr, "tenant %s: %v; trying again\n", ch.Tenant, err)
			}
			select {
			case <-ctx.Done():
				return 0, fault.WithHint(err, "apply again: what is stored already is found and left as it is")
			case <-time.After(connect.Poll):
			}
			var again change
			if again, err = plan(ctx, c, ch.want); err == nil {
				again.overcommit = ch.overcommit
				if len(again.Steps) == 0 {
					return again.was.Revision, nil
				}
				ch = again
			}
		}
		if err != nil {
			return 0, err
		}
	}
}

// lookAt asks for the status of every tenant that is not ready yet, and prints
// what has changed on standard error. It returns true when all are ready.
func lookAt(ctx context.Context, out *output.Output, c *connect.Client, rows []*applied) (bool, error) {
	all := true
	for _, row := range rows {
		if row.Ready {
			continue
		}
		var now api.Tenant
		if err := c.Admin(ctx, api.TenantStatus, api.TenantRef{Tenant: row.Tenant}, &now); err != nil {
			return false, err
		}
		row.last = now
		if row.last.Ready && row.last.Revision >= row.revision {
			row.Ready, row.ElapsedMS = true, time.Since(row.start).Milliseconds()
			continue
		}
		all = false
		if text := connect.Missing(row.last); text != "" && text != row.progress {
			row.progress = text
			fmt.Fprintf(out.Stderr, "tenant %s: waiting for %s\n", row.Tenant, output.Printable(text))
		}
	}
	return all, nil
}

func notReady(rows []*applied, timeout time.Duration) error {
	var waiting []string
	for _, row := range rows {
		if row.Ready {
			continue
		}
		text := connect.Missing(row.last)
		if text == "" {
			text = "its status"
		}
		waiting = append(waiting, fmt.Sprintf("tenant %s waits for %s", row.Tenant, text))
	}
	return fault.WithHint(fault.New(fault.Unavailable, "not ready after %s: %s", timeout, strings.Join(waiting, "; ")),
		"everything is stored and the cluster goes on with it; see midplane status, or apply again with a longer --timeout")
}

func printApplied(out *output.Output, rows []*applied) error {
	if out.Machine() {
		return out.Print(rows)
	}
	for _, row := range rows {
		fmt.Fprintf(out.Stdout, "tenant %s ready in %.1fs\n", row.Tenant, float64(row.ElapsedMS)/1000)
	}
	return nil
}
