package look

import (
	"context"
	"fmt"
	"strconv"
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

const eventFilters = `--severity shows this one and more urgent ones; the eight are, most urgent
first: emergency alert critical error warning notice info debug.
--type is a whole type or a prefix of whole words ("net.interface").
--entity is a device (with its parts) or one part ("r1/if/2").
--since is an age (15m, 24h, 7d), a day (2026-03-01) or a time (RFC 3339).`

func newEventList(sh *shell.Shell) *cobra.Command {
	var f eventFlags
	cmd := &cobra.Command{
		Use:     "events",
		Aliases: []string{"event"},
		Short:   "What happened, oldest first",
		Long:    "Lists events, oldest first: the newest 100 that match, or as many as --limit.\n\n" + eventFilters,
		Example: "  midplane get events --severity warning --since 24h\n  midplane get events --entity r1 --limit 0 -o json",
		Args:    shell.Args(0, 0, ""),
		RunE:    func(cmd *cobra.Command, _ []string) error { return listEvents(sh, cmd, &f) },
	}
	f.add(cmd, 100)
	return cmd
}

// NewEvents is the command "events".
func NewEvents(sh *shell.Shell) *cobra.Command {
	var f eventFlags
	var follow bool
	cmd := &cobra.Command{
		Use:   "events",
		Short: "What happened, and with --follow what happens now",
		Long: `Without --follow the same as "midplane get events". With it, prints the last
--limit events that match (10 by default) and then each new one until Ctrl-C,
with -o json one object a line. It survives a fail-over: no event is left out
and none printed twice.

` + eventFilters,
		Example: "  midplane events --follow --tenant acme\n  midplane events --follow -o json | jq -r .message",
		Args:    shell.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if follow && !cmd.Flags().Changed("limit") {
				f.limit = 10
			}
			if follow {
				return followEvents(sh, cmd, &f)
			}
			return listEvents(sh, cmd, &f)
		},
	}
	f.add(cmd, 100)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on printing until Ctrl-C")
	return cmd
}

// eventFlags are the filters of events.
type eventFlags struct {
	scope
	severity, typ, entity, since string
	limit                        int
}

func (f *eventFlags) add(cmd *cobra.Command, limit int) {
	f.flags(cmd, true)
	fl := cmd.Flags()
	fl.StringVar(&f.severity, "severity", "", "only of this severity or more urgent")
	fl.StringVar(&f.typ, "type", "", "only of this type, or of types that begin with these words")
	fl.StringVar(&f.entity, "entity", "", "only about this device and its parts, or about this part")
	fl.StringVar(&f.since, "since", "", "only since this time, or this long ago")
	fl.IntVar(&f.limit, "limit", limit, "how many at most, the newest; 0 means all")
}

// request checks the filters and turns them into a request.
func (f *eventFlags) request(now time.Time) (api.EventRequest, error) {
	req := api.EventRequest{Tenant: f.tenant, Site: f.site, Severity: event.Severity(f.severity), Type: f.typ, Entity: f.entity}
	if err := f.check(); err != nil {
		return req, err
	}
	if f.severity != "" && req.Severity.Level() < 0 {
		return req, fault.WithHint(fault.New(fault.Invalid, "--severity %q is none", f.severity),
			"one of: emergency, alert, critical, error, warning, notice, info, debug")
	}
	if f.limit < 0 {
		return req, fault.WithHint(fault.New(fault.Invalid, "--limit %d is negative", f.limit), "0 means all")
	}
	if f.entity != "" {
		if err := event.CheckEntity(event.Entity(f.entity)); err != nil {
			return req, fault.Wrap(fault.Invalid, err, "--entity")
		}
	}
	since, err := parseSince(f.since, now)
	req.Since = since
	return req, err
}

// parseSince reads "15m", "24h", "7d", "2026-03-01" or RFC 3339.
func parseSince(s string, now time.Time) (*time.Time, error) {
	if s == "" {
		return nil, nil
	}
	at := now
	var d api.Duration
	if err := d.UnmarshalText([]byte(s)); err == nil {
		at = now.Add(-d.Std())
	} else if at, err = time.Parse(time.RFC3339, s); err != nil {
		if at, err = time.Parse(time.DateOnly, s); err != nil {
			return nil, fault.WithHint(fault.New(fault.Invalid, "--since %q is neither an age nor a time", s),
				"like 15m, 24h, 7d, 2026-03-01 or 2026-03-01T08:00:00Z")
		}
	}
	if at.After(now) {
		return nil, fault.WithHint(fault.New(fault.Invalid, "--since %q is in the future", s), "15m means fifteen minutes ago")
	}
	at = at.UTC()
	return &at, nil
}

func listEvents(sh *shell.Shell, cmd *cobra.Command, f *eventFlags) error {
	req, err := f.request(time.Now())
	if err != nil {
		return err
	}
	return sh.WithClient(func(c *connect.Client) error {
		rows, more, err := newestEvents(cmd.Context(), c, req, f.limit)
		if err == nil && len(rows) == 0 {
			err = c.CheckTenant(cmd.Context(), f.tenant)
		}
		if err != nil {
			return err
		}
		if more && !sh.Out.Machine() {
			fmt.Fprintf(sh.Out.Stderr, "there may be more: these are the newest %d; --limit 0 shows all\n", f.limit)
		}
		if sh.Out.Format == output.Name {
			return printNames(sh.Out, "event", rows, func(e api.Event) string { return e.Tenant + "/" + e.ID })
		}
		return output.List(sh.Out, "events", rows, eventColumns)
	})
}

// newestEvents returns the newest limit events that match, oldest first; all of them
// when limit is 0. more says that there may be older ones.
func newestEvents(ctx context.Context, c *connect.Client, req api.EventRequest, limit int) (rows []api.Event, more bool, err error) {
	if limit > 0 && limit <= api.MaxPage {
		req.Newest, req.Limit = true, limit
		var page api.Page[api.Event]
		err := c.Query(ctx, api.EventList, req, &page)
		return page.Items, len(page.Items) == limit, err
	}
	for {
		var page api.Page[api.Event]
		if err := c.Query(ctx, api.EventList, req, &page); err != nil {
			return nil, false, err
		}
		rows = append(rows, page.Items...)
		if limit > 0 && len(rows) > limit {
			rows, more = rows[len(rows)-limit:], true
		}
		if page.Next == "" {
			return rows, more, nil
		}
		req.After = page.Next
	}
}

var eventColumns = []output.Column[api.Event]{
	{Name: "Time", Value: func(e api.Event) string { return output.Stamp(&e.Time) }, Fixed: true},
	{Name: "Tenant", Value: func(e api.Event) string { return e.Tenant }, Drop: 3},
	{Name: "Site", Value: func(e api.Event) string { return e.Site }, Drop: 1},
	{Name: "Severity", Value: func(e api.Event) string { return string(e.Severity) }, Drop: 2},
	{Name: "Entity", Value: func(e api.Event) string { return e.Entity }},
	{Name: "Message", Value: func(e api.Event) string { return e.Message }, Long: true},
	{Name: "Type", Value: func(e api.Event) string { return e.Type }, Wide: true},
	{Name: "Producer", Value: func(e api.Event) string { return e.Producer }, Wide: true},
	{Name: "Trace", Value: func(e api.Event) string { return e.TraceID }, Wide: true},
	{Name: "Stream", Value: func(e api.Event) string { return e.Stream }, Wide: true},
	{Name: "Seq", Value: func(e api.Event) string { return strconv.FormatUint(e.Seq, 10) }, Wide: true, Right: true},
	{Name: "ID", Value: func(e api.Event) string { return e.ID }, Wide: true},
}

// eventLine is how --follow prints an event for a person.
func eventLine(out *output.Output, e api.Event) string {
	where := e.Tenant + "/" + e.Site
	severity := fmt.Sprintf("%-9s", e.Severity)
	if out.Coloured() {
		severity = strings.Replace(severity, string(e.Severity), out.Paint(string(e.Severity)), 1)
	}
	line := fmt.Sprintf("%s  %s  %-16s  %-20s  %s", output.Stamp(&e.Time), severity, output.Printable(where), output.Printable(e.Entity), output.Printable(e.Message))
	if out.Format == output.Wide {
		line += "  " + e.Type + "  " + output.Printable(e.Producer) + "  " + output.Dash(e.TraceID)
	}
	return line
}
