package connect

import (
	"context"
	"errors"
	"time"

	"midplane/fault"
)

// Poll is how often a command looks whether what it waits for has happened.
const Poll = 100 * time.Millisecond

// ErrTimeout is the error of Until when the time is over.
var ErrTimeout = errors.New("not in time")

// Until asks until done returns true. An answer that does not come for a while
// is no reason to give up: a leader may be being elected. It returns ErrTimeout
// when the time is over.
func Until(ctx context.Context, timeout time.Duration, done func(context.Context) (bool, error)) error {
	limited, stop := context.WithTimeout(ctx, timeout)
	defer stop()
	for {
		ok, err := done(limited)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case ok:
			return nil
		case err != nil && !fault.Is(err, fault.Unavailable):
			return err
		}
		select {
		case <-limited.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return ErrTimeout
		case <-time.After(Poll):
		}
	}
}
