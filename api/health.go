package api

import (
	"fmt"
	"slices"
	"strings"
)

// BehindMany is how many messages behind in a stream a primary must be for that
// to be a problem: fewer are a second or two of a busy tenant.
const BehindMany = 50_000

// Facts are the answers to one question for the status: the control plane's and
// the primary's.
type Facts struct {
	Cluster        *ClusterStatus // nil: no control plane answers
	ClusterTrouble string         // why none answers
	Primary        *PrimaryReport // nil: no primary answers
	PrimaryTrouble string         // why none answers, "" when there is simply none
}

// Health returns everything that is wrong, root causes first. The command line,
// the HTTP API and the page show what it returns and decide nothing. It is pure.
func Health(f Facts) []Problem {
	out := []Problem{}
	alone := false
	if f.Cluster != nil {
		out = append(out, clusterHealth(f.Cluster)...)
		alone = lonely(out)
	} else {
		out = append(out, wrong(CodeClusterSilent, "", "", "", "no control plane answers%s", because(f.ClusterTrouble)))
	}
	switch {
	case f.Primary != nil:
		out = append(out, primaryHealth(f.Primary)...)
	case alone: // primaries are with the nodes that have a quorum
	default:
		out = append(out, wrong(CodePrimaryMissing, "", "", "", "no primary answers: nothing is read, `get devices` and `get events` fail%s", because(f.PrimaryTrouble)))
	}
	FindCauses(out)
	return out
}

func because(trouble string) string {
	if trouble == "" {
		return ""
	}
	return " (" + trouble + ")"
}

// clusterHealth is what a node found (ClusterFacts.Problems), and problems that
// show in the rest of its answer, which an older node may not have named.
func clusterHealth(c *ClusterStatus) []Problem {
	var out []Problem
	for _, p := range c.Problems {
		out = append(out, p.named())
	}
	for _, n := range c.Nodes {
		if !n.Live && !has(out, CodeNodeDown, n.ID) && !lonely(out) {
			out = append(out, nodeDown(n))
		}
	}
	if c.Leader == "" && !lonely(out) {
		out = append(out, wrong(CodeNoLeader, "", "", "", "the control plane has no leader"))
	}
	return out
}

// lonely reports whether the node that answered has no quorum. What such a node
// remembers of the other nodes does not count.
func lonely(list []Problem) bool {
	for _, p := range list {
		if p.Code == CodeNoQuorum {
			return true
		}
	}
	return false
}

func primaryHealth(r *PrimaryReport) (out []Problem) {
	for _, t := range r.Tenants {
		switch {
		case t.Problem != "":
			out = append(out, wrong(CodePrimaryProblem, t.Tenant, r.Name, "see the log of primary "+r.Name, "primary %s: %s", r.Name, t.Problem))
		case !t.Reading && !t.waits():
			out = append(out, wrong(CodePrimaryNotReading, t.Tenant, r.Name, "it begins within seconds; if not, see the log of primary "+r.Name, "primary %s does not read this tenant", r.Name))
		}
		for _, s := range t.Streams {
			if w := s.Waiting; w != nil {
				out = append(out, wrong(CodePrimaryWaits, t.Tenant, s.Stream, "", "primary %s waits before sequence %d to %d of %s: %s", r.Name, w.From, w.To, s.Stream, w.Why))
			}
			if s.Lag >= BehindMany {
				out = append(out, wrong(CodePrimaryBehind, t.Tenant, s.Stream, "", "primary %s is %d messages behind in %s", r.Name, s.Lag, s.Stream))
			}
		}
		for _, s := range t.Sites {
			out = append(out, siteHealth(t.Tenant, s)...)
		}
	}
	for _, name := range r.Aside {
		out = append(out, wrong(CodePrimaryRebuilt, "", r.Name, "", "primary %s: its database was damaged and is %s now; everything that the streams keep is read again", r.Name, name))
	}
	for _, a := range r.Alarms {
		out = append(out, wrong(CodePrimaryAlarm, "", strings.Trim(a.Alarm+" "+a.Stream, " "), a.Hint,
			"%s: %s", strings.Trim(a.Source+" "+a.Stream+" "+a.Alarm, " "), a.Message))
	}
	return out
}

// waits reports whether reading one of the tenant's streams stands before a hole.
func (t TenantReport) waits() bool {
	return slices.ContainsFunc(t.Streams, func(s StreamReport) bool { return s.Waiting != nil })
}

// siteHealth returns what is wrong in the network of one site: one problem of
// each kind, for however many devices.
func siteHealth(tenant string, s SiteReport) (out []Problem) {
	for _, x := range []struct {
		code            Code
		found           Found
		one, many, look string
	}{
		{CodeDevicesDown, s.Down, "device is down", "devices are down", "devices"},
		{CodeChecksCritical, s.Critical, "check is critical", "checks are critical", "checks"},
		{CodeChecksWarning, s.Warning, "check warns", "checks warn", "checks"},
	} {
		if x.found.Count == 0 {
			continue
		}
		what := x.many
		if x.found.Count == 1 {
			what = x.one
		}
		out = append(out, wrong(x.code, tenant, s.Site, fmt.Sprintf("midplane get %s --tenant %s", x.look, tenant),
			"site %s: %d %s: %s", s.Site, x.found.Count, what, x.found.list()))
	}
	return out
}

// list returns the first names, and how many more there are.
func (f Found) list() string {
	out := strings.Join(f.Names, ", ")
	if more := f.Count - len(f.Names); more > 0 {
		out += fmt.Sprintf(" and %d more", more)
	}
	return out
}
