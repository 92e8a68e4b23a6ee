package snmp

import (
	"time"

	"github.com/gosnmp/gosnmp"

	"midplane/event"
	"midplane/fault"
)

// The scalars of SNMPv2-MIB, HOST-RESOURCES-MIB and SNMP-FRAMEWORK-MIB.
const (
	sysDescr       = ".1.3.6.1.2.1.1.1.0"
	sysObjectID    = ".1.3.6.1.2.1.1.2.0"
	sysUpTime      = ".1.3.6.1.2.1.1.3.0"
	sysContact     = ".1.3.6.1.2.1.1.4.0"
	sysName        = ".1.3.6.1.2.1.1.5.0"
	sysLocation    = ".1.3.6.1.2.1.1.6.0"
	hrSystemUptime = ".1.3.6.1.2.1.25.1.1.0"
	snmpEngineTime = ".1.3.6.1.6.3.10.2.1.3.0"
)

// system is what the agent says of the device as a whole.
type system map[string]gosnmp.SnmpPDU

// system asks for all of it at once. An agent that refuses the whole request
// for one missing value (as v1 agents behind a proxy do) is asked for the
// system group alone.
func (s *session) system() (system, error) {
	group := []string{sysDescr, sysObjectID, sysUpTime, sysContact, sysName, sysLocation}
	values, err := s.get(append(group, hrSystemUptime, snmpEngineTime)...)
	if _, refuses := err.(agentError); refuses {
		values, err = s.get(group...)
	}
	if err == nil && len(values) == 0 {
		err = fault.New(fault.NotFound, "the agent shows no system group: may this community or user see it?")
	}
	return values, err
}

func (s system) inventory(device event.Entity, now time.Time) event.Inventory {
	v := event.Inventory{
		Device: device, Name: text(s[sysName]), Description: text(s[sysDescr]),
		ObjectID: text(s[sysObjectID]), Contact: text(s[sysContact]), Location: text(s[sysLocation]),
	}
	up := uptime{now: now}
	up.sys, up.hasSys = number(s[sysUpTime])
	up.host, up.hasHost = number(s[hrSystemUptime])
	up.engine, up.hasEngine = number(s[snmpEngineTime])
	if at, ok := up.boot(); ok {
		v.BootTime = &at
	}
	return v
}

// uptime is what is known of how long a device runs. Ticks are hundredths of a
// second in 32 bits: they begin again after 497 days.
type uptime struct {
	now                        time.Time
	sys, host                  uint64 // ticks since the agent, since the host began
	engine                     uint64 // seconds since the agent began
	hasSys, hasHost, hasEngine bool
}

const (
	wrap = 1 << 32 // ticks
	// maxEngine is the largest snmpEngineTime in seconds, an INTEGER.
	maxEngine = 1<<31 - 1
	// slack is how far ticks and engine time of one agent may be apart, in
	// ticks: they are started one after the other.
	slack = 10 * 60 * 100
)

// boot returns when the device began to run, to the second. It wanders by
// seconds from run to run (two clocks and a network are between it and the
// truth); package change tolerates a minute. The host's uptime counts before
// the agent's, since an agent that restarts is no device that restarts. Where
// the agent tells its engine time, which counts for 68 years, a wrap of the
// ticks is undone.
//
// The agent chooses all three numbers. One outside its range counts as missing,
// and so does an uptime of zero: it is true for a hundredth of a second, and
// agents that do not know their host's uptime send it for ever.
func (u uptime) boot() (time.Time, bool) {
	sys, hasSys := u.sys, u.hasSys && 0 < u.sys && u.sys < wrap
	host, hasHost := u.host, u.hasHost && 0 < u.host && u.host < wrap
	var ticks uint64
	switch {
	case hasHost:
		ticks = host
	case hasSys:
		ticks = sys
	default:
		return time.Time{}, false
	}
	// Engine time is believed when it says the same as the agent's ticks.
	if u.hasEngine && u.engine <= maxEngine && hasSys {
		if engine := u.engine * 100; near(engine%wrap, sys) && engine > ticks+slack {
			behind := engine - slack - ticks
			ticks += (behind + wrap - 1) / wrap * wrap // whole wraps, rounded up
		}
	}
	// At most 69 years: far below the 292 that a duration holds.
	return u.now.Add(-time.Duration(ticks) * 10 * time.Millisecond).UTC().Truncate(time.Second), true
}

// near compares two tick counters on their circle.
func near(a, b uint64) bool {
	d := (a - b) % wrap
	return d < slack || d > wrap-slack
}
