package schedule

import (
	"container/heap"
	"maps"
	"slices"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/internal/spread"
)

const (
	// soonWithin is within how long a check that has no result yet is run first,
	// soonEvery how far apart such runs are when there are few: one is run at
	// once, and thousands do not begin together.
	soonWithin = 30 * time.Second
	soonEvery  = 20 * time.Millisecond
)

// Apply replaces the set of checks in place. A check that is in both sets as
// it was keeps its phase; one with another interval moves to its place in that;
// one that has no result yet, or looks elsewhere now, is run soon; and one that
// is gone is stopped, its run under way included. A configuration that says
// Unchanged changes nothing.
func (s *Scheduler) Apply(cfg api.PollerConfig) {
	if cfg.Unchanged {
		return
	}
	want, problems := checksOf(cfg)
	for _, p := range problems {
		s.tel.Log.Warn("a check of the configuration is left out", "problem", p)
	}
	known := s.results(want)
	now := time.Now()
	s.mu.Lock()
	for entity, t := range s.tasks {
		if _, keep := want[entity]; !keep {
			s.remove(t)
		}
	}
	var soon []*task
	for _, entity := range slices.Sorted(maps.Keys(want)) { // in order: places are stable
		c := want[entity]
		t := s.tasks[entity]
		isNew := t == nil
		if isNew {
			t = s.add(c, now)
		}
		if isNew && !known[entity] || !isNew && s.change(t, c, now) {
			soon = append(soon, t)
		}
	}
	for i, t := range soon {
		step := min(soonEvery, min(t.interval, soonWithin)/time.Duration(len(soon)))
		s.soon(t, now.Add(time.Duration(i)*step))
	}
	s.mu.Unlock()
	s.nudge()
}

// results returns the checks that have a result in the outbox, when there are
// any that are new here.
func (s *Scheduler) results(want map[event.Entity]check) map[event.Entity]bool {
	s.mu.Lock()
	isNew := false
	for entity := range want {
		isNew = isNew || s.tasks[entity] == nil
	}
	s.mu.Unlock()
	if s.known == nil || !isNew {
		return nil
	}
	known, err := s.known()
	if err != nil {
		s.tel.Log.Warn("cannot tell which checks have a result; all new ones are run soon", "error", err)
	}
	return known
}

func (s *Scheduler) add(c check, now time.Time) *task {
	entity := c.target.Entity()
	t := &task{check: c, phase: s.phases.Place(string(entity), c.interval), stuck: s.watchdog.leftOf(c.target)}
	t.planned = spread.Next(now, t.phase, c.interval)
	t.due = t.planned
	s.tasks[entity] = t
	heap.Push(&s.queue, t)
	return t
}

// soon has a task run at a time before its own. Afterwards it is at its place,
// unless that comes so soon that it would be run twice.
func (s *Scheduler) soon(t *task, at time.Time) {
	t.due = at
	if t.planned.Sub(at) < t.interval/4 {
		t.planned = t.planned.Add(t.interval)
	}
	heap.Fix(&s.queue, t.index)
}

func (s *Scheduler) remove(t *task) {
	delete(s.tasks, t.target.Entity())
	s.phases.Remove(t.phase, t.interval)
	heap.Remove(&s.queue, t.index)
	if t.cancel != nil {
		t.cancel()
	}
}

// change makes t the check c, and reports whether it is to be run soon.
func (s *Scheduler) change(t *task, c check, now time.Time) (soon bool) {
	looksElsewhere := !t.sameTarget(c)
	if t.interval != c.interval {
		s.phases.Remove(t.phase, t.interval)
		t.phase = s.phases.Place(string(c.target.Entity()), c.interval)
		soonAt, isSoon := t.due, t.due.Before(t.planned)
		t.planned = spread.Next(now, t.phase, c.interval)
		if t.due = t.planned; isSoon && soonAt.Before(t.due) {
			t.due = soonAt // it still waits for its first result
		}
		heap.Fix(&s.queue, t.index)
	}
	t.check = c
	if !looksElsewhere {
		return false
	}
	t.slow, t.stuck = false, nil // what was found there is no longer true
	if t.cancel != nil {
		t.cancel()
		t.again = true
		return false
	}
	return true
}
