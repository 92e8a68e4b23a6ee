package outbox

import (
	"time"

	"midplane/internal/wait"
)

// Retries of one refused message grow from first to most.
const (
	retryFirst = 100 * time.Millisecond
	retryMost  = 5 * time.Second
)

// retry is when a refused message is tried again.
type retry struct {
	at    time.Time
	delay wait.Growing
}

func newRetry() *retry {
	return &retry{delay: wait.NewGrowing(retryFirst, retryMost).By(2)}
}
