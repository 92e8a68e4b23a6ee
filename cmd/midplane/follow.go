package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/fault"
)

// followEvents prints the newest events and then every new one until it is
// stopped. The cursor is the position of the last event that was printed, so
// that whatever breaks in between, nothing is left out and nothing comes twice.
func (a *app) followEvents(cmd *cobra.Command, f *eventFlags) error {
	ctx := cmd.Context()
	req, err := f.request(time.Now())
	if err != nil {
		return err
	}
	if a.format == formatYAML {
		return usage(cmd, "--follow prints lines: -o table, wide or json")
	}
	return a.withClient(func(c *client) error {
		rows, _, err := c.events(ctx, req, max(f.limit, 1)) // at least one, for the cursor
		if err == nil && len(rows) == 0 {
			err = c.checkTenant(ctx, f.tenant)
		}
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			req.After = strconv.FormatUint(rows[len(rows)-1].Position, 10)
		}
		if f.limit > 0 {
			if err := a.printEvents(rows); err != nil {
				return err
			}
		}
		return a.follow(ctx, c, req)
	})
}

func (a *app) follow(ctx context.Context, c *client, req api.EventRequest) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 100*time.Millisecond, 2*time.Second
	away := false
	for {
		var page api.Page[api.Event]
		err := c.ask(ctx, api.FollowWait+c.timeout, func(ctx context.Context) error {
			return c.query.Do(ctx, api.EventFollow, req, &page)
		})
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
		case !fault.Is(err, fault.Unavailable):
			return err
		default:
			if !away {
				fmt.Fprintf(a.stderr, "waiting for the cluster: %v\n", err)
			}
			away = true
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(wait.NextBackOff()):
			}
			continue
		}
		if away {
			fmt.Fprintln(a.stderr, "the cluster is back")
			away = false
			wait.Reset()
		}
		if err := a.printEvents(page.Items); err != nil {
			return err
		}
		if n := len(page.Items); n > 0 {
			req.After = strconv.FormatUint(page.Items[n-1].Position, 10)
		}
	}
}

func (a *app) printEvents(rows []api.Event) error {
	for _, e := range rows {
		if a.format == formatJSON {
			if err := a.printLine(e); err != nil {
				return err
			}
			continue
		}
		if _, err := fmt.Fprintln(a.stdout, a.eventLine(e)); err != nil {
			return fault.Wrap(fault.Other, err, "write output")
		}
	}
	return nil
}
