package schedule

import (
	"context"
	"sync"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/poller/collect"
	"midplane/telemetry"
)

// fake is a collector that notes its runs and does what a test tells it to.
type fake struct {
	do func(ctx context.Context, t collect.Target, emit collect.Emit) error

	mu      sync.Mutex
	runs    map[event.Entity][]time.Time
	targets []collect.Target
	now     map[event.Entity]int // runs under way
	overlap bool
	most    int // runs under way at once, all together
	total   int
}

func newFake(do func(ctx context.Context, t collect.Target, emit collect.Emit) error) *fake {
	return &fake{do: do, runs: map[event.Entity][]time.Time{}, now: map[event.Entity]int{}}
}

func (f *fake) Collect(ctx context.Context, t collect.Target, emit collect.Emit) error {
	f.mu.Lock()
	e := t.Entity()
	f.runs[e] = append(f.runs[e], time.Now())
	f.targets = append(f.targets, t)
	f.now[e]++
	f.overlap = f.overlap || f.now[e] > 1
	f.total++
	f.most = max(f.most, f.total)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.now[e]--
		f.total--
		f.mu.Unlock()
	}()
	if f.do == nil {
		return nil
	}
	return f.do(ctx, t, emit)
}

// ran returns when a check has been run.
func (f *fake) ran(e event.Entity) []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]time.Time(nil), f.runs[e]...)
}

// takes is work that lasts for d, or until its context ends.
func takes(d time.Duration) func(context.Context, collect.Target, collect.Emit) error {
	return func(ctx context.Context, _ collect.Target, _ collect.Emit) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// box is an outbox that keeps what is emitted.
type box struct {
	mu  sync.Mutex
	got []event.Event
	err error
}

func (b *box) emit(_ context.Context, es ...event.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err
	}
	b.got = append(b.got, es...)
	return nil
}

// begin runs a scheduler with f as the collector "fake" inside a bubble;
// stop ends it and waits.
func begin(tel telemetry.Telemetry, f collect.Collector, b *box) (s *Scheduler, stop func()) {
	s = New(Config{Collectors: map[string]collect.Collector{"fake": f}, Emit: b.emit,
		Secrets: func(string) (string, error) { return "", nil }}, tel)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	return s, func() { cancel(); <-done }
}

func one(name string, interval time.Duration, params map[string]string) api.PollerCheck {
	return api.PollerCheck{Name: name, Collector: "fake", Interval: api.Duration(interval), Timeout: api.Duration(5 * time.Second), Params: params}
}

func config(checks ...api.PollerCheck) api.PollerConfig {
	return api.PollerConfig{Devices: []api.PollerDevice{{ID: "r1", Address: "127.0.0.1", Checks: checks}}}
}
