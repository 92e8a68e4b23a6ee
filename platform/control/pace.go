package control

import "time"

// Pace is how often the control plane looks at the world, and how long it waits
// before it takes a primary or poller for gone. A field that is 0 takes its default;
// only tests change any.
type Pace struct {
	Check         time.Duration // a settled tenant is compared with the world: 1 minute
	Trim          time.Duration // streams' sizes are looked at: 10 seconds
	Age           time.Duration // and their age: 1 minute
	Duplicates    time.Duration // nothing younger is trimmed: each stream's own duplicate window and a little more
	Settled       time.Duration // a poller is done with a message for so long before its id may be forgotten: 1 minute
	PrimarySilent time.Duration // 1 minute
	PollerSilent  time.Duration // 30 seconds
	// Life is how long the JWT of a user lives that renews it: 24 hours.
	Life time.Duration
	// Drift is how often an account is compared with what it was planned to be:
	// 1 minute; below 0: never, for tests that sign roles of their own.
	Drift  time.Duration
	Canary time.Duration // isolation is proven: 1 minute
	// Compare is how often the nodes' replicas of streams are compared: 30 seconds.
	Compare time.Duration
	// Probe is how often each node tries its own door: 5 seconds; below 0: never.
	Probe time.Duration
	// Overlap is how long a replaced key of the system's own users still holds
	// after every live node has moved: 15 seconds.
	Overlap time.Duration
}

func (p Pace) withDefaults() Pace {
	for _, f := range []struct {
		field *time.Duration
		def   time.Duration
	}{
		{&p.Check, time.Minute},
		{&p.Trim, 10 * time.Second},
		{&p.Age, time.Minute},
		{&p.PrimarySilent, time.Minute},
		// A poller reports every 10 seconds at least, and so often reports are stored.
		{&p.PollerSilent, 30 * time.Second},
		{&p.Life, 24 * time.Hour},
		{&p.Drift, time.Minute},
		{&p.Canary, time.Minute},
		{&p.Compare, 30 * time.Second},
		{&p.Probe, 5 * time.Second},
		{&p.Overlap, 15 * time.Second},
	} {
		if *f.field == 0 || *f.field < 0 && f.field != &p.Drift && f.field != &p.Probe {
			*f.field = f.def
		}
	}
	return p
}
