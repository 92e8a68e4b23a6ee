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
	"midplane/event"
	"midplane/fault"
)

// statusReport is what "midplane status -o json" prints. OK says what --check
// does: there is no warning or worse about Midplane itself.
type statusReport struct {
	OK       bool               `json:"ok"`
	Cluster  api.ClusterStatus  `json:"cluster"`
	Primary  *api.PrimaryReport `json:"primary"` // null when none answers
	Problems []api.Problem      `json:"problems"`
}

// NewStatus is the command "status".
func NewStatus(sh *shell.Shell) *cobra.Command {
	var check string
	var whole bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Nodes, leaders, lag, what is wrong and what to do about it",
		Long: `Shows the nodes of the cluster and who leads, how far the primary has read each
tenant (lag: messages stored and not yet folded), and everything that is wrong,
each with what to do about it. Root causes come first; how much follows from one
stands below it, and is shown whole with -v and with -o json.

A problem's scope is "system" when it is Midplane's own, and "network" when it is
about what Midplane watches. Every problem has a code that never changes its
meaning: docs/reference/problems.md lists them.

Exits with 0 when the cluster answered, with any answer; 6 when it did not.
With --check it exits with 1 when there is a problem of the system that is a
warning or worse, with --check=all also when there is one of the network.`,
		Example: "  midplane status\n  midplane status -o json | jq '.problems[] | select(.scope == \"system\")'\n  midplane status --check >/dev/null || page-the-operator",
		Args:    shell.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			scopes, known := checkScopes[check]
			if !known {
				return shell.Usage(cmd, "--check=%s: there is system (what --check alone means) and all", check)
			}
			var s statusReport
			err := sh.WithClient(func(c *connect.Client) (err error) {
				s, err = readStatus(cmd.Context(), c)
				return err
			})
			if err != nil {
				return err
			}
			if sh.Out.Machine() {
				err = sh.Out.Print(s)
			} else {
				printStatus(sh.Out, s, time.Now(), whole)
			}
			if err == nil && api.Failing(s.Problems, scopes...) {
				return shell.Exit(1)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&check, "check", "", "exit with 1 when something is wrong: with Midplane itself (system), or also in the network (all)")
	cmd.Flags().BoolVarP(&whole, "verbose", "v", false, "also show the problems that follow from others")
	cmd.Flags().Lookup("check").NoOptDefVal = checkSystem
	return cmd
}

const checkSystem = "system"

// checkScopes is which problems count for --check.
var checkScopes = map[string][]api.Scope{
	"": {}, checkSystem: {api.ScopeSystem}, "all": {api.ScopeSystem, api.ScopeNetwork},
}

// readStatus explains who does not answer when the control plane does not.
func readStatus(ctx context.Context, c *connect.Client) (statusReport, error) {
	s, err := statusOf(ctx, c)
	if fault.Is(err, fault.Unavailable) {
		err = fault.WithHint(err, "%s is there, but its control plane does not answer: it starts when a majority of the nodes runs and they reach each other, within 10 seconds; its /readyz says what it waits for", c.URL())
	}
	return s, err
}

// source answers for the control plane and for a primary.
type source interface {
	Admin(ctx context.Context, verb string, req, resp any) error
	Query(ctx context.Context, verb string, req, resp any) error
}

// statusOf asks both doors. Without the control plane there is no status.
func statusOf(ctx context.Context, c source) (s statusReport, err error) {
	if err := c.Admin(ctx, api.NodeStatus, struct{}{}, &s.Cluster); err != nil {
		return s, err
	}
	var p api.PrimaryReport
	err = c.Query(ctx, api.PrimaryStatus, struct{}{}, &p)
	switch {
	case err == nil:
		s.Primary = &p
	case fault.Is(err, fault.Unavailable):
		// part of the status, and no error
	default:
		return s, err
	}
	facts := api.Facts{Cluster: &s.Cluster, Primary: s.Primary}
	if err != nil {
		facts.PrimaryTrouble = err.Error()
	}
	s.Problems = api.Health(facts)
	s.OK = !api.Failing(s.Problems, api.ScopeSystem)
	return s, nil
}

func printStatus(out *output.Output, s statusReport, now time.Time, whole bool) {
	live := 0
	for _, n := range s.Cluster.Nodes {
		if n.Live {
			live++
		}
	}
	fmt.Fprintf(out.Stdout, "Cluster: %d of %d nodes live; %s leads the control plane, %s JetStream; registry revision %d\n",
		live, len(s.Cluster.Nodes), output.Dash(s.Cluster.Leader), output.Dash(s.Cluster.MetaLead), s.Cluster.Revision)
	if i := s.Cluster.Isolation; i != nil {
		proof := "not proven yet"
		if i.Proven != nil {
			proof = fmt.Sprintf("proven %s ago with markers of %d tenants in %d", output.Short(now.Sub(*i.Proven)), i.Tenants, i.Listening)
		}
		if i.Leaks > 0 {
			proof = fmt.Sprintf("BROKEN between %d pairs of tenants in the last hour", i.Leaks)
		}
		fmt.Fprintf(out.Stdout, "Isolation: %s\n", proof)
	}
	output.Section(out, "Nodes", s.Cluster.Nodes, []output.Column[api.Node]{
		{Name: "Node", Value: func(n api.Node) string { return n.ID }},
		{Name: "Live", Value: func(n api.Node) string { return output.YesNo(n.Live) }},
		{Name: "Seen", Value: func(n api.Node) string { return output.Ago(&n.LastSeen) }, Right: true},
		{Name: "Doors open", Value: func(n api.Node) string { return strconv.Itoa(n.Tenants) }, Right: true},
		{Name: "Revision", Value: func(n api.Node) string { return strconv.FormatUint(n.Revision, 10) }, Right: true},
		{Name: "Version", Value: func(n api.Node) string { return n.Version }},
	})
	output.Section(out, "Primaries", s.Cluster.Primaries, []output.Column[api.PrimaryState]{
		{Name: "Primary", Value: func(p api.PrimaryState) string { return p.ID }},
		{Name: "Live", Value: func(p api.PrimaryState) string { return output.YesNo(p.Live) }},
		{Name: "Seen", Value: func(p api.PrimaryState) string { return output.Ago(&p.LastSeen) }, Right: true},
		{Name: "Version", Value: func(p api.PrimaryState) string { return output.Dash(p.Version) }},
	})
	if s.Primary != nil {
		title := fmt.Sprintf("Read by %s (%s, up %s)", s.Primary.Name, s.Primary.Version, output.Short(now.Sub(s.Primary.Started)))
		output.Section(out, title, reads(s.Primary.Tenants), readColumns)
	}
	printProblems(out, s.Problems, whole)
}

// read is one row of the status: how far one tenant is read.
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

var readColumns = []output.Column[read]{
	{Name: "Tenant", Value: func(r read) string { return r.tenant }},
	{Name: "Reading", Value: func(r read) string { return output.YesNo(r.reading) }},
	{Name: "Lag events", Value: func(r read) string { return strconv.FormatUint(r.lag[event.StreamEvents], 10) }, Right: true},
	{Name: "Lag state", Value: func(r read) string { return strconv.FormatUint(r.lag[event.StreamState], 10) }, Right: true},
	{Name: "Lag metrics", Value: func(r read) string { return strconv.FormatUint(r.lag[event.StreamMetrics], 10) }, Right: true},
	{Name: "Lag dead", Value: func(r read) string { return strconv.FormatUint(r.lag[event.StreamDead], 10) }, Right: true},
	{Name: "Last folded", Value: func(r read) string { return output.Ago(r.folded) }, Right: true},
}
