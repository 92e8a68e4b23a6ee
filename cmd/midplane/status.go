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

// lagToMention is how many messages a primary may be behind before the status
// calls it a problem: less is a second or two of a busy tenant.
const lagToMention = 50_000

// statusReport is what "midplane status -o json" prints.
type statusReport struct {
	OK       bool               `json:"ok"`
	Cluster  api.ClusterStatus  `json:"cluster"`
	Primary  *api.PrimaryReport `json:"primary"` // null when none answers
	Problems []api.Problem      `json:"problems"`
}

func newStatusCmd(a *app) *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Nodes, leaders, lag, what is wrong and what to do about it",
		Long: `Shows the nodes of the cluster and who leads, how far the primary has read each
tenant (lag: messages stored and not yet folded), and everything that is wrong,
each with what to do about it.

Exits with 0 when the cluster answered, whatever it said; 6 when nobody did.
With --check it exits with 1 when something is wrong.`,
		Example: "  midplane status\n  midplane status -o json | jq '.problems[]'\n  midplane status --check >/dev/null || page-somebody",
		Args:    args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var s statusReport
			err := a.withClient(func(c *client) (err error) {
				s, err = c.status(cmd.Context())
				return err
			})
			if err != nil {
				return err
			}
			if a.format.machine() {
				err = a.print(s)
			} else {
				a.printStatus(s, time.Now())
			}
			if err == nil && check && !s.OK {
				return exitError(1)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "exit with 1 when something is wrong")
	return cmd
}

func (c *client) status(ctx context.Context) (statusReport, error) {
	var s statusReport
	if err := c.Admin(ctx, api.NodeStatus, struct{}{}, &s.Cluster); err != nil {
		if fault.Is(err, fault.Unavailable) {
			err = fault.WithHint(err, "%s is there, but no control plane answers: start the other nodes (a majority of them is needed), and give them 10 seconds to elect a leader", c.nc.ConnectedUrlRedacted())
		}
		return s, err
	}
	var p api.PrimaryReport
	err := c.Query(ctx, api.PrimaryStatus, struct{}{}, &p)
	switch {
	case err == nil:
		s.Primary = &p
	case fault.Is(err, fault.Unavailable):
		// that nobody answers is part of the status
	default:
		return s, err
	}
	s.Problems = append(append([]api.Problem{}, s.Cluster.Problems...), found(s)...)
	s.OK = len(s.Problems) == 0
	return s, nil
}

// found is what the answers together show to be wrong, besides what the
// control plane says itself. Pure.
func found(s statusReport) []api.Problem {
	var out []api.Problem
	add := func(severity event.Severity, tenant, hint, format string, args ...any) {
		out = append(out, api.Problem{Severity: string(severity), Tenant: tenant, Message: fmt.Sprintf(format, args...), Hint: hint})
	}
	for _, n := range s.Cluster.Nodes {
		if !n.Live && !mentioned(s.Cluster.Problems, "node "+n.ID) {
			add(event.Critical, "", "start it again; if it was taken away for good, the cluster works on with a majority", "node %s is not live", n.ID)
		}
	}
	if s.Cluster.Leader == "" {
		add(event.Critical, "", "it is elected within seconds; if not, see that a majority of the nodes runs", "the control plane has no leader")
	}
	if s.Primary == nil {
		add(event.Critical, "", "start one: midplane primary (midplane up has one)", "no primary answers: nothing is read, `get devices` and `get events` fail")
		return out
	}
	for _, t := range s.Primary.Tenants {
		switch {
		case t.Problem != "":
			add(event.Error, string(t.Tenant), "see the log of primary "+s.Primary.Name, "primary %s: %s", s.Primary.Name, t.Problem)
		case !t.Reading:
			add(event.Warning, string(t.Tenant), "it begins within seconds; if not, see the log of primary "+s.Primary.Name, "primary %s does not read this tenant", s.Primary.Name)
		}
		for _, st := range t.Streams {
			if st.Lag >= lagToMention {
				add(event.Warning, string(t.Tenant), "it catches up by itself; if the number rises, the primary's disk or CPU is too slow", "primary %s is %d messages behind in %s", s.Primary.Name, st.Lag, st.Stream)
			}
		}
	}
	for _, alarm := range s.Primary.Alarms {
		add(event.Error, "", alarm.Hint, "%s: %s", strings.Trim(alarm.Source+" "+alarm.Stream+" "+alarm.Alarm, " "), alarm.Message)
	}
	return out
}

func mentioned(problems []api.Problem, what string) bool {
	for _, p := range problems {
		for _, word := range []string{what + " ", what + ":"} {
			if strings.Contains(p.Message+" ", word) {
				return true
			}
		}
	}
	return false
}

func (a *app) printStatus(s statusReport, now time.Time) {
	live := 0
	for _, n := range s.Cluster.Nodes {
		if n.Live {
			live++
		}
	}
	fmt.Fprintf(a.stdout, "Cluster: %d of %d nodes live; %s leads the control plane, %s JetStream; registry revision %d\n",
		live, len(s.Cluster.Nodes), dash(s.Cluster.Leader), dash(s.Cluster.MetaLead), s.Cluster.Revision)
	if i := s.Cluster.Isolation; i != nil {
		proof := "not proven yet"
		if i.Proven != nil {
			proof = fmt.Sprintf("proven %s ago with markers of %d tenants in %d", short(now.Sub(*i.Proven)), i.Tenants, i.Listening)
		}
		if i.Leaks > 0 {
			proof = fmt.Sprintf("BROKEN between %d pairs of tenants in the last hour", i.Leaks)
		}
		fmt.Fprintf(a.stdout, "Isolation: %s\n", proof)
	}
	section(a, "Nodes", s.Cluster.Nodes, []column[api.Node]{
		{name: "Node", value: func(n api.Node) string { return n.ID }},
		{name: "Live", value: func(n api.Node) string { return yesNo(n.Live) }},
		{name: "Seen", value: func(n api.Node) string { return ago(&n.LastSeen) }, right: true},
		{name: "Doors open", value: func(n api.Node) string { return strconv.Itoa(n.Tenants) }, right: true},
		{name: "Revision", value: func(n api.Node) string { return strconv.FormatUint(n.Revision, 10) }, right: true},
		{name: "Version", value: func(n api.Node) string { return n.Version }},
	})
	section(a, "Primaries", s.Cluster.Primaries, []column[api.PrimaryState]{
		{name: "Primary", value: func(p api.PrimaryState) string { return p.ID }},
		{name: "Live", value: func(p api.PrimaryState) string { return yesNo(p.Live) }},
		{name: "Seen", value: func(p api.PrimaryState) string { return ago(&p.LastSeen) }, right: true},
	})
	if s.Primary != nil {
		title := fmt.Sprintf("Read by %s (%s, up %s)", s.Primary.Name, s.Primary.Version, short(now.Sub(s.Primary.Started)))
		section(a, title, reads(s.Primary.Tenants), readColumns)
	}
	if s.OK {
		fmt.Fprintln(a.stdout, "\nNothing is wrong.")
		return
	}
	fmt.Fprintf(a.stdout, "\n%d %s:\n", len(s.Problems), plural("problems", len(s.Problems)))
	for _, p := range s.Problems {
		where := ""
		if p.Tenant != "" {
			where = "tenant " + p.Tenant + ": "
		}
		fmt.Fprintf(a.stdout, "  %s: %s%s\n", a.paint(p.Severity), where, printable(p.Message))
		if p.Hint != "" {
			fmt.Fprintf(a.stdout, "      → %s\n", printable(p.Hint))
		}
	}
}

// read is how far one tenant is read, one row of the status.
type read struct {
	tenant  string
	reading bool
	lag     map[string]uint64
	folded  *time.Time
}

func reads(tenants []api.TenantReport) []read {
	out := make([]read, 0, len(tenants))
	for _, t := range tenants {
		r := read{tenant: string(t.Tenant), reading: t.Reading, lag: map[string]uint64{}}
		for _, s := range t.Streams {
			r.lag[s.Stream] = s.Lag
			if s.Folded != nil && (r.folded == nil || s.Folded.After(*r.folded)) {
				r.folded = s.Folded
			}
		}
		out = append(out, r)
	}
	return out
}

var readColumns = []column[read]{
	{name: "Tenant", value: func(r read) string { return r.tenant }},
	{name: "Reading", value: func(r read) string { return yesNo(r.reading) }},
	{name: "Lag events", value: func(r read) string { return strconv.FormatUint(r.lag[event.StreamEvents], 10) }, right: true},
	{name: "Lag state", value: func(r read) string { return strconv.FormatUint(r.lag[event.StreamState], 10) }, right: true},
	{name: "Lag metrics", value: func(r read) string { return strconv.FormatUint(r.lag[event.StreamMetrics], 10) }, right: true},
	{name: "Lag dead", value: func(r read) string { return strconv.FormatUint(r.lag[event.StreamDead], 10) }, right: true},
	{name: "Last folded", value: func(r read) string { return ago(r.folded) }, right: true},
}
