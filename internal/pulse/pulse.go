// Package pulse notices that this process stood still: it was stopped, or its
// machine was put to sleep or starved. It touches no clock: its user brings the time.
package pulse

import (
	"sync/atomic"
	"time"
)

// Every is how often a process should note that it runs, and Stopped after how
// long without it the process stood still. A machine that is merely slow does not
// miss ten beats in a row.
const (
	Every   = time.Second
	Stopped = 10 * time.Second
)

// Pulse is that of one process. A nil one never stops.
type Pulse struct{ last atomic.Pointer[time.Time] }

// Beat notes that the process runs.
func (p *Pulse) Beat(now time.Time) { p.last.Store(&now) }

// Rest has nothing count as a stop until the next beat.
func (p *Pulse) Rest() { p.last.Store(nil) }

// Missed is how long ago the last beat was, 0 when there was none: by the clock
// that is running or by the one on the wall, whichever says more. The first does
// not count the time in which a machine slept.
func (p *Pulse) Missed(now time.Time) time.Duration {
	if p == nil {
		return 0
	}
	last := p.last.Load()
	if last == nil {
		return 0
	}
	return max(now.Sub(*last), now.Round(0).Sub(last.Round(0)))
}

// Stopped reports whether the process stood still until now, and no beat has said
// since that it goes on.
func (p *Pulse) Stopped(now time.Time) bool { return p.Missed(now) > Stopped }
