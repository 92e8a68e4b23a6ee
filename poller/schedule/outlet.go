package schedule

import (
	"context"
	"encoding/json"
	"sync"

	"midplane/event"
	"midplane/fault"
	"midplane/poller/collect"
	"midplane/telemetry"
)

// outlet is the Emit of one run. It remembers what the run said, and whether
// something could not be kept. Metrics are kept back when hold says so: they go
// out together at the run's end.
type outlet struct {
	emit  collect.Emit
	check event.Entity
	hold  bool

	mu      sync.Mutex // a collector may emit from several goroutines
	refused error
	status  string // of the check, "" when the collector gave none
	closed  bool   // the run is over: nothing more is emitted in its name
	states  []event.Event
	metrics []event.Event // kept back
}

// Emit passes messages on, each with the trace of this run.
func (o *outlet) Emit(ctx context.Context, es ...event.Event) error {
	parent, state := telemetry.Inject(ctx)
	status := ""
	for i := range es {
		if es[i].TraceParent == "" {
			es[i].TraceParent, es[i].TraceState = parent, state
		}
		if es[i].Type == event.TypeCheck && es[i].Entity == o.check {
			status = statusOf(es[i])
		}
	}
	o.mu.Lock()
	closed := o.closed
	o.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if closed {
		return fault.New(fault.Unavailable, "the run of check %s is over", o.check)
	}
	now, later := o.split(es)
	var err error
	if len(now) > 0 {
		err = o.emit(ctx, now...)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		o.refused = err
		return err
	}
	o.metrics = append(o.metrics, later...)
	for i := range now {
		if now[i].Kind == event.KindState {
			o.states = append(o.states, now[i])
		}
	}
	if status != "" {
		o.status = status
	}
	return nil
}

// split parts what is emitted now from what is kept back.
func (o *outlet) split(es []event.Event) (now, later []event.Event) {
	if !o.hold {
		return es, nil
	}
	for _, e := range es {
		if e.Kind == event.KindMetric {
			later = append(later, e)
		} else {
			now = append(now, e)
		}
	}
	return now, later
}

// statusOf is the status in a check's result.
func statusOf(e event.Event) string {
	var c event.Check
	if json.Unmarshal(e.Data, &c) != nil || c.Status == "" {
		return event.CheckUnknown // the door will say what is wrong with it
	}
	return string(c.Status)
}

// close ends the run and returns what it said.
func (o *outlet) close() (said said) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	said.status, said.refused, said.states, said.metrics = o.status, o.refused, o.states, o.metrics
	return said
}

// said is what a run said.
type said struct {
	status          string
	refused         error
	states, metrics []event.Event // metrics: those that were kept back
}
