// Package wait holds what loops wait by: for a while, until they are nudged,
// longer each time. It touches nothing but clocks and channels.
package wait

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// For waits for d, or until ctx ends. The error is nil when d has passed, and
// ctx's when ctx has ended, also when both are so and when d is 0 or less.
func For(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// Nudge wakes the one that receives from c, which has room for one value,
// without waiting for it. Nudges before it is awake are one.
func Nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it will look anyway
	}
}

// Growing is a wait that grows from one try to the next, with jitter, so that
// many do not come back together. It is for one goroutine.
type Growing struct{ b *backoff.ExponentialBackOff }

// NewGrowing returns a wait that begins around first and ends around most.
func NewGrowing(first, most time.Duration) Growing {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = first, most
	b.Reset()
	return Growing{b}
}

// By returns the wait with another factor between two tries than 1.5.
func (g Growing) By(factor float64) Growing {
	g.b.Multiplier = factor
	return g
}

// Next returns the next wait.
func (g Growing) Next() time.Duration { return g.b.NextBackOff() }

// Reset begins with the first wait again.
func (g Growing) Reset() { g.b.Reset() }

// For waits for the next wait, as For does.
func (g Growing) For(ctx context.Context) error { return For(ctx, g.Next()) }
