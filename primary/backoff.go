package primary

import (
	"time"

	"github.com/cenkalti/backoff/v5"
)

// waits is a growing wait with jitter, so that readers of many streams do not
// come back together.
type waits struct{ b *backoff.ExponentialBackOff }

func newBackoff(first, most time.Duration) waits {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = first, most
	b.Reset()
	return waits{b}
}

func (w waits) next() time.Duration { return w.b.NextBackOff() }
func (w waits) reset()              { w.b.Reset() }
