package lab

import (
	"context"
	"fmt"
	"time"

	"midplane/internal/wait"
)

const (
	statusTruth = "status"
	// mostGreen is how long "status --check" may find nothing wrong after a node has
	// died, stood still, or been cut off. A node counts as gone 5 s after it was last
	// seen; twice that is room for a machine that is busy.
	mostGreen = 10 * time.Second
)

// Status asks "midplane status --check" all the time, as an operator does who watches the
// cluster. What it says is held against what was true.
type Status struct {
	looks []look
}

// look is one answer.
type look struct {
	asked, answered time.Time
	green           bool
}

// Name is the workload's.
func (s *Status) Name() string { return statusTruth }

// Declare needs nothing.
func (s *Status) Declare(*World) {}

// Run asks until ctx ends.
func (s *Status) Run(ctx context.Context, w *World) error {
	for ctx.Err() == nil {
		l := look{asked: time.Now()}
		_, err := w.sys.Run(ctx, "status", "--check")
		l.answered, l.green = time.Now(), err == nil
		if ctx.Err() == nil {
			s.looks = append(s.looks, l)
		}
		_ = wait.For(ctx, time.Second) // the loop ends with it
	}
	return nil
}

// Judge holds the answers against what was true.
func (s *Status) Judge(_ context.Context, w *World) Part {
	return heldAgainst(w.truth.all(), s.looks)
}

// heldAgainst finds answers that nothing is wrong, to questions that were asked long
// after something was and answered while it still was.
func heldAgainst(spells []spell, looks []look) (p Part) {
	longest, slowest, green := time.Duration(0), time.Duration(0), 0
	for _, l := range looks {
		slowest = max(slowest, l.answered.Sub(l.asked))
		if !l.green {
			continue
		}
		green++
		for _, s := range spells {
			if l.asked.Before(s.from) || !s.to.IsZero() && l.answered.After(s.to) {
				continue
			}
			late := l.asked.Sub(s.from)
			longest = max(longest, late)
			if late > mostGreen {
				p.find("status found nothing wrong %.1f s after this began: %s", late.Seconds(), s.what)
			}
		}
	}
	if green == 0 {
		p.find("in %d answers status never found that all was well", len(looks))
	}
	p.Figures = fmt.Sprintf("asked %d times, %d times nothing was wrong, the latest %.1f s after a fault began; slowest answer %.1f s",
		len(looks), green, longest.Seconds(), slowest.Seconds())
	return p
}
