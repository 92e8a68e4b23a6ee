package tenants

import (
	"fmt"
	"time"

	"midplane/event"
	"midplane/streams"
)

// About how many bytes of metrics one run of a check stores, in one copy: headers,
// subject and payload, of a device with ten interfaces. What a device really has
// is not known beforehand.
const (
	bytesOfRun = 600
	bytesOfTen = 1300 // the counters of ten interfaces, in one message
)

// counting are the collectors that also read interfaces.
var counting = map[string]bool{collectorSNMP: true, "host": true}

// MetricsPerDay is about how many bytes a day the declared checks store in
// METRICS, in one copy.
func (s *Spec) MetricsPerDay() Bytes {
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
func (s *Spec) MetricsHold() time.Duration {
	perDay := float64(s.MetricsPerDay())
	if perDay == 0 {
		return 0
	}
	room := float64(s.Limits().Share(event.KindMetric)) * streams.TrimAbove / 100
	return time.Duration(room / perDay * float64(24*time.Hour))
}

// Warnings names what is allowed in a tenant's file and will not do what its
// author expects, each as a sentence with what to do.
func (s *Spec) Warnings() []string {
	hold, want := s.MetricsHold(), s.Retention.Metrics.Std()
	if hold == 0 || hold >= want {
		return nil
	}
	need := Bytes(float64(s.Quota.Storage) * float64(want) / float64(hold))
	return []string{fmt.Sprintf("METRICS holds about %s of what these checks send (%s a day), and retention.metrics is %s: raise quota.storage to %s, use longer intervals, or shorten retention.metrics",
		showDuration(hold.Round(time.Minute)), up(s.MetricsPerDay(), mebibyte).Spaced(), showDuration(want), up(need, gibibyte).Spaced())}
}

const (
	mebibyte Bytes = 1 << 20
	gibibyte Bytes = 1 << 30
)

// up rounds up to whole units.
func up(b, unit Bytes) Bytes { return (b + unit - 1) / unit * unit }
