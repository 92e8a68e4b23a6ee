package schedule

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/poller/collect"
	"midplane/telemetry"
)

// fleet is n devices with one check each.
func fleet(n int, interval, timeout time.Duration) api.PollerConfig {
	var cfg api.PollerConfig
	for i := range n {
		cfg.Devices = append(cfg.Devices, api.PollerDevice{ID: event.Entity(fmt.Sprint("r", i)), Address: "127.0.0.1",
			Checks: []api.PollerCheck{{Name: "a", Collector: "fake", Interval: api.Duration(interval), Timeout: api.Duration(timeout)}}})
	}
	return cfg
}

// perSecond counts the runs of f from since on, by second.
func (f *fake) perSecond(since time.Time, d time.Duration) []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]int, int(d/time.Second))
	for _, runs := range f.runs {
		for _, at := range runs {
			if i := int(at.Sub(since) / time.Second); !at.Before(since) && i < len(out) {
				out[i]++
			}
		}
	}
	return out
}

// TestChecksAreSpreadOverTheirInterval: what has no result yet runs within 30
// seconds, at an even rate; from the second interval on no second has half as
// many runs again as the average.
func TestChecksAreSpreadOverTheirInterval(t *testing.T) {
	for _, tt := range []struct {
		count    int
		interval time.Duration
	}{{50_000, 5 * time.Minute}, {5_000, time.Minute}, {500, time.Minute}} {
		t.Run(fmt.Sprintf("%d at %s", tt.count, tt.interval), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(nil)
				s, stop := begin(telemetry.Nop(), f, &box{})
				began := time.Now()
				s.Apply(fleet(tt.count, tt.interval, 5*time.Second))
				time.Sleep(3 * tt.interval)
				stop()
				within := min(soonWithin, time.Duration(tt.count)*soonEvery)
				for i, n := range f.perSecond(began, within) {
					// The first ones have their second run already.
					if most := tt.count/int(within/time.Second) + int(1.5*float64(tt.count)/tt.interval.Seconds()) + 20; n > most {
						t.Errorf("second %d of the first round has %d runs, want %d at most", i, n, most)
					}
				}
				if len(f.runs) != tt.count {
					t.Fatalf("%d of %d have run", len(f.runs), tt.count)
				}
				for e, runs := range f.runs {
					if first := runs[0].Sub(began); first > soonWithin {
						t.Fatalf("%s has its first run after %s", e, first)
					}
				}
				average := float64(tt.count) / tt.interval.Seconds()
				for i, n := range f.perSecond(began.Add(tt.interval+tt.interval/4), 3*tt.interval/2) {
					if float64(n) > 1.5*average {
						t.Errorf("second %d has %d runs, the average is %.1f", i, n, average)
					}
				}
			})
		})
	}
}

// TestARestartKeepsThePlaces: checks that have a result wait for their place in
// the interval, which is the one they had.
func TestARestartKeepsThePlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(nil)
		cfg := fleet(300, time.Minute, 5*time.Second)
		s, stop := begin(telemetry.Nop(), f, &box{})
		s.Apply(cfg)
		time.Sleep(5 * time.Minute)
		stop()
		before := f.runs

		f = newFake(nil)
		s, stop = begin(telemetry.Nop(), f, &box{})
		s.known = func() (map[event.Entity]bool, error) {
			known := map[event.Entity]bool{}
			for e := range before {
				known[e] = true
			}
			delete(known, "r7/check/a")
			return known, nil
		}
		restarted := time.Now()
		s.Apply(cfg)
		time.Sleep(2 * time.Minute)
		stop()
		for e, runs := range f.runs {
			if e == "r7/check/a" {
				if !runs[0].Equal(restarted) {
					t.Errorf("the one without a result runs after %s", runs[0].Sub(restarted))
				}
				continue
			}
			if gap := runs[0].Sub(before[e][len(before[e])-1]); gap%time.Minute != 0 || runs[0].Sub(restarted) > time.Minute {
				t.Errorf("%s runs %s after the last time, %s after the restart", e, gap, runs[0].Sub(restarted))
			}
		}
	})
}

// TestADeadSiteLeavesTheOthersTheirInterval: 1,500 of 2,000 devices are silent,
// which costs 3.3 seconds each; the other 500 keep their interval.
func TestADeadSiteLeavesTheOthersTheirInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := func(t collect.Target) bool {
			return !strings.HasSuffix(string(t.Device), "0") && !strings.HasSuffix(string(t.Device), "5")
		}
		f := newFake(func(ctx context.Context, t collect.Target, emit collect.Emit) error {
			status, d := event.CheckOK, 50*time.Millisecond
			if silent(t) {
				status, d = event.CheckCritical, 3300*time.Millisecond
			}
			if err := takes(d)(ctx, t, emit); err != nil {
				return err
			}
			return emit(ctx, collect.State(t.Entity(), event.TypeCheck, event.Check{Device: t.Device, Name: t.Check, Collector: "fake", Target: "x", Status: status}))
		})
		s, stop := begin(telemetry.Nop(), f, &box{})
		s.Apply(fleet(2500, time.Minute, 5*time.Second)) // 2,000 silent, 500 not
		time.Sleep(10 * time.Minute)
		late := s.Problem(time.Now())
		stop()
		for e, runs := range f.runs {
			if silent(collect.Target{Device: e.Device()}) {
				continue
			}
			for n := 2; n < len(runs); n++ {
				if gap := runs[n].Sub(runs[n-1]); gap > 61*time.Second {
					t.Fatalf("%s waits %s for a run, its interval is a minute", e, gap)
				}
			}
		}
		if late != "" {
			t.Errorf("a problem although all keep their interval: %s", late)
		}
	})
}

// TestWaitingForAPlaceIsAProblem: when more is silent than there are places for,
// the silent ones wait, the others do not, and the poller says so.
func TestWaitingForAPlaceIsAProblem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(func(ctx context.Context, t collect.Target, emit collect.Emit) error {
			if t.Device == "r0" {
				return nil
			}
			if err := takes(5*time.Second)(ctx, t, emit); err != nil {
				return err
			}
			return emit(ctx, collect.State(t.Entity(), event.TypeCheck, event.Check{Status: event.CheckCritical}))
		})
		s, stop := begin(telemetry.Nop(), f, &box{})
		s.Apply(fleet(6000, time.Minute, 5*time.Second))
		time.Sleep(15 * time.Minute)
		text := s.Problem(time.Now())
		stop()
		if !strings.Contains(text, "checks are late") || !strings.Contains(text, "do not answer") {
			t.Errorf("the problem is %q", text)
		}
		runs := f.ran("r0/check/a")
		for n := 6; n < len(runs); n++ { // the first rounds find out who is silent
			if gap := runs[n].Sub(runs[n-1]); gap > 61*time.Second {
				t.Errorf("the one that answers waits %s", gap)
			}
		}
	})
}
