package tenants

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"midplane/api"
)

// paramReachability is the parameter of a check that says whether it decides if
// its device is up. A file says it where the order is not what is wanted; a
// poller is given it with every check.
const paramReachability = "reachability"

// bestJudges are the collectors that know best whether a device is up, the best
// first. Every other collector comes after them, in the order of the file: a
// new one needs no place here.
var bestJudges = []string{"ping", "host", "snmp", "tcp", "http"}

// decider returns the index of the one check that decides whether its device is
// up, or -1: the first that is marked, else the first of the order that is not
// forbidden. Two would contradict each other with every run.
func decider(checks []Check) int {
	best, bestRank := -1, 0
	for i, c := range checks {
		says := c.Params[paramReachability]
		if says == "true" {
			return i
		}
		rank := slices.Index(bestJudges, c.Collector)
		if rank < 0 {
			rank = len(bestJudges)
		}
		if says != "false" && (best < 0 || rank < bestRank) {
			best, bestRank = i, rank
		}
	}
	return best
}

// mark returns the checks with the decision on every one of them, so that a
// poller has nothing to decide. The checks that are given stay as they are.
func mark(checks []Check) []Check {
	owner := decider(checks)
	out := slices.Clone(checks)
	for i := range out {
		params := maps.Clone(out[i].Params)
		if params == nil {
			params = map[string]string{}
		}
		params[paramReachability] = strconv.FormatBool(i == owner)
		out[i].Params = params
	}
	return out
}

// Names of the collectors that the default checks use.
const (
	collectorPing = "ping"
	collectorSNMP = "snmp"
)

// resolvedChecks returns the device's checks, or the default ones, with the
// decision on them.
func (d Device) resolvedChecks() []Check {
	if len(d.Checks) > 0 {
		return mark(d.Checks)
	}
	checks := []Check{{Name: collectorPing, Collector: collectorPing, Interval: api.Duration(DefaultInterval), Timeout: api.Duration(DefaultTimeout)}}
	if d.SNMP != nil {
		checks = append(checks, Check{Name: collectorSNMP, Collector: collectorSNMP, Interval: api.Duration(DefaultSNMPInterval), Timeout: api.Duration(DefaultTimeout)})
	}
	return mark(checks)
}

// deciders checks what a file says about the decision: at most one check of a
// device is marked, and a mark is a word that counts. A spec that is stored
// already is left alone: older versions took it, and the first mark counts.
func (c siteChecker) deciders(device string, d Device) {
	if c.opt.Stored {
		return
	}
	first := ""
	for i, k := range d.Checks {
		path := fmt.Sprintf("%s.checks[%d].params.%s", device, i, paramReachability)
		switch k.Params[paramReachability] {
		case "", "false":
		case "true":
			if first != "" {
				c.add(path, fmt.Sprintf("leave it with one of them; without any the order decides: %s, then the file's", strings.Join(bestJudges, ", ")),
					"two checks decide whether device %q is up: %q and %q", clip(string(d.ID)), clip(first), clip(k.Name))
			} else {
				first = k.Name
			}
		default:
			c.add(path, `write "true" or "false"`, "%s is neither true nor false", paramReachability)
		}
	}
}
