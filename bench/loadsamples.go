package main

import (
	"fmt"
	"time"
)

// outboxes is how much waits in all of them, and the age of the oldest in seconds.
func (w *loadWorld) outboxes() (depth int64, age float64, err error) {
	for _, p := range w.pollers {
		s, ok := p.last()
		if !ok {
			return 0, 0, fmt.Errorf("a poller reports nothing; its log is\n%s", p.log())
		}
		depth, age = depth+s.Depth, max(age, s.Age)
	}
	return depth, age, nil
}

// empty reports whether every poller, since the line was opened, is connected
// and has nothing waiting that is older than live data may be.
func (w *loadWorld) empty() bool {
	for _, p := range w.pollers {
		s, ok := p.last()
		if !ok || !s.Connected || s.At.Before(w.when.opened) || s.Age >= liveWithin {
			return false
		}
	}
	return true
}

// busy is how many processors the pollers use.
func (w *loadWorld) busy(from, to time.Time) (n float64) {
	for _, p := range w.pollers {
		a, b := p.at(from), p.at(to)
		n += (b.CPU - a.CPU) / max(b.At.Sub(a.At).Seconds(), 1)
	}
	return n
}

// judgeLag judges how late runs began between two moments.
func (w *loadWorld) judgeLag(f *loadFloors, from, to time.Time) {
	limit := lagPart * w.size.interval.Seconds()
	floor := fmt.Sprintf("p99 < %.2f s, %.0f %% of the interval", limit, 100*lagPart)
	var all lag
	var skipped int64
	for _, p := range w.pollers {
		a, b := p.at(from), p.at(to)
		skipped += b.Skipped - a.Skipped
		if b.Lag == nil {
			f.judge(false, "schedule lag", floor, "not known: the poller has no metric %s (%d runs skipped)", lagMetric, skipped)
			return
		}
		all.add(b.Lag, 1)
		if a.Lag != nil {
			all.add(a.Lag, -1)
		}
		all.Max = max(all.Max, b.Lag.Max)
	}
	p99 := all.percentile(99)
	f.judge(p99 < limit && skipped == 0, "schedule lag", floor, "p50 ≤ %.2f s, p99 ≤ %.2f s, since the start at most %.2f s; %d runs skipped",
		all.percentile(50), p99, all.Max, skipped)
}

// add adds another histogram of the same bounds, or takes it away.
func (l *lag) add(other *lag, sign int) {
	l.Bounds = other.Bounds
	if l.Counts == nil {
		l.Counts = make([]uint64, len(other.Counts))
	}
	for i, n := range other.Counts {
		l.Counts[i] += uint64(sign) * n // wraps back
	}
}

// percentile is the upper bound of the bucket that percentile p is in.
func (l *lag) percentile(p float64) float64 {
	var total, seen uint64
	for _, n := range l.Counts {
		total += n
	}
	for i, n := range l.Counts {
		seen += n
		if i < len(l.Bounds) && float64(seen) >= p/100*float64(total) {
			return l.Bounds[i]
		}
	}
	return l.Max
}
