package schedule

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/poller/collect"
)

// What a check gets when its configuration leaves it out, and the shortest
// interval that is kept: below it a slip of the pen would be an attack.
const (
	defaultInterval = time.Minute
	defaultTimeout  = 10 * time.Second
	minInterval     = 100 * time.Millisecond
)

// check is one check as the scheduler runs it.
type check struct {
	target   collect.Target
	interval time.Duration
}

// sameTarget reports whether both look at the same thing in the same way.
func (c check) sameTarget(d check) bool { return reflect.DeepEqual(c.target, d.target) }

// checksOf turns a configuration into checks by entity. A check that cannot be
// run is left out and named; the rest works on.
func checksOf(cfg api.PollerConfig) (map[event.Entity]check, []string) {
	out := map[event.Entity]check{}
	var problems []string
	for _, d := range cfg.Devices {
		owner := decider(d)
		for i, pc := range d.Checks {
			c := check{interval: interval(pc), target: collect.Target{
				Device: d.ID, Name: d.Name, Address: d.Address,
				Check: pc.Name, Collector: pc.Collector, Timeout: timeout(pc),
				Params: maps.Clone(pc.Params), SNMP: d.SNMP,
			}}
			entity := c.target.Entity()
			if _, twice := out[entity]; twice {
				problems = append(problems, fmt.Sprintf("%s is there twice", entity))
				continue
			}
			if err := event.CheckEntity(entity); err != nil || pc.Name == "" || d.ID == "" {
				problems = append(problems, fmt.Sprintf("%q has no valid id", string(entity)))
				continue
			}
			if c.target.Params == nil {
				c.target.Params = map[string]string{}
			}
			c.target.Params[collect.ParamReachability] = strconv.FormatBool(i == owner)
			out[entity] = c
		}
	}
	return out, problems
}

func interval(pc api.PollerCheck) time.Duration {
	if pc.Interval <= 0 {
		return defaultInterval
	}
	return max(pc.Interval.Std(), minInterval)
}

func timeout(pc api.PollerCheck) time.Duration {
	if pc.Timeout <= 0 {
		return defaultTimeout
	}
	return pc.Timeout.Std()
}

// decider returns the index of the one check that decides whether d is up, or
// -1. The node has decided and marked it. Two would contradict each other: the
// same entity would change between "up by ping" and "down by tcp" with every run.
func decider(d api.PollerDevice) int {
	for i, pc := range d.Checks {
		if pc.Params[collect.ParamReachability] == "true" {
			return i
		}
	}
	return deciderWithoutMarks(d)
}

// deciderWithoutMarks decides about a device that a node of v0.1.0 configured
// without a mark, as the poller of that version does: of the checks that are not
// forbidden the first of the collector that knows best. A node that marks says
// "false" of every check that does not decide, so that nothing is left here.
// Collectors that v0.1.0 does not have need no place in the list.
func deciderWithoutMarks(d api.PollerDevice) int {
	order := []string{"ping", "host", "snmp", "tcp", "http"}
	best, bestRank := -1, len(order)
	for i, pc := range d.Checks {
		rank := slices.Index(order, pc.Collector)
		if rank >= 0 && rank < bestRank && pc.Params[collect.ParamReachability] != "false" {
			best, bestRank = i, rank
		}
	}
	return best
}
