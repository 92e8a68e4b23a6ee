package tenants

import (
	"fmt"
	"slices"
	"time"

	"midplane/event"
	"midplane/streams"
)

// About how many bytes one run of a check stores, in one copy: headers, subject and
// payload, of a device with ten interfaces. What a device really has is not known
// beforehand. Of STATE it is what stays, of METRICS what comes each time.
const (
	bytesOfRun   = 400
	bytesOfTen   = 600  // the counters of ten interfaces, in one message
	bytesOfState = 1000 // reachability, inventory, heartbeat, an interface, a check

	statesOfDevice = 3
	interfaces     = 10
)

// counting are the collectors that also read interfaces.
var counting = map[string]bool{collectorSNMP: true, "host": true}

// MetricsPerDay is about how many bytes a day the declared checks store in
// METRICS, in one copy.
func MetricsPerDay(s *Spec) Bytes {
	perSecond := 0.0
	for _, site := range s.Sites {
		for _, d := range site.Devices {
			for _, c := range d.resolvedChecks() {
				bytes := bytesOfRun
				if counting[c.Collector] {
					bytes += bytesOfTen
				}
				perSecond += float64(bytes) / max(c.Interval.Std().Seconds(), 1)
			}
		}
	}
	return Bytes(perSecond * (24 * time.Hour).Seconds())
}

// MetricsHold is for how long METRICS keeps what the declared checks send, 0 when
// they send nothing. Above a part of its space the oldest are purged.
func MetricsHold(s *Spec) time.Duration {
	perDay := float64(MetricsPerDay(s))
	if perDay == 0 {
		return 0
	}
	room := float64(s.Limits().Share(event.KindMetric)) * streams.TrimAbove / 100
	return time.Duration(room / perDay * float64(24*time.Hour))
}

// StateNeeds is about how many bytes the declared devices take in STATE, in one copy.
func StateNeeds(s *Spec) Bytes {
	states := 0
	for _, site := range s.Sites {
		for _, d := range site.Devices {
			checks := d.resolvedChecks()
			states += statesOfDevice + len(checks)
			if slices.ContainsFunc(checks, func(c Check) bool { return counting[c.Collector] }) {
				states += interfaces
			}
		}
	}
	return Bytes(states) * bytesOfState
}

// StateHolds is how much of STATE new entities may take; the rest is for updates.
func StateHolds(s *Spec) Bytes {
	return Bytes(s.Limits().Share(event.KindState)) / 100 * streams.TrimAbove
}

// Warnings names what is allowed in a tenant's file and will not do what its
// author expects, each as a sentence with what to do. What EVENTS will hold is not
// known: it depends on what happens.
func (s *Spec) Warnings() (out []string) {
	if hold, want := MetricsHold(s), s.Retention.Metrics.Std(); hold > 0 && hold < want {
		out = append(out, fmt.Sprintf("METRICS holds about %s of what these checks send (%s a day), and retention.metrics is %s: raise quota.storage to %s, use longer intervals, or shorten retention.metrics",
			showDuration(hold.Round(time.Minute)), up(MetricsPerDay(s), mebibyte).Spaced(), showDuration(want), storageFor(s, float64(want)/float64(hold))))
	}
	if need, have := StateNeeds(s), StateHolds(s); need > have {
		out = append(out, fmt.Sprintf("STATE holds about %d %% of the states of these devices, and refuses the others: raise quota.storage to %s, or declare fewer devices",
			have*100/need, storageFor(s, float64(need)/float64(have))))
	}
	return out
}

// storageFor is the quota that holds so many times as much.
func storageFor(s *Spec, times float64) string {
	return up(Bytes(float64(s.Quota.Storage)*times), gibibyte).Spaced()
}

const (
	mebibyte Bytes = 1 << 20
	gibibyte Bytes = 1 << 30
)

// up rounds up to whole units.
func up(b, unit Bytes) Bytes { return (b + unit - 1) / unit * unit }
