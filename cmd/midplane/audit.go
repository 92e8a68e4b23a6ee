package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
)

// auditFlags are the filters of the audit log.
type auditFlags struct {
	tenant, who, since string
	limit              int
	follow             bool
}

func newAuditList(a *app) *cobra.Command {
	var f auditFlags
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Who changed what, from where, and what came of it; oldest first",
		Long: `Lists administrative acts, oldest first; the newest 100 that match unless
--limit says else. An act is recorded before it is begun and again when it is
done. It is shown once, with its result: ok, or the class of the error. "begun"
is shown when nobody recorded the end: it is under way, or its node died.

Who is the name in the credentials. Where it came from is the address that the
cluster saw. An act with "via" was done by a console for its user: only the
console's name is certain, who and from where are what it said.

--since is an age (15m, 24h, 7d), a day (2026-03-01) or a time (RFC 3339).
The log is append-only. When it is full its oldest records go; the status warns
before that.`,
		Example: "  midplane get audit --tenant acme --since 24h\n  midplane get audit --limit 0 -o json > audit.json\n  midplane get audit --follow",
		Args:    args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.follow && !cmd.Flags().Changed("limit") {
				f.limit = 10
			}
			return a.listAudit(cmd, &f)
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

func (a *app) listAudit(cmd *cobra.Command, f *auditFlags) error {
	req, err := f.request(time.Now())
	if err != nil {
		return err
	}
	if f.follow && a.format == formatYAML {
		return usage(cmd, "--follow prints lines: -o table, wide or json")
	}
	return a.withClient(func(c *client) error {
		rows, err := c.auditLog(cmd.Context(), req, f.limit)
		if err != nil {
			return err
		}
		if f.follow {
			return a.followAudit(cmd.Context(), c, req, rows)
		}
		if len(rows) == f.limit && f.limit > 0 && !a.format.machine() {
			fmt.Fprintf(a.stderr, "there may be more: these are the newest %d; --limit 0 shows all\n", f.limit)
		}
		return printList(a, "acts", rows, auditColumns)
	})
}

// auditLog returns the newest limit acts that match, oldest first; all of them
// when limit is 0.
func (c *client) auditLog(ctx context.Context, req api.AuditRequest, limit int) ([]api.AuditRecord, error) {
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

// once leaves the record before an act out where the one after it is. Pure.
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
func (a *app) followAudit(ctx context.Context, c *client, req api.AuditRequest, rows []api.AuditRecord) error {
	req.After, req.Newest, req.Limit = "now", false, 0
	if len(rows) > 0 {
		req.After = strconv.FormatUint(rows[len(rows)-1].Seq, 10)
	}
	away := false
	for {
		for _, r := range rows {
			if a.format == formatJSON {
				if err := a.printLine(r); err != nil {
					return err
				}
			} else if _, err := fmt.Fprintln(a.stdout, auditLine(r)); err != nil {
				return fault.Wrap(fault.Other, err, "write output")
			}
		}
		var page api.Page[api.AuditRecord]
		err := c.ask(ctx, api.FollowWait+c.timeout, func(ctx context.Context) error {
			return c.admin.Do(ctx, api.AuditFollow, req, &page)
		})
		rows = nil
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !fault.Is(err, fault.Unavailable):
			return err
		case err != nil:
			if !away {
				fmt.Fprintf(a.stderr, "waiting for the cluster: %v\n", err)
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
	return dash(strings.Trim(r.Tenant+"/"+r.Target, "/"))
}

func auditLine(r api.AuditRecord) string {
	line := fmt.Sprintf("%s  %-16s  %-16s  %-20s  %-12s  %s", stamp(&r.Time), printable(auditWho(r)), r.Verb, printable(auditTarget(r)), r.Result, printable(r.From))
	if r.Detail != "" {
		line += "  " + printable(r.Detail)
	}
	return line
}

var auditColumns = []column[api.AuditRecord]{
	{name: "Time", value: func(r api.AuditRecord) string { return stamp(&r.Time) }},
	{name: "Who", value: auditWho},
	{name: "Verb", value: func(r api.AuditRecord) string { return r.Verb }},
	{name: "Target", value: auditTarget},
	{name: "Result", value: func(r api.AuditRecord) string { return r.Result }},
	{name: "From", value: func(r api.AuditRecord) string { return r.From }},
	{name: "Detail", value: func(r api.AuditRecord) string { return r.Detail }, long: true},
	{name: "Node", value: func(r api.AuditRecord) string { return r.Node }, wide: true},
	{name: "Seq", value: func(r api.AuditRecord) string { return strconv.FormatUint(r.Seq, 10) }, wide: true, right: true},
	{name: "ID", value: func(r api.AuditRecord) string { return r.ID }, wide: true},
}
