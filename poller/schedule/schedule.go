// Package schedule runs the checks of a poller: what runs when, how many at once,
// and what the result of a run is. The configuration says which checks there are
// (Apply), the collectors look, and what they find goes out through Emit, which
// is the way into the outbox.
//
// A check never runs twice at once, runs are spread over their interval and
// bounded in number, and a collector that does not end keeps neither its place
// nor the poller's stop. checks.go reads the set of checks from a configuration
// and apply.go changes it, queue.go knows what is due, run.go makes one run,
// slots.go bounds their number, and watchdog.go looks after those that do not
// end. It may import poller/collect and what is below it, and does no I/O.
package schedule

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"midplane/event"
	"midplane/internal/spread"
	"midplane/internal/wait"
	"midplane/poller/collect"
	"midplane/telemetry"
)

// Config is what a Scheduler is given.
type Config struct {
	Poller     event.Producer // whose checks these are
	Collectors map[string]collect.Collector
	Emit       collect.Emit                          // into the outbox
	Secrets    func(name string) (string, error)     // of "secret:NAME"; nil: there are none
	Known      func() (map[event.Entity]bool, error) // checks that have a result; nil: none has
	Summary    Summary                               // nil: a run ends with what it emitted
}

// Scheduler runs every check of a configuration at its interval, each check
// never twice at once. One goroutine (Run) keeps the time; each run has one of
// its own.
type Scheduler struct {
	emit     collect.Emit
	secrets  func(name string) (string, error)
	known    func() (map[event.Entity]bool, error)
	summary  Summary
	watchdog *watchdog
	tel      telemetry.Telemetry
	duration metric.Float64Histogram
	skips    metric.Int64Counter
	lag      metric.Float64Histogram
	polls    metric.Int64Counter
	poller   event.Producer

	slots slots
	wake  chan struct{} // the earliest due time may have changed
	runs  sync.WaitGroup

	mu     sync.Mutex
	tasks  map[event.Entity]*task // by the check's entity
	queue  dueQueue
	phases spread.Slots
	late   lateness
	ends   []Run // that have not gone out

	endsFail bool // of gather alone
}

// New returns a scheduler without checks. Apply gives it some.
func New(cfg Config, tel telemetry.Telemetry) *Scheduler {
	// An instrument that cannot be made comes as one that does nothing, and
	// the names are constants: there is nothing to do about an error.
	duration, _ := tel.Meter.Float64Histogram(telemetry.MetricCollect, metric.WithUnit("s"),
		metric.WithDescription("How long one run of a check took."))
	skips, _ := tel.Meter.Int64Counter(telemetry.MetricCollectSkipped,
		metric.WithDescription("Runs left out because the one before was still under way."))
	lag, _ := tel.Meter.Float64Histogram(telemetry.MetricCollectLag, metric.WithUnit("s"),
		metric.WithDescription("How long after it was due a run began: it waited for a place."))
	polls, _ := tel.Meter.Int64Counter(telemetry.MetricCollectPolls,
		metric.WithDescription("Looks at a device: runs of checks that a collector made."))
	if cfg.Summary == nil {
		cfg.Summary = noSummary{}
	}
	return &Scheduler{
		polls: polls, poller: cfg.Poller, summary: cfg.Summary,
		emit: cfg.Emit, secrets: cfg.Secrets, known: cfg.Known, tel: tel, duration: duration, skips: skips, lag: lag,
		watchdog: &watchdog{collectors: cfg.Collectors, log: tel.Log},
		slots:    newSlots(), wake: make(chan struct{}, 1),
		tasks: map[event.Entity]*task{},
	}
}

// noSummary leaves runs as they are.
type noSummary struct{}

func (noSummary) On() bool                { return false }
func (noSummary) Of(...Run) []event.Event { return nil }

// nudge makes Run look at the queue again.
func (s *Scheduler) nudge() { wait.Nudge(s.wake) }

// Run runs the checks until ctx ends, and returns when no run is left. It
// always returns nil: what goes wrong with a check is that check's result.
func (s *Scheduler) Run(ctx context.Context) error {
	defer s.observe(s.poller)()
	var gather sync.WaitGroup
	defer gather.Wait() // with the runs that ended last
	gctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	gather.Go(func() { s.gather(gctx) })
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
func (s *Scheduler) startDue(ctx context.Context) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for len(s.queue) > 0 {
		t := s.queue[0]
		if wait := t.due.Sub(now); wait > 0 {
			return wait
		}
		if t.cancel == nil {
			s.start(ctx, t)
		} else {
			s.skips.Add(ctx, 1, metric.WithAttributes(collectorAttr(t.target)))
		}
		t.advance(now)
		heap.Fix(&s.queue, 0)
	}
	return time.Hour // Apply nudges
}

// start begins a run; the mutex is held.
func (s *Scheduler) start(ctx context.Context, t *task) {
	rctx, cancel := context.WithCancel(ctx)
	t.cancel = cancel
	job := job{target: t.target, interval: t.interval, due: t.due, slow: t.slow, stuck: t.stuck}
	s.runs.Go(func() {
		defer s.ended(t)
		leave, ok := s.slots.enter(rctx, job.slow)
		if !ok {
			return
		}
		defer leave()
		s.began(rctx, job)
		done := s.run(rctx, job)
		if rctx.Err() == nil {
			s.settle(t, job, done)
		}
	})
}

// settle keeps what a run has shown of its check.
func (s *Scheduler) settle(t *task, j job, done outcome) {
	s.mu.Lock()
	if t.sameTarget(check{target: j.target}) {
		t.slow, t.stuck = done.slow, done.stuck
	}
	s.mu.Unlock()
	s.logProblem(t, j.target, done.problem)
}

// ended frees the task for its next run.
func (s *Scheduler) ended(t *task) {
	s.mu.Lock()
	t.cancel()
	t.cancel = nil
	if t.again && t.index >= 0 {
		t.again = false
		s.soon(t, time.Now())
		defer s.nudge()
	}
	s.mu.Unlock()
}

func collectorAttr(t collect.Target) attribute.KeyValue {
	return telemetry.AttrCheck.String(t.Collector)
}
