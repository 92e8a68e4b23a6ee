package poller

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"midplane/api"
	"midplane/event"
	"midplane/poller/collect"
	"midplane/telemetry"
)

const (
	// maxRuns is how many checks are run at once; more wait for a place.
	maxRuns = 64
	// firstSpread is within how long the first runs of new checks begin.
	firstSpread = time.Second
	// jitter is the part of its interval by which a run may be early or late,
	// so that checks which began together do not stay together.
	jitter = 0.1
	// grace is how much longer than its timeout a run may take: it is for
	// emitting what was found when the timeout was reached.
	grace = 5 * time.Second
)

// scheduler runs every check of a configuration at its interval, each check
// never twice at once. One goroutine (Run) keeps the time; each run has one of
// its own.
type scheduler struct {
	collectors map[string]collect.Collector
	emit       collect.Emit
	tel        telemetry.Telemetry
	secrets    func(name string) (string, error) // of "secret:NAME"; nil: there are none
	duration   metric.Float64Histogram
	skips      metric.Int64Counter

	slots chan struct{} // maxRuns places
	wake  chan struct{} // the earliest due time may have changed
	runs  sync.WaitGroup

	mu    sync.Mutex
	tasks map[event.Entity]*task // by the check's entity
	queue dueQueue
}

// task is one check and when it is due. All fields are the scheduler's mutex's.
type task struct {
	check
	planned time.Time // on the check's own grid, without jitter
	due     time.Time
	began   time.Time // of the last run that was started
	index   int       // in the queue, -1 when removed

	cancel context.CancelFunc // of the run under way, nil when there is none
	again  bool               // run once more as soon as that one has ended
	told   string             // the last problem that was logged
}

// newScheduler returns a scheduler without checks. Apply gives it some.
func newScheduler(collectors map[string]collect.Collector, emit collect.Emit, tel telemetry.Telemetry) *scheduler {
	// An instrument that cannot be made comes as one that does nothing, and
	// the names are constants: there is nothing to do about an error.
	duration, _ := tel.Meter.Float64Histogram(telemetry.MetricCollect, metric.WithUnit("s"),
		metric.WithDescription("How long one run of a check took."))
	skips, _ := tel.Meter.Int64Counter(telemetry.MetricCollectSkipped,
		metric.WithDescription("Runs left out because the one before was still under way."))
	return &scheduler{
		collectors: collectors, emit: emit, tel: tel, duration: duration, skips: skips,
		slots: make(chan struct{}, maxRuns), wake: make(chan struct{}, 1),
		tasks: map[event.Entity]*task{},
	}
}

// Apply replaces the set of checks in place. A check that is in both sets as
// it was keeps its phase; another interval counts from the last run; a check
// that is otherwise changed is run again at once, and one that is gone is
// stopped, its run under way included. A configuration that says Unchanged
// changes nothing.
func (s *scheduler) Apply(cfg api.PollerConfig) {
	if cfg.Unchanged {
		return
	}
	want, problems := checksOf(cfg)
	for _, p := range problems {
		s.tel.Log.Warn("a check of the configuration is left out", "problem", p)
	}
	now := time.Now()
	s.mu.Lock()
	for entity, t := range s.tasks {
		if _, keep := want[entity]; !keep {
			s.remove(t)
		}
	}
	for entity, c := range want {
		if t := s.tasks[entity]; t != nil {
			s.change(t, c, now)
		} else {
			s.add(c, now)
		}
	}
	s.mu.Unlock()
	s.nudge()
}

func (s *scheduler) add(c check, now time.Time) {
	at := now.Add(rand.N(min(firstSpread, c.interval)))
	t := &task{check: c, planned: at, due: at}
	s.tasks[c.target.Entity()] = t
	heap.Push(&s.queue, t)
}

func (s *scheduler) remove(t *task) {
	delete(s.tasks, t.target.Entity())
	heap.Remove(&s.queue, t.index)
	if t.cancel != nil {
		t.cancel()
	}
}

func (s *scheduler) change(t *task, c check, now time.Time) {
	looksElsewhere := !t.sameTarget(c)
	otherInterval := t.interval != c.interval
	t.check = c
	switch {
	case looksElsewhere && t.cancel != nil:
		t.cancel()
		t.again = true
	case looksElsewhere:
		t.planned, t.due = now, now
	case otherInterval:
		t.planned = now
		if !t.began.IsZero() {
			t.planned = later(now, t.began.Add(c.interval))
		}
		t.due = t.planned
	default:
		return
	}
	heap.Fix(&s.queue, t.index)
}

// nudge makes Run look at the queue again.
func (s *scheduler) nudge() {
	select {
	case s.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// Run runs the checks until ctx ends, and returns when no run is left. It
// always returns nil: what goes wrong with a check is that check's result.
func (s *scheduler) Run(ctx context.Context) error {
	defer s.runs.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-s.wake:
		}
		timer.Reset(s.startDue(ctx))
	}
}

// startDue starts what is due and returns how long until the next is.
func (s *scheduler) startDue(ctx context.Context) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for len(s.queue) > 0 {
		t := s.queue[0]
		if wait := t.due.Sub(now); wait > 0 {
			return wait
		}
		if t.cancel == nil {
			s.start(ctx, t, now)
		} else {
			s.skips.Add(ctx, 1, metric.WithAttributes(collectorAttr(t.target)))
		}
		t.advance(now)
		heap.Fix(&s.queue, 0)
	}
	return time.Hour // Apply nudges
}

// start begins a run; the mutex is held.
func (s *scheduler) start(ctx context.Context, t *task, now time.Time) {
	rctx, cancel := context.WithCancel(ctx)
	t.cancel, t.began = cancel, now
	target := t.target
	s.runs.Go(func() {
		defer s.ended(t)
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
		case <-rctx.Done():
			return
		}
		problem := s.run(rctx, target)
		if rctx.Err() == nil {
			s.tell(t, target, problem)
		}
	})
}

// ended frees the task for its next run.
func (s *scheduler) ended(t *task) {
	s.mu.Lock()
	t.cancel()
	t.cancel = nil
	if t.again && t.index >= 0 {
		t.again = false
		t.planned = time.Now()
		t.due = t.planned
		heap.Fix(&s.queue, t.index)
		defer s.nudge()
	}
	s.mu.Unlock()
}

// advance plans the next run on the check's grid, past what was missed (a
// suspended machine does not catch up).
func (t *task) advance(now time.Time) {
	t.planned = t.planned.Add(t.interval)
	if behind := now.Sub(t.planned); behind >= 0 {
		t.planned = t.planned.Add((behind/t.interval + 1) * t.interval)
	}
	span := time.Duration(jitter * float64(t.interval))
	t.due = later(now, t.planned.Add(rand.N(2*span+1)-span))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func collectorAttr(t collect.Target) attribute.KeyValue {
	return telemetry.AttrCheck.String(t.Collector)
}

// dueQueue is a heap of tasks, the earliest first.
type dueQueue []*task

func (q dueQueue) Len() int           { return len(q) }
func (q dueQueue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q dueQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *dueQueue) Push(x any) {
	t := x.(*task)
	t.index = len(*q)
	*q = append(*q, t)
}

func (q *dueQueue) Pop() any {
	last := len(*q) - 1
	t := (*q)[last]
	t.index = -1
	(*q)[last] = nil
	*q = (*q)[:last]
	return t
}
