// Package run keeps long-lived things: it starts them in order, stops them in
// reverse, and gives the whole stop a deadline. A thing is any func(ctx) error
// that blocks until ctx ends and returns nil when it is stopped.
package run

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Part is one long-lived thing.
type Part struct {
	Name string
	Run  func(ctx context.Context) error
	// Ready, when set, is waited for before the next part starts.
	Ready func(ctx context.Context) error
}

// Group runs parts.
type Group struct {
	// StopWithin is the deadline of the whole stop; a part still running then
	// is named in the error. 0 means 30 seconds.
	StopWithin time.Duration
	running    []running
	failed     chan error
}

type running struct {
	name   string
	cancel context.CancelFunc
	done   chan struct{}
}

// Start starts one part and waits until it is ready. The error is the part's
// own when it ended before it was ready.
func (g *Group) Start(ctx context.Context, p Part) error {
	if g.failed == nil {
		g.failed = make(chan error, 1)
	}
	// The part's life is the group's, not that of the call which starts it.
	pctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := running{name: p.Name, cancel: cancel, done: make(chan struct{})}
	ended := make(chan error, 1)
	go func() {
		defer close(r.done)
		err := p.Run(pctx)
		if pctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
			ended <- nil
			return
		}
		if err == nil {
			err = errors.New("ended by itself")
		}
		err = fmt.Errorf("%s: %w", p.Name, err)
		ended <- err
		select {
		case g.failed <- err:
		default: // another failed first
		}
	}()
	g.running = append(g.running, r)
	if p.Ready == nil {
		return nil
	}
	rctx, stop := context.WithCancel(ctx)
	defer stop()
	ready := make(chan error, 1)
	go func() { ready <- p.Ready(rctx) }()
	select {
	case err := <-ready:
		if err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		return nil
	case err := <-ended:
		if err == nil {
			err = ctx.Err()
		}
		return err
	case err := <-g.failed: // one that was started before
		select {
		case g.failed <- err: // for Wait
		default:
		}
		return err
	}
}

// Wait blocks until ctx ends or a part fails, and returns that failure.
func (g *Group) Wait(ctx context.Context) error {
	if g.failed == nil {
		g.failed = make(chan error, 1)
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-g.failed:
		return err
	}
}

// Stop stops every part, last started first, within the deadline.
func (g *Group) Stop() error {
	within := g.StopWithin
	if within == 0 {
		within = 30 * time.Second
	}
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	for i := len(g.running) - 1; i >= 0; i-- {
		r := g.running[i]
		r.cancel()
		select {
		case <-r.done:
		case <-deadline.C:
			for _, rest := range g.running[:i] {
				rest.cancel()
			}
			return fmt.Errorf("%s did not stop within %s", r.name, within)
		}
	}
	g.running = nil
	return nil
}
