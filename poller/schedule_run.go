package poller

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"midplane/event"
	"midplane/fault"
	"midplane/poller/collect"
	"midplane/telemetry"
)

// run looks at t once and makes sure that the check has a result: the
// collector's own or, when it says none, "ok" since it ran, or "unknown" with
// the reason since it could not. It returns why it could not, or nil.
func (s *scheduler) run(ctx context.Context, t collect.Target) (problem error) {
	t.Secrets = s.secrets // now, not when it was configured: a rotated one counts at once
	ctx, span := s.tel.Tracer.Start(ctx, telemetry.SpanCollect, trace.WithAttributes(
		telemetry.AttrEntity.String(string(t.Entity())), collectorAttr(t)))
	defer span.End()
	limited, cancel := context.WithTimeout(ctx, t.Timeout+grace)
	defer cancel()

	began := time.Now()
	out := &outlet{emit: s.emit, check: t.Entity()}
	problem = s.ask(limited, t, out.Emit)
	if problem != nil && limited.Err() != nil {
		problem = fault.Wrap(fault.Unavailable, problem, "check %s was not done within %s", t.Entity(), t.Timeout+grace)
	}
	s.duration.Record(ctx, time.Since(began).Seconds(), metric.WithAttributes(collectorAttr(t)))

	if ctx.Err() != nil { // told to stop: whatever it says is about that
		return problem
	}
	refused, answered := out.state()
	if refused != nil {
		problem = fault.Wrap(fault.Other, refused, "what check %s found cannot be kept", t.Entity())
	} else if problem != nil || !answered {
		if err := out.Emit(ctx, result(t, problem)); err != nil {
			problem = fault.Wrap(fault.Other, err, "the result of check %s cannot be kept", t.Entity())
		}
	}
	if problem != nil {
		span.SetStatus(codes.Error, problem.Error())
	}
	return problem
}

// ask calls the collector; a panic becomes an error.
func (s *scheduler) ask(ctx context.Context, t collect.Target, emit collect.Emit) (err error) {
	c, ok := s.collectors[t.Collector]
	if !ok {
		names := make([]string, 0, len(s.collectors))
		for name := range s.collectors {
			names = append(names, name)
		}
		slices.Sort(names)
		return fault.WithHint(fault.New(fault.NotFound, "no collector is named %q", t.Collector),
			"this poller has %s", strings.Join(names, ", "))
	}
	defer func() {
		if p := recover(); p != nil {
			s.tel.Log.Error("a collector panicked", "collector", t.Collector, "check", string(t.Entity()),
				"panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fault.New(fault.Other, "collector %s panicked: %v", t.Collector, p)
		}
	}()
	return c.Collect(ctx, t, emit)
}

// outlet is the Emit of one run. It remembers whether the collector gave the
// check's result itself and whether something could not be kept.
type outlet struct {
	emit  collect.Emit
	check event.Entity

	mu       sync.Mutex // a collector may emit from several goroutines
	refused  error
	answered bool
}

// Emit passes messages on, each with the trace of this run.
func (o *outlet) Emit(ctx context.Context, es ...event.Event) error {
	parent, state := telemetry.Inject(ctx)
	answers := false
	for i := range es {
		if es[i].TraceParent == "" {
			es[i].TraceParent, es[i].TraceState = parent, state
		}
		answers = answers || es[i].Type == event.TypeCheck && es[i].Entity == o.check
	}
	if err := ctx.Err(); err != nil {
		return err // the run is over: nothing more is said in its name
	}
	err := o.emit(ctx, es...)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		o.refused = err
		return err
	}
	o.answered = o.answered || answers
	return nil
}

func (o *outlet) state() (refused error, answered bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.refused, o.answered
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

// tell logs a problem when it is another one than the last time, and its end.
func (s *scheduler) tell(t *task, target collect.Target, problem error) {
	text := ""
	if problem != nil {
		text = problem.Error()
	}
	s.mu.Lock()
	before := t.told
	t.told = text
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
