package pulse_test

import (
	"testing"
	"time"

	"midplane/internal/pulse"
)

func TestStopped(t *testing.T) {
	var p pulse.Pulse
	now := time.Now()
	stopped := func(after time.Duration, want bool, when string) {
		t.Helper()
		if got := p.Stopped(now.Add(after)); got != want {
			t.Errorf("%s: stopped %v after %s", when, got, after)
		}
	}
	stopped(time.Hour, false, "before the first beat")
	p.Beat(now)
	stopped(pulse.Every, false, "running")
	stopped(pulse.Stopped, false, "slow")
	stopped(pulse.Stopped+time.Millisecond, true, "stopped")
	p.Beat(now.Add(time.Minute))
	stopped(time.Minute, false, "going on")
	stopped(0, false, "the clock was set back")
	p.Rest()
	stopped(2*time.Hour, false, "at rest")

	var none *pulse.Pulse
	if none.Stopped(now) {
		t.Error("none stopped")
	}
}

// A machine that slept: only the clock on the wall went on.
func TestSleepCounts(t *testing.T) {
	var p pulse.Pulse
	now := time.Now()
	p.Beat(now)
	if wall := now.Round(0).Add(pulse.Stopped + time.Second); !p.Stopped(wall) { // without a reading of the other clock
		t.Error("the clock on the wall does not count")
	}
}
