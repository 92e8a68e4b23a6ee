package schedule

import (
	"context"
	"errors"
	"time"

	"midplane/event"
	"midplane/fault"
	"midplane/internal/spread"
)

const (
	// gatherEvery is how often the ends of runs go out. What comes together is
	// committed once here, and again once on every disk on its way: a page that is
	// written and synced for one message costs as much as for all that fit into it.
	gatherEvery = time.Second
	// maxGathered is how many messages go into the outbox at once.
	maxGathered = 256
	// lastWithin is how long the last ends may take when the scheduler stops.
	lastWithin = time.Second
)

// gather sends out what ends runs, all of a second together, until ctx ends.
// Until then it is in memory only: a poller that is killed loses a second of
// samples that nobody was promised.
func (s *Scheduler) gather(ctx context.Context) {
	phase := spread.Phase(string(s.poller), gatherEvery)
	for {
		timer := time.NewTimer(time.Until(spread.Next(time.Now(), phase, gatherEvery)))
		select {
		case <-ctx.Done():
			timer.Stop()
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWithin)
			defer cancel()
			s.sendEnds(ctx, s.takeEnds())
			return
		case <-timer.C:
		}
		s.sendEnds(ctx, s.takeEnds())
	}
}

// end keeps a run until the ends of runs go out.
func (s *Scheduler) end(r Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends = append(s.ends, r)
}

// takeEnds returns the runs that have ended, without those of checks that the
// configuration no longer has.
func (s *Scheduler) takeEnds() []Run {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Run
	for _, r := range s.ends {
		if s.tasks[r.Target.Entity()] != nil {
			out = append(out, r)
		}
	}
	s.ends = nil
	return out
}

// sendEnds emits what ends runs. A metric that is refused costs no other and no
// heartbeat.
func (s *Scheduler) sendEnds(ctx context.Context, runs []Run) {
	if len(runs) == 0 {
		return
	}
	var errs []error
	last := s.summary.Of(runs...)
	for len(last) > 0 {
		now := last[:min(maxGathered, len(last))]
		last = last[len(now):]
		err := s.emit(ctx, now...)
		if fault.Is(err, fault.Invalid) {
			err = s.emitEach(ctx, now)
		}
		errs = append(errs, err)
	}
	s.noteEnds(errors.Join(errs...))
}

// emitEach emits messages one by one.
func (s *Scheduler) emitEach(ctx context.Context, es []event.Event) error {
	var errs []error
	for _, e := range es {
		if err := s.emit(ctx, e); err != nil {
			errs = append(errs, fault.Wrap(fault.Other, err, "%s of %s", e.Type, e.Entity))
		}
	}
	return errors.Join(errs...)
}

// noteEnds logs that ends of runs cannot be kept, once until it is over.
func (s *Scheduler) noteEnds(err error) {
	was := s.endsFail
	s.endsFail = err != nil
	switch {
	case err != nil && !was:
		s.tel.Log.Warn("heartbeats and metrics of runs cannot be kept", "error", err)
	case err == nil && was:
		s.tel.Log.Info("heartbeats and metrics of runs are kept again")
	}
}
