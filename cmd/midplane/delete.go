package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
)

// poll is how often a command looks whether what it waits for has happened.
const poll = 100 * time.Millisecond

func newDeleteCmd(a *app) *cobra.Command {
	cmd := group(&cobra.Command{Use: "delete KIND", Short: "Remove something for good"})
	cmd.AddCommand(newDeleteTenant(a))
	return cmd
}

func newDeleteTenant(a *app) *cobra.Command {
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
		Args:    args(1, 1, "TENANT"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := event.CheckName("tenant", given[0]); err != nil {
				return err
			}
			if !yes {
				return mustSayYes("everything that tenant %s has stored will be gone for good", given[0])
			}
			return a.withClient(func(c *client) error { return a.deleteTenant(cmd.Context(), c, given[0], timeout) })
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	cmd.Flags().DurationVar(&timeout, "timeout", timeout, "how long to wait until it is gone")
	return cmd
}

// mustSayYes is the answer to a command that destroys and was not told --yes.
// It comes before anybody is asked, so that it tells nothing of what exists.
func mustSayYes(format string, args ...any) error {
	return fault.WithHint(fault.New(fault.Invalid, "--yes is missing: "+format, args...), "nothing was changed; add --yes to do it")
}

func (a *app) deleteTenant(ctx context.Context, c *client, id string, timeout time.Duration) error {
	start := time.Now()
	if err := c.Admin(ctx, api.TenantDelete, api.TenantRef{Tenant: id}, nil); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "tenant %s: deleting\n", id)
	gone := func(ctx context.Context) (bool, error) {
		err := c.Admin(ctx, api.TenantStatus, api.TenantRef{Tenant: id}, nil)
		if fault.Is(err, fault.NotFound) {
			return true, nil
		}
		return false, err
	}
	if err := waitFor(ctx, timeout, gone); err != nil {
		if errors.Is(err, errTimeout) {
			return fault.WithHint(fault.New(fault.Unavailable, "tenant %s is not gone after %s", id, timeout),
				"it goes on being deleted; look with: midplane get tenants, midplane status")
		}
		return err
	}
	elapsed := time.Since(start)
	if a.format.machine() {
		return a.print(struct {
			Tenant    string `json:"tenant"`
			Status    string `json:"status"`
			ElapsedMS int64  `json:"elapsedMs"`
		}{id, "deleted", elapsed.Milliseconds()})
	}
	fmt.Fprintf(a.stdout, "tenant %s deleted in %.1fs\n", id, elapsed.Seconds())
	return nil
}

var errTimeout = errors.New("not in time")

// waitFor asks until done says so. That nobody answers for a while is no
// reason to give up: a leader may be being elected. It returns errTimeout when
// the time is over.
func waitFor(ctx context.Context, timeout time.Duration, done func(context.Context) (bool, error)) error {
	limited, stop := context.WithTimeout(ctx, timeout)
	defer stop()
	for {
		ok, err := done(limited)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case ok:
			return nil
		case err != nil && !fault.Is(err, fault.Unavailable):
			return err
		}
		select {
		case <-limited.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return errTimeout
		case <-time.After(poll):
		}
	}
}
