package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/fault"
	"midplane/tenants"
)

func newApplyCmd(a *app) *cobra.Command {
	var file string
	var dryRun bool
	timeout := time.Minute
	cmd := &cobra.Command{
		Use:   "apply -f DIR|FILE",
		Short: "Make tenants as their files say, and wait until they are ready",
		Long: `Reads tenants' files, prints what has to be done, does it and waits until each
tenant is ready: its account known to every node, its streams there, its
schemas bound, its door open on every live node, and a primary reading it. It
does not wait for pollers.

A mistake in any file is reported before anything is changed. Applying again
changes nothing. A tenant whose file is missing stays: see midplane delete.`,
		Example: `  midplane apply -f tenants/
  midplane apply -f tenants/acme.yaml --dry-run
  midplane apply -f tenants/ --timeout 2m -o json`,
		Args: args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if timeout <= 0 {
				return usage(cmd, "--timeout %s is not positive", timeout)
			}
			loaded, err := loadTenants(cmd, file)
			if err != nil {
				return err
			}
			return a.withClient(func(c *client) error {
				changes, err := planAll(cmd.Context(), c, loaded)
				if err != nil {
					return err
				}
				if dryRun {
					return a.printPlan(changes)
				}
				fmt.Fprint(a.stderr, planText(changes))
				return a.apply(cmd.Context(), c, changes, timeout)
			})
		},
	}
	fileFlag(cmd, &file)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only print what would be done")
	cmd.Flags().DurationVar(&timeout, "timeout", timeout, "how long to wait until all are ready")
	return cmd
}

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

// apply stores every tenant that changes and waits for all of them together,
// since the control plane works on several at a time.
func (a *app) apply(ctx context.Context, c *client, changes []change, timeout time.Duration) error {
	limited, stop := context.WithTimeout(ctx, timeout)
	defer stop()
	rows := make([]*applied, 0, len(changes))
	for _, ch := range changes {
		row := &applied{Tenant: ch.Tenant, Steps: ch.Steps, start: time.Now(), revision: ch.revision}
		rows = append(rows, row)
		if len(ch.Steps) == 0 {
			continue
		}
		var err error
		if row.revision, err = a.store(limited, c, ch); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fault.Wrap(fault.Other, err, "tenant %s", ch.Tenant)
		}
	}
	for _, ch := range changes {
		a.warnMissing(limited, c, ch.want)
	}
	err := waitFor(limited, timeout, func(ctx context.Context) (bool, error) { return a.look(ctx, c, rows) })
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errTimeout), errors.Is(err, context.DeadlineExceeded):
		return notReady(rows, timeout)
	case err != nil:
		return err
	}
	return a.printApplied(rows)
}

// store puts the spec. An answer that does not come says nothing about whether
// it was stored, so it compares anew before it tries again.
func (a *app) store(ctx context.Context, c *client, ch change) (uint64, error) {
	said := ""
	for {
		revision, err := put(ctx, c, ch)
		if err == nil {
			return revision, nil
		}
		if fault.Is(err, fault.Conflict) {
			return 0, fault.WithHint(err, "somebody else changed it meanwhile: look with midplane diff, then apply again")
		}
		for fault.Is(err, fault.Unavailable) {
			if text := err.Error(); text != said {
				said = text
				fmt.Fprintf(a.stderr, "tenant %s: %v; trying again\n", ch.Tenant, err)
			}
			select {
			case <-ctx.Done():
				return 0, fault.WithHint(err, "apply again: what was stored already is found and left as it is")
			case <-time.After(poll):
			}
			var again change
			if again, err = plan(ctx, c, ch.want); err == nil {
				if len(again.Steps) == 0 {
					return again.revision, nil
				}
				ch = again
			}
		}
		if err != nil {
			return 0, err
		}
	}
}

// look asks for the status of every tenant that is not ready yet, and says
// what has changed on standard error.
func (a *app) look(ctx context.Context, c *client, rows []*applied) (bool, error) {
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
		if text := missing(row.last); text != "" && text != row.progress {
			row.progress = text
			fmt.Fprintf(a.stderr, "tenant %s: waiting for %s\n", row.Tenant, printable(text))
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
		text := missing(row.last)
		if text == "" {
			text = "its status"
		}
		waiting = append(waiting, fmt.Sprintf("tenant %s waits for %s", row.Tenant, text))
	}
	return fault.WithHint(fault.New(fault.Unavailable, "not ready after %s: %s", timeout, strings.Join(waiting, "; ")),
		"everything is stored and the cluster goes on with it; see midplane status, or apply again with a longer --timeout")
}

func (a *app) printApplied(rows []*applied) error {
	if a.format.machine() {
		return a.print(rows)
	}
	for _, row := range rows {
		fmt.Fprintf(a.stdout, "tenant %s ready in %.1fs\n", row.Tenant, float64(row.ElapsedMS)/1000)
	}
	return nil
}
