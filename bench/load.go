package main

import (
	"context"
	"flag"
	"fmt"
	"time"
)

// loadSize is how much load there is. The same number of messages for every
// second of an interval comes of both forms.
type loadSize struct {
	devices    int // with an SNMP agent each
	interfaces int // of each
	checks     int // of TCP ports
	perDevice  int // TCP checks of one device
	pollers    int
	interval   time.Duration
	outage     time.Duration
	outbox     int64 // bytes; 0: what a poller has by default
}

// flags registers what scales the load; 0 is the size of the chosen form.
func (s *loadSize) flags() {
	flag.IntVar(&s.devices, "load-devices", 0, "load: SNMP devices (500; short 100)")
	flag.IntVar(&s.interfaces, "load-interfaces", 0, "load: interfaces of each (10)")
	flag.IntVar(&s.checks, "load-checks", 0, "load: TCP checks (5000; short 500)")
	flag.IntVar(&s.pollers, "load-pollers", 0, "load: pollers (1)")
	flag.DurationVar(&s.interval, "load-interval", 0, "load: interval of every check (60s; short 10s)")
	flag.DurationVar(&s.outage, "load-outage", 0, "load: how long pollers and nodes are apart (10m; short 40s)")
	flag.Int64Var(&s.outbox, "load-outbox-bytes", 0, "load: bytes of each outbox (the poller's default)")
}

// filled is s with the sizes of the form where it has none.
func (s loadSize) filled(short bool) loadSize {
	form := loadSize{devices: 500, interfaces: 10, checks: 5000, perDevice: 5, pollers: 1, interval: time.Minute, outage: 10 * time.Minute}
	if short {
		form = loadSize{devices: 100, interfaces: 10, checks: 500, perDevice: 5, pollers: 1, interval: 10 * time.Second, outage: 40 * time.Second}
	}
	for _, f := range []struct{ from, into *int }{{&s.devices, &form.devices}, {&s.interfaces, &form.interfaces}, {&s.checks, &form.checks}, {&s.pollers, &form.pollers}} {
		if *f.from > 0 {
			*f.into = *f.from
		}
	}
	if s.interval > 0 {
		form.interval = s.interval
	}
	if s.outage > 0 {
		form.outage = s.outage
	}
	form.outbox = s.outbox
	return form
}

func (s loadSize) tcpDevices() int { return (s.checks + s.perDevice - 1) / s.perDevice }
func (s loadSize) allDevices() int { return s.devices + s.tcpDevices() }
func (s loadSize) allChecks() int  { return s.devices + s.checks }

// The floors, as parts of an interval or of the outage: those of 60 s and 10
// minutes hold for every size.

// seenWithin is how soon after the first start everything has to be seen.
func (s loadSize) seenWithin() time.Duration { return max(s.interval*3/2, 20*time.Second) }

// settled is after how long no refusal is excused.
func (s loadSize) settled() time.Duration { return s.interval / 2 }

// drainWithin is how soon after an outage the outboxes have to be empty.
func (s loadSize) drainWithin() time.Duration { return max(s.outage*3/10, 15*time.Second) }

const (
	liveWithin = 5.0  // seconds, p99 of live data after an outage
	lagPart    = 0.05 // of an interval, p99
	peakFactor = 1.5  // busiest second ÷ average
)

// loadFloors are the verdicts of one run, printed as they fall: the whole takes
// twenty minutes.
type loadFloors struct{ reached, missed int }

func (f *loadFloors) note(format string, args ...any) { fmt.Printf("   "+format+"\n", args...) }

// judge prints a floor with its figure.
func (f *loadFloors) judge(ok bool, what, floor, format string, args ...any) {
	state := "reached"
	if ok {
		f.reached++
	} else {
		state = "MISSED "
		f.missed++
	}
	f.note("%s  %s: %s; floor: %s", state, what, fmt.Sprintf(format, args...), floor)
}

// tell prints a figure beside a floor that this run does not decide.
func (f *loadFloors) tell(_ bool, what, floor, format string, args ...any) {
	f.note("figure   %s: %s; floor of the long form: %s", what, fmt.Sprintf(format, args...), floor)
}

// whole rounds d for a floor's text: 90s rather than 1m30s.
func whole(d time.Duration) string { return fmt.Sprintf("%.0f s", d.Seconds()) }

// loadRun measures pollers under load on default quotas: a start, steady work,
// and an outage of the line between pollers and nodes.
func loadRun(ctx context.Context, o options) (result, error) {
	size := o.load.filled(o.short)
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute+3*size.outage)
	defer cancel()
	w, err := newLoadWorld(ctx, size)
	if err != nil {
		return result{}, err
	}
	defer w.close()
	var f loadFloors
	f.note("%d SNMP devices of %d interfaces, %d TCP checks on %d devices, every %s, %d poller(s)",
		size.devices, size.interfaces, size.checks, size.tcpDevices(), size.interval, size.pollers)
	f.note("raw limits: a producer %d messages/s, the tenant %d, of it a third at each node", w.quota.ProducerMessageRate, w.quota.MessageRate)
	for _, phase := range []func(context.Context, *loadFloors) error{w.start, w.steady, w.apart, w.accounts} {
		if err := phase(ctx, &f); err != nil {
			return result{}, err
		}
	}
	return result{floor: "all of its floors", got: fmt.Sprintf("%d of %d floors reached", f.reached, f.reached+f.missed), ok: f.missed == 0}, nil
}
