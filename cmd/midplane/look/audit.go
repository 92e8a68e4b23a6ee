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

// auditFlags are the filters of the audit log.
type auditFlags struct {
	tenant, who, since string
	limit              int
	follow             bool
}

func newAuditList(sh *shell.Shell) *cobra.Command {
	var f auditFlags
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Who changed what, from where, and what came of it; oldest first",
		Long: `Lists administrative acts, oldest first: the newest 100 that match, or as many
as --limit. An act is recorded before it is begun and again when it is done. It
is shown once, with its result: ok, or the class of the error. The result is
"begun" when no end is recorded: the act is under way, or its node died.

Who is the name in the credentials. From is the address that the cluster saw. An
act with "via" was done by a console for its user: only the console's name is
certain; who and from are as the console reported them.

--since is an age (15m, 24h, 7d), a day (2026-03-01) or a time (RFC 3339).
The log is append-only. When it is full its oldest records go; the status warns
before that.`,
		Example: "  midplane get audit --tenant acme --since 24h\n  midplane get audit --limit 0 -o json > audit.json\n  midplane get audit --follow",
		Args:    shell.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.follow && !cmd.Flags().Changed("limit") {
				f.limit = 10
			}
			return listAudit(sh, cmd, &f)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.tenant, "tenant", "", "only about this tenant")
	fl.StringVar(&f.who, "who", "", "only what this user did")
	fl.StringVar(&f.since, "since", "", "only since this time, or this long ago")
	fl.IntVar(&f.limit, "limit", 100, "how many at most, the newest; 0 means all")
	fl.BoolVarP(&f.follow, "follow", "f", false, "go on printing until Ctrl-C")
	return cmd
}

func (f *auditFlags) request(now time.Time) (api.AuditRequest, error) {
	req := api.AuditRequest{Tenant: f.tenant, Who: f.who}
	if f.tenant != "" {
		if err := event.CheckName("tenant", f.tenant); err != nil {
			return req, err
		}
	}
	if f.limit < 0 {
		return req, fault.WithHint(fault.New(fault.Invalid, "--limit %d is negative", f.limit), "0 means all")
	}
	since, err := parseSince(f.since, now)
	req.Since = since
	return req, err
}

func listAudit(sh *shell.Shell, cmd *cobra.Command, f *auditFlags) error {
	req, err := f.request(time.Now())
	if err != nil {
		return err
	}
	if f.follow && (sh.Out.Format == output.YAML || sh.Out.Format == output.Name) {
		return shell.Usage(cmd, "--follow prints lines: -o table, wide or json")
	}
	return sh.WithClient(func(c *connect.Client) error {
		rows, err := auditLog(cmd.Context(), c, req, f.limit)
		if err != nil {
			return err
		}
		if f.follow {
			return followAudit(cmd.Context(), sh.Out, c, req, rows)
		}
		if len(rows) == f.limit && f.limit > 0 && !sh.Out.Machine() {
			fmt.Fprintf(sh.Out.Stderr, "there may be more: these are the newest %d; --limit 0 shows all\n", f.limit)
		}
		if sh.Out.Format == output.Name {
			return printNames(sh.Out, "act", rows, func(r api.AuditRecord) string { return r.ID })
		}
		return output.List(sh.Out, "acts", rows, auditColumns)
	})
}

// auditLog returns the newest limit acts that match, oldest first; all of them
// when limit is 0.
func auditLog(ctx context.Context, c *connect.Client, req api.AuditRequest, limit int) ([]api.AuditRecord, error) {
	if limit > 0 && limit <= api.MaxPage {
		req.Newest, req.Limit = true, limit
		var page api.Page[api.AuditRecord]
		err := c.Admin(ctx, api.AuditList, req, &page)
		return page.Items, err
	}
	var all []api.AuditRecord
	req.Limit = api.MaxPage
	for {
		var page api.Page[api.AuditRecord]
		if err := c.Admin(ctx, api.AuditList, req, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if page.Next == "" {
			break
		}
		req.After = page.Next
	}
	all = once(all)
	if limit > 0 && len(all) > limit {
		all = all[len(all)-limit:]
	}
	return all, nil
}

// once leaves out the record of an act's beginning where its end is recorded.
func once(recs []api.AuditRecord) []api.AuditRecord {
	done := map[string]bool{}
	for _, r := range recs {
		done[r.ID] = done[r.ID] || r.Result != api.AuditBegun
	}
	out := []api.AuditRecord{}
	for _, r := range recs {
		if r.Result != api.AuditBegun || !done[r.ID] {
			out = append(out, r)
		}
	}
	return out
}

// followAudit prints rows and then every act as it ends.
func followAudit(ctx context.Context, out *output.Output, c *connect.Client, req api.AuditRequest, rows []api.AuditRecord) error {
	req.After, req.Newest, req.Limit = "now", false, 0
	if len(rows) > 0 {
		req.After = strconv.FormatUint(rows[len(rows)-1].Seq, 10)
	}
	away := false
	for {
		for _, r := range rows {
			if out.Format == output.JSON {
				if err := out.PrintLine(r); err != nil {
					return err
				}
			} else if _, err := fmt.Fprintln(out.Stdout, auditLine(r)); err != nil {
				return fault.Wrap(fault.Other, err, "write output")
			}
		}
		var page api.Page[api.AuditRecord]
		err := c.AdminFollow(ctx, api.AuditFollow, req, &page)
		rows = nil
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !fault.Is(err, fault.Unavailable):
			return err
		case err != nil:
			if !away {
				fmt.Fprintf(out.Stderr, "waiting for the cluster: %v\n", err)
			}
			away = true
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second):
			}
			continue
		}
		away = false
		if page.Next != "" {
			req.After = page.Next
		}
		if n := len(page.Items); n > 0 && page.Next == "" {
			req.After = strconv.FormatUint(page.Items[n-1].Seq, 10)
		}
		for _, r := range page.Items {
			if r.Result != api.AuditBegun {
				rows = append(rows, r)
			}
		}
	}
}

func auditWho(r api.AuditRecord) string {
	if r.Via != "" {
		return r.Who + " (says " + r.Via + ")"
	}
	return r.Who
}

func auditTarget(r api.AuditRecord) string {
	return output.Dash(strings.Trim(r.Tenant+"/"+r.Target, "/"))
}

func auditLine(r api.AuditRecord) string {
	line := fmt.Sprintf("%s  %-16s  %-16s  %-20s  %-12s  %s", output.Stamp(&r.Time), output.Printable(auditWho(r)), r.Verb, output.Printable(auditTarget(r)), r.Result, output.Printable(r.From))
	if r.Detail != "" {
		line += "  " + output.Printable(r.Detail)
	}
	return line
}

var auditColumns = []output.Column[api.AuditRecord]{
	{Name: "Time", Value: func(r api.AuditRecord) string { return output.Stamp(&r.Time) }, Fixed: true},
	{Name: "Who", Value: auditWho},
	{Name: "Verb", Value: func(r api.AuditRecord) string { return r.Verb }},
	{Name: "Target", Value: auditTarget},
	{Name: "Result", Value: func(r api.AuditRecord) string { return r.Result }},
	{Name: "From", Value: func(r api.AuditRecord) string { return r.From }, Drop: 1},
	{Name: "Detail", Value: func(r api.AuditRecord) string { return r.Detail }, Long: true, Drop: 2},
	{Name: "Node", Value: func(r api.AuditRecord) string { return r.Node }, Wide: true},
	{Name: "Seq", Value: func(r api.AuditRecord) string { return strconv.FormatUint(r.Seq, 10) }, Wide: true, Right: true},
	{Name: "ID", Value: func(r api.AuditRecord) string { return r.ID }, Wide: true},
}
