package look

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/connect"
	"midplane/cmd/midplane/shell/output"
	"midplane/fault"
	"midplane/internal/wait"
)

// followEvents prints the newest events and then every new one until it is
// stopped. The cursor is the position of the last event that was printed: after
// any break no event is left out and none is printed twice.
func followEvents(sh *shell.Shell, cmd *cobra.Command, f *eventFlags) error {
	ctx := cmd.Context()
	req, err := f.request(time.Now())
	if err != nil {
		return err
	}
	if sh.Out.Format == output.YAML {
		return shell.Usage(cmd, "--follow prints lines: -o table, wide or json")
	}
	return sh.WithClient(func(c *connect.Client) error {
		rows, _, err := newestEvents(ctx, c, req, max(f.limit, 1)) // at least one, for the cursor
		if err == nil && len(rows) == 0 {
			err = c.CheckTenant(ctx, f.tenant)
		}
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			req.After = strconv.FormatUint(rows[len(rows)-1].Position, 10)
		}
		if f.limit > 0 {
			if err := printEvents(sh.Out, rows); err != nil {
				return err
			}
		}
		return followFrom(ctx, sh.Out, c, req)
	})
}

func followFrom(ctx context.Context, out *output.Output, c *connect.Client, req api.EventRequest) error {
	pause := wait.NewGrowing(100*time.Millisecond, 2*time.Second)
	away := false
	for {
		var page api.Page[api.Event]
		err := c.QueryFollow(ctx, api.EventFollow, req, &page)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
		case !fault.Is(err, fault.Unavailable):
			return err
		default:
			if !away {
				fmt.Fprintf(out.Stderr, "waiting for the cluster: %v\n", err)
			}
			away = true
			if err := pause.For(ctx); err != nil {
				return err
			}
			continue
		}
		if away {
			fmt.Fprintln(out.Stderr, "the cluster is back")
			away = false
			pause.Reset()
		}
		if err := printEvents(out, page.Items); err != nil {
			return err
		}
		if n := len(page.Items); n > 0 {
			req.After = strconv.FormatUint(page.Items[n-1].Position, 10)
		}
	}
}

func printEvents(out *output.Output, rows []api.Event) error {
	for _, e := range rows {
		if out.Format == output.JSON {
			if err := out.PrintLine(e); err != nil {
				return err
			}
			continue
		}
		if _, err := fmt.Fprintln(out.Stdout, eventLine(out, e)); err != nil {
			return fault.Wrap(fault.Other, err, "write output")
		}
	}
	return nil
}
