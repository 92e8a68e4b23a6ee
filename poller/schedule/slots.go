package schedule

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/metric"

	"midplane/event"
)

// How many checks are run at once; more wait for a place. Those whose last run
// waited in vain take at most half of the places: a site that is dead costs
// seconds for each of its checks, and must not keep the others from theirs.
const (
	maxRuns = 256
	maxSlow = maxRuns / 2
	// slowAfter is from when on a run that found nothing counts as slow, or half
	// of its timeout when that is less.
	slowAfter = time.Second
)

// slots are the places of runs.
type slots struct{ all, slow chan struct{} }

func newSlots() slots {
	return slots{make(chan struct{}, maxRuns), make(chan struct{}, maxSlow)}
}

// enter waits for a place; ok is false when ctx ends before there is one.
func (s *slots) enter(ctx context.Context, slow bool) (leave func(), ok bool) {
	if slow {
		select {
		case s.slow <- struct{}{}:
		case <-ctx.Done():
			return nil, false
		}
	}
	out := func() {
		if slow {
			<-s.slow
		}
	}
	select {
	case s.all <- struct{}{}:
		return func() { <-s.all; out() }, true
	case <-ctx.Done():
		out()
		return nil, false
	}
}

// lateness is that runs begin after more than half of their interval, and the
// first that did.
type lateness struct {
	check    event.Entity
	slow     bool
	interval time.Duration
	began    time.Time // of the lateness
	at       time.Time // of the last such run
}

// current reports whether it lasts.
func (l *lateness) current(now time.Time) bool {
	return !l.at.IsZero() && now.Sub(l.at) <= max(time.Minute, l.interval)
}

// began measures how late a run is.
func (s *Scheduler) began(ctx context.Context, j job) {
	lag := max(0, time.Since(j.due))
	s.lag.Record(ctx, lag.Seconds(), metric.WithAttributes(collectorAttr(j.target)))
	if lag <= j.interval/2 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if !s.late.current(now) || j.slow && !s.late.slow { // else the one that is named stays: the report is not another one each time
		s.late = lateness{check: j.target.Entity(), slow: j.slow, interval: j.interval, began: now}
	}
	s.late.at = now
}

// Problem is what is wrong with the schedule, "" when nothing is: a run that
// does not end, or checks that wait for a place for more than half of their
// interval.
func (s *Scheduler) Problem(now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if text := s.watchdog.problem(); text != "" {
		return text
	}
	l := &s.late
	if !l.current(now) {
		return ""
	}
	text := fmt.Sprintf("checks are late by more than half of their interval since %s, %s the first, whose interval is %s", l.began.UTC().Format(time.RFC3339), l.check, l.interval)
	if l.slow {
		return text + fmt.Sprintf("; more than %d devices that do not answer are waited for at once: lower their timeouts, or give the site another poller", maxSlow)
	}
	return text + fmt.Sprintf("; more than %d checks run at once: give the site another poller, or check less often", maxRuns)
}
