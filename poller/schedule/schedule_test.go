package schedule

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"midplane/api"
	"midplane/event"
	"midplane/poller/collect"
	"midplane/telemetry"
)

func TestRunsAtOnceAndThenAtItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(nil)
		began := time.Now()
		s, stop := begin(telemetry.Nop(), f, &box{})
		s.Apply(config(one("a", time.Minute, nil)))
		time.Sleep(time.Hour)
		stop()
		runs := f.ran("r1/check/a")
		if first := runs[0].Sub(began); first > 0 {
			t.Errorf("the first device's first run after %s", first)
		}
		if second := runs[1].Sub(runs[0]); second < 15*time.Second || second > 75*time.Second {
			t.Errorf("second run %s after the first", second)
		}
		for n := 2; n < len(runs); n++ {
			if d := runs[n].Sub(runs[n-1]); d != time.Minute {
				t.Errorf("run %d is %s after the one before", n, d)
			}
		}
		if len(runs) < 59 || len(runs) > 61 {
			t.Errorf("%d runs in an hour", len(runs))
		}
	})
}

func TestSlowRunsAreSkippedAndCounted(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	tel := telemetry.Nop()
	tel.Meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test")
	synctest.Test(t, func(t *testing.T) {
		f := newFake(takes(25 * time.Second))
		s, stop := begin(tel, f, &box{})
		c := one("a", 10*time.Second, nil)
		c.Timeout = api.Duration(time.Minute)
		s.Apply(config(c))
		time.Sleep(10 * time.Minute)
		stop()
		if f.overlap {
			t.Error("two runs of one check at once")
		}
		if n := len(f.ran("r1/check/a")); n < 18 || n > 22 { // every third tick
			t.Errorf("%d runs", n)
		}
	})
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, m := range rm.ScopeMetrics[0].Metrics {
		seen[m.Name] = true
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			n := data.DataPoints[0].Value
			if m.Name == telemetry.MetricCollectSkipped && n < 30 {
				t.Errorf("%d skips counted", n)
			}
			if m.Name == telemetry.MetricCollectPolls && (n < 18 || n > 22) {
				t.Errorf("%d looks counted", n)
			}
		case metricdata.Histogram[float64]:
			if m.Name != telemetry.MetricCollect {
				continue
			}
			if p := data.DataPoints[0]; p.Count < 18 || p.Sum < float64(p.Count-1)*25 {
				t.Errorf("histogram of %d runs, %v s", p.Count, p.Sum)
			}
		}
	}
	if !seen[telemetry.MetricCollect] || !seen[telemetry.MetricCollectSkipped] || !seen[telemetry.MetricCollectPolls] {
		t.Errorf("instruments %v", seen)
	}
}

func TestApplyReplacesInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(nil)
		s, stop := begin(telemetry.Nop(), f, &box{})
		defer stop()
		same, slow, changed := one("same", time.Hour, nil), one("slow", time.Hour, nil), one("changed", time.Hour, nil)
		s.Apply(config(same, slow, changed, one("gone", time.Minute, nil)))
		time.Sleep(30 * time.Minute)
		gone := len(f.ran("r1/check/gone"))

		slow.Interval = api.Duration(time.Minute)
		changed.Params = map[string]string{"port": "23"}
		at := time.Now()
		s.Apply(config(same, slow, changed, one("new", time.Hour, nil)))
		s.Apply(api.PollerConfig{Unchanged: true})
		time.Sleep(time.Second)
		for name, want := range map[event.Entity]int{"r1/check/same": 1, "r1/check/changed": 2, "r1/check/new": 1, "r1/check/gone": gone} {
			if n := len(f.ran(name)); n != want {
				t.Errorf("%s ran %d times, want %d", name, n, want)
			}
		}
		time.Sleep(45 * time.Minute)
		if n := len(f.ran("r1/check/gone")); n != gone {
			t.Errorf("a check that is gone ran %d times more", n-gone)
		}
		if n := len(f.ran("r1/check/slow")); n < 35 {
			t.Errorf("the shortened interval gave %d runs in 40 minutes", n)
		}
		runs := f.ran("r1/check/same")
		if len(runs) != 2 || runs[1].Sub(runs[0]) > 75*time.Minute || runs[1].Before(at) {
			t.Errorf("the unchanged check lost its phase: %v", runs)
		}
	})
}

func TestAChangedIntervalMovesToItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(nil)
		s, stop := begin(telemetry.Nop(), f, &box{})
		defer stop()
		s.Apply(config(one("a", time.Hour, nil)))
		time.Sleep(10 * time.Minute)
		s.Apply(config(one("a", 15*time.Minute, nil)))
		changed := time.Now()
		time.Sleep(30 * time.Minute)
		runs := f.ran("r1/check/a")
		if n := len(runs); n < 3 || runs[n-2].Sub(changed) > 15*time.Minute || runs[n-1].Sub(runs[n-2]) != 15*time.Minute {
			t.Errorf("changed at %s: %v", changed, runs)
		}
	})
}

func TestRunUnderWayIsStopped(t *testing.T) {
	for name, next := range map[string]api.PollerConfig{
		"when its check is removed":      config(),
		"when its check looks elsewhere": config(one("a", time.Hour, map[string]string{"port": "23"})),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, b := newFake(nil), &box{}
				var stopped []time.Time
				f.do = func(ctx context.Context, t collect.Target, emit collect.Emit) error {
					if t.Params["port"] == "23" {
						return nil
					}
					<-ctx.Done()
					stopped = append(stopped, time.Now())
					return emit(ctx, collect.State(t.Entity(), event.TypeCheck, event.Check{Status: event.CheckCritical}))
				}
				s, stop := begin(telemetry.Nop(), f, b)
				c := one("a", time.Hour, nil)
				c.Timeout = api.Duration(time.Hour)
				s.Apply(config(c))
				time.Sleep(time.Minute)
				at := time.Now()
				s.Apply(next)
				time.Sleep(time.Second)
				stop()
				if len(stopped) != 1 || !stopped[0].Equal(at) {
					t.Errorf("stopped at %v, want %v", stopped, at)
				}
				if len(next.Devices[0].Checks) == 1 {
					if n := len(f.ran("r1/check/a")); n != 2 || f.overlap {
						t.Errorf("%d runs, overlap %v", n, f.overlap)
					}
				}
				for _, e := range b.got {
					if string(e.Data) == "" || say(t, e).Status == event.CheckCritical {
						t.Errorf("a run that was stopped has emitted: %s", e.Data)
					}
				}
			})
		})
	}
}

func TestNoMoreThanThePoolAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(takes(8 * time.Second))
		s, stop := begin(telemetry.Nop(), f, &box{})
		var checks []api.PollerCheck
		for i := range 2000 {
			c := one(fmt.Sprint(i), time.Hour, nil)
			c.Timeout = api.Duration(time.Minute)
			checks = append(checks, c)
		}
		s.Apply(config(checks...))
		time.Sleep(2 * time.Minute)
		stop()
		if f.most != maxRuns || len(f.runs) != 2000 {
			t.Errorf("%d at once, %d of 2000 have run", f.most, len(f.runs))
		}
	})
}

func TestStopEndsAllRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(takes(time.Hour)), &box{}
		s, stop := begin(telemetry.Nop(), f, b)
		var checks []api.PollerCheck
		for i := range 100 {
			c := one(fmt.Sprint(i), time.Hour, nil)
			c.Timeout = api.Duration(time.Hour)
			checks = append(checks, c)
		}
		s.Apply(config(checks...))
		time.Sleep(time.Minute)
		stop() // synctest fails when a goroutine stays
		if f.total != 0 || len(b.got) != 0 {
			t.Errorf("%d runs are left, %d messages were sent", f.total, len(b.got))
		}
	})
}
