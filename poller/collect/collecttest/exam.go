// Package collecttest is the exam that every collector passes. A collector's
// test declares what to look at (a target that works, one that is broken, one
// that never answers) and calls Run; the exam asks for what all of them owe:
// only types of the catalogue with valid payloads about valid entities, the
// same entities every time, an end when the context ends and at the timeout,
// nothing left running, and no secret shown.
//
// It is for tests only. It may import collect and what is below it, and the
// catalogue of schemas.
package collecttest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"midplane/event"
	"midplane/fault"
	"midplane/poller/collect"
)

// bound is how much later than it should a collector may end: generous, since
// the machine may be busy, and far below forever.
const bound = 5 * time.Second

// Exam is what a collector's test declares.
type Exam struct {
	Collector collect.Collector

	// Working returns a target that everything is right with.
	Working func(t *testing.T) collect.Target
	// Broken returns a target that something is wrong with: the collector
	// either finds it (a state that is neither up nor ok) or returns an error.
	Broken func(t *testing.T) collect.Target
	// Silent returns a target that takes what it is sent and never answers;
	// nil when there is no such thing for this collector.
	Silent func(t *testing.T) collect.Target

	// Types are what a run on the working target says, each at least once.
	Types []event.Type
	// Secrets are planted in the targets and must never be seen again.
	Secrets []string
}

// Run holds the exam.
func Run(t *testing.T, e Exam) {
	watch := listen(t, e.Secrets)
	run := func(t *testing.T, target collect.Target) ([]event.Event, error) {
		t.Helper()
		got, err := collectOnce(context.Background(), e.Collector, target)
		watch.see(t, got, err)
		for _, ev := range got {
			conforms(t, target, ev)
		}
		return got, err
	}
	t.Run("says what it sees", func(t *testing.T) {
		got, err := run(t, e.Working(t))
		if err != nil {
			t.Fatalf("on a working target: %v (%s)", err, fault.HintOf(err))
		}
		if bad := findings(t, got); len(bad) > 0 {
			t.Errorf("on a working target it finds %v", bad)
		}
		for _, want := range e.Types {
			if !says(got, want) {
				t.Errorf("it says nothing of type %s", want)
			}
		}
	})
	t.Run("notices what is broken", func(t *testing.T) {
		got, err := run(t, e.Broken(t))
		if err == nil && len(findings(t, got)) == 0 {
			t.Errorf("on a broken target it has neither a finding nor an error, but %d messages", len(got))
		}
	})
	t.Run("speaks of the same entities every time", func(t *testing.T) {
		target := e.Working(t)
		first, err1 := run(t, target)
		second, err2 := run(t, target)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if a, b := topics(first), topics(second); a != b {
			t.Errorf("first run:\n%s\nsecond run:\n%s", a, b)
		}
	})
	t.Run("works on several targets at once", func(t *testing.T) {
		target := e.Working(t)
		var all sync.WaitGroup
		results := make([]error, 8)
		for i := range results {
			all.Go(func() { _, results[i] = collectOnce(context.Background(), e.Collector, target) })
		}
		all.Wait()
		if err := errors.Join(results...); err != nil {
			t.Error(err)
		}
	})
	t.Run("ends", func(t *testing.T) { ends(t, e, watch) })
	t.Run("refuses a parameter it does not know", func(t *testing.T) {
		target := e.Working(t)
		params := map[string]string{"no-such-parameter": "a-value-not-to-repeat"}
		for k, v := range target.Params {
			params[k] = v
		}
		target.Params = params
		_, err := collectOnce(context.Background(), e.Collector, target)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "no-such-parameter") {
			t.Errorf("want Invalid that names the parameter, got %v", err)
		}
		if err != nil && strings.Contains(err.Error(), "not-to-repeat") {
			t.Error("the error repeats the parameter's value")
		}
	})
	t.Run("passes on that nothing could be kept", func(t *testing.T) {
		full := fault.New(fault.Exhausted, "the outbox is full")
		err := e.Collector.Collect(context.Background(), e.Working(t),
			func(context.Context, ...event.Event) error { return full })
		if !errors.Is(err, full) {
			t.Errorf("emit failed, Collect returned %v", err)
		}
	})
	watch.done(t)
}

// ends asks for an end in time, by the context and by the timeout, with
// nothing left running.
func ends(t *testing.T, e Exam, watch *watch) {
	slow := e.Silent
	if slow == nil {
		slow = e.Working
	}
	t.Run("at its timeout", func(t *testing.T) {
		target := slow(t)
		target.Timeout = 300 * time.Millisecond
		defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
		got, err := collectWithin(t, target.Timeout+bound, context.Background(), e.Collector, target)
		watch.see(t, got, err)
		if e.Silent != nil && err == nil && len(findings(t, got)) == 0 {
			t.Error("a target that never answers is no finding")
		}
	})
	t.Run("with its context", func(t *testing.T) {
		target := slow(t)
		target.Timeout = time.Minute
		defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		got, err := collectWithin(t, bound, ctx, e.Collector, target)
		watch.see(t, got, err)
		if e.Silent != nil && (err == nil || len(got) > 0) {
			t.Errorf("interrupted, it says %d things and returns %v: being stopped is no finding", len(got), err)
		}
	})
	t.Run("before it begins", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		target := slow(t)
		defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
		if got, err := collectWithin(t, bound, ctx, e.Collector, target); err == nil || len(got) > 0 {
			t.Errorf("its context had ended, but it says %d things and returns %v", len(got), err)
		}
	})
}

// collectWithin is collectOnce that fails the test when c has not ended after d.
func collectWithin(t *testing.T, d time.Duration, ctx context.Context, c collect.Collector, target collect.Target) (got []event.Event, err error) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); got, err = collectOnce(ctx, c, target) }()
	select {
	case <-done:
		return got, err
	case <-time.After(d):
		t.Fatalf("it has not ended after %s", d)
		return nil, nil
	}
}

// collectOnce runs c and keeps what it emits.
func collectOnce(ctx context.Context, c collect.Collector, target collect.Target) ([]event.Event, error) {
	var mu sync.Mutex
	var got []event.Event
	err := c.Collect(ctx, target, func(_ context.Context, es ...event.Event) error {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, es...)
		return nil
	})
	return got, err
}
