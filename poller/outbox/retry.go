package outbox

import (
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Retries of one refused message grow from first to most.
const (
	retryFirst = 100 * time.Millisecond
	retryMost  = 5 * time.Second
)

// retry is when a refused message is tried again.
type retry struct {
	at    time.Time
	delay *backoff.ExponentialBackOff
}

// NewBackoff returns the growing delay between two tries of one message.
func NewBackoff() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = retryFirst, retryMost, 2
	return b
}
