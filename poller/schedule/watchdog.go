package schedule

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"midplane/fault"
	"midplane/poller/collect"
)

// overrunAfter is how long a collector may take to return once its context has
// ended. After that its run is over whether it returns or not: a collector that
// ignores its context keeps neither the place nor the stop of the poller.
const overrunAfter = 500 * time.Millisecond

// abandoned is a collector that has not returned.
type abandoned struct {
	target collect.Target
	began  time.Time
	ended  <-chan struct{}
}

// over reports whether it has returned after all.
func (a *abandoned) over() bool {
	select {
	case <-a.ended:
		return true
	default:
		return false
	}
}

// err says that it has not. The text stays the same as long as it lasts.
func (a *abandoned) err() error {
	return fault.WithHint(fault.New(fault.Unavailable, "check %s overran: collector %s does not end; its run began at %s with a timeout of %s",
		a.target.Entity(), a.target.Collector, a.began.UTC().Format(time.RFC3339), a.target.Timeout),
		"the check is not run again until that run ends; restart the poller, and report what the device answers")
}

// watchdog calls the collectors, and knows the runs that have not ended although
// their time is over.
type watchdog struct {
	collectors map[string]collect.Collector
	log        *slog.Logger

	mu   sync.Mutex
	left []*abandoned
}

// ask calls the collector and returns what it returns. When the collector does
// not return although its context has ended, the error is Unavailable, and stuck
// says when it does return after all.
func (w *watchdog) ask(ctx context.Context, t collect.Target, emit collect.Emit) (stuck *abandoned, err error) {
	c, ok := w.collectors[t.Collector]
	if !ok {
		names := make([]string, 0, len(w.collectors))
		for name := range w.collectors {
			names = append(names, name)
		}
		slices.Sort(names)
		return nil, fault.WithHint(fault.New(fault.NotFound, "no collector is named %q", t.Collector),
			"this poller has %s", strings.Join(names, ", "))
	}
	began := time.Now()
	ended := make(chan struct{})
	var returned error // read when ended is closed
	go func() {
		defer close(ended)
		returned = w.guarded(ctx, c, t, emit)
	}()
	select {
	case <-ended:
		return nil, returned
	case <-ctx.Done():
	}
	patience := time.NewTimer(overrunAfter)
	defer patience.Stop()
	select {
	case <-ended:
		return nil, returned
	case <-patience.C:
	}
	left := t
	left.Secrets = nil // a function is equal to nothing
	stuck = &abandoned{target: left, began: began, ended: ended}
	w.mu.Lock()
	w.left = append(w.left, stuck)
	w.mu.Unlock()
	return stuck, stuck.err()
}

// guarded calls the collector; a panic becomes an error.
func (w *watchdog) guarded(ctx context.Context, c collect.Collector, t collect.Target, emit collect.Emit) (err error) {
	defer func() {
		if p := recover(); p != nil {
			w.log.Error("a collector panicked", "collector", t.Collector, "check", string(t.Entity()),
				"panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fault.New(fault.Other, "collector %s panicked: %v", t.Collector, p)
		}
	}()
	return c.Collect(ctx, t, emit)
}

// leftOf returns the run of a target that has not ended, nil when there is none.
func (w *watchdog) leftOf(t collect.Target) *abandoned {
	t.Secrets = nil
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.left {
		if !a.over() && (check{target: a.target}).sameTarget(check{target: t}) {
			return a
		}
	}
	return nil
}

// problem says which run has not ended, "" when all have.
func (w *watchdog) problem() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left = slices.DeleteFunc(w.left, (*abandoned).over)
	if len(w.left) == 0 {
		return ""
	}
	text := sentence(w.left[0].err())
	if n := len(w.left); n > 1 {
		text = fmt.Sprintf("%d runs do not end, the first: %s", n, text)
	}
	return text
}
