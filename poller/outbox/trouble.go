package outbox

import (
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// trouble is what keeps the outbox from being written, or soon may. It is
// logged when it begins and when it is over, not in between: the log may be on
// the same disk.
type trouble struct {
	log *slog.Logger

	mu      sync.Mutex
	since   time.Time // when writing began to fail; zero when it works
	err     error
	ballast bool // there is none
}

// String is the trouble for a status, "" when there is none.
func (t *trouble) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.err != nil:
		return fmt.Sprintf("nothing can be kept since %s: %v", t.since.UTC().Format(time.RFC3339), t.err)
	case t.ballast:
		return "the disk is almost full: the outbox has no ballast left"
	}
	return ""
}

// wrote notes how a commit went.
func (t *trouble) wrote(err error) {
	t.mu.Lock()
	began, was := t.since, t.err
	if t.err = err; err == nil {
		t.since = time.Time{}
	} else if was == nil {
		t.since = time.Now()
	}
	t.mu.Unlock()
	switch {
	case err != nil && was == nil:
		t.log.Error("the outbox cannot be written: what is found now is not kept", "error", err,
			"hint", "free some space on the disk")
	case err == nil && was != nil:
		t.log.Info("the outbox can be written again", "after", time.Since(began).Round(time.Second))
	}
}

// noBallast notes whether the ballast is missing and reports whether that is new.
func (t *trouble) noBallast(missing bool) (changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	changed = t.ballast != missing
	t.ballast = missing
	return changed
}
