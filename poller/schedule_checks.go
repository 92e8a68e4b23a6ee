package poller

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
		owner := reachabilityOwner(d)
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
			if slices.Contains(byPreference, pc.Collector) {
				if c.target.Params == nil {
					c.target.Params = map[string]string{}
				}
				c.target.Params[collect.ParamReachability] = strconv.FormatBool(i == owner)
			}
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

// byPreference lists the collectors that can tell whether a device is up, the
// one that knows best first.
var byPreference = []string{"ping", "host", "snmp", "tcp", "http"}

// reachabilityOwner returns the index of the one check that decides whether d
// is up, or -1: the first that the configuration marks, else the first of the
// best collector that it does not forbid. Two would fight: the same entity
// would change between "up by ping" and "up by snmp" with every run.
func reachabilityOwner(d api.PollerDevice) int {
	best, rank := -1, len(byPreference)
	for i, pc := range d.Checks {
		r := slices.Index(byPreference, pc.Collector)
		switch {
		case r < 0 || pc.Params[collect.ParamReachability] == "false":
		case pc.Params[collect.ParamReachability] == "true":
			return i
		case r < rank:
			best, rank = i, r
		}
	}
	return best
}
