package schedule

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"midplane/event"
	"midplane/fault"
	"midplane/poller/collect"
	"midplane/telemetry"
)

// grace is how much longer than its timeout a run may take: it is for emitting
// what was found when the timeout was reached.
const grace = 5 * time.Second

// job is one run of a check.
type job struct {
	target   collect.Target
	interval time.Duration
	due      time.Time
	slow     bool       // it takes a place of the slow ones
	stuck    *abandoned // a run before it that has not ended
}

// Run is one run of a check that has ended.
type Run struct {
	Target  collect.Target
	Ended   time.Time
	States  []event.Event // emitted already
	Metrics []event.Event // kept back: the summary says how they go out
	// The trace of the run, as W3C headers.
	TraceParent, TraceState string
}

// Summary ends runs: while it is on, the metrics of runs are kept back, and what
// Of returns of the runs of the last moment is emitted instead.
type Summary interface {
	On() bool
	Of(runs ...Run) []event.Event
}

// outcome is what a run has shown of its check.
type outcome struct {
	problem error      // why it could not look, or nil
	slow    bool       // it waited for something that did not come
	stuck   *abandoned // not nil: its collector has not ended
}

// run looks at the target once and makes sure that the check has a result: the
// collector's own or, when it says none, "ok" since it ran, or "unknown" with
// the reason since it could not.
func (s *Scheduler) run(ctx context.Context, j job) (done outcome) {
	t := j.target
	t.Secrets = s.secrets // now, not when it was configured: a rotated one counts at once
	ctx, span := s.tel.Tracer.Start(ctx, telemetry.SpanCollect, trace.WithAttributes(
		telemetry.AttrEntity.String(string(t.Entity())), collectorAttr(t)))
	defer span.End()
	limited, cancel := context.WithTimeout(ctx, t.Timeout+grace)
	defer cancel()

	began := time.Now()
	out := &outlet{emit: s.emit, check: t.Entity(), hold: s.summary.On()}
	if j.stuck != nil && !j.stuck.over() {
		done.stuck, done.problem = j.stuck, j.stuck.err()
	} else {
		done.stuck, done.problem = s.watchdog.ask(limited, t, out.Emit)
		s.polls.Add(ctx, 1, metric.WithAttributes(telemetry.AttrPoller.String(string(s.poller)), collectorAttr(t)))
	}
	if done.stuck == nil && done.problem != nil && limited.Err() != nil {
		done.problem = fault.Wrap(fault.Unavailable, done.problem, "check %s was not done within %s", t.Entity(), t.Timeout+grace)
	}
	took := time.Since(began)
	s.duration.Record(ctx, took.Seconds(), metric.WithAttributes(collectorAttr(t)))

	said := out.close()
	if ctx.Err() != nil { // stopped: what it found is about that
		return done
	}
	if said.refused != nil {
		done.problem = fault.Wrap(fault.Other, said.refused, "what check %s found cannot be kept", t.Entity())
	} else if done.problem != nil || said.status == "" {
		r := result(t, done.problem)
		said.states = append(said.states, r)
		if err := s.emitTraced(ctx, r); err != nil {
			done.problem = fault.Wrap(fault.Other, err, "the result of check %s cannot be kept", t.Entity())
		}
	}
	if out.hold && said.refused == nil {
		r := Run{Target: t, Ended: time.Now().UTC(), States: said.states, Metrics: said.metrics}
		r.TraceParent, r.TraceState = telemetry.Inject(ctx)
		s.end(r)
	}
	status := said.status
	done.slow = took >= min(slowAfter, t.Timeout/2) && (done.problem != nil || status == event.CheckCritical || status == event.CheckUnknown)
	if done.problem != nil {
		span.SetStatus(codes.Error, done.problem.Error())
	}
	return done
}

// emitTraced emits messages with the trace of this run.
func (s *Scheduler) emitTraced(ctx context.Context, es ...event.Event) error {
	parent, state := telemetry.Inject(ctx)
	for i := range es {
		if es[i].TraceParent == "" {
			es[i].TraceParent, es[i].TraceState = parent, state
		}
	}
	return s.emit(ctx, es...)
}

// result is the check's result when the collector gave none.
func result(t collect.Target, problem error) event.Event {
	c := event.Check{Device: t.Device, Name: t.Check, Collector: t.Collector, Target: t.Address, Status: event.CheckOK}
	if problem != nil {
		c.Status, c.Message = event.CheckUnknown, sentence(problem)
	}
	return collect.State(t.Entity(), event.TypeCheck, c)
}

// sentence is an error with its hint, short enough to show.
func sentence(err error) string {
	text := err.Error()
	if hint := fault.HintOf(err); hint != "" {
		text += " (" + hint + ")"
	}
	return collect.Clip(text)
}

// logProblem logs a problem when it is another one than the last time, and its end.
func (s *Scheduler) logProblem(t *task, target collect.Target, problem error) {
	text := ""
	if problem != nil {
		text = problem.Error()
	}
	s.mu.Lock()
	before := t.problem
	t.problem = text
	s.mu.Unlock()
	log := s.tel.Log.With("check", string(target.Entity()), "collector", target.Collector)
	switch {
	case text == before:
	case text == "":
		log.Info("the check works again")
	default:
		log.Warn("the check does not work", "error", text, "hint", fault.HintOf(problem))
	}
}
