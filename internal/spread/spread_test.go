package spread

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestNext(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		interval := time.Duration(rapid.Int64Range(1, int64(400*24*time.Hour)).Draw(t, "interval"))
		phase := time.Duration(rapid.Int64Range(0, int64(interval)-1).Draw(t, "phase"))
		now := time.Unix(0, rapid.Int64Range(-1<<60, 1<<61).Draw(t, "now"))
		next := Next(now, phase, interval)
		if d := next.Sub(now); d <= 0 || d > interval {
			t.Fatalf("%s after now, the interval is %s", d, interval)
		}
		if again := Next(next, phase, interval); again.Sub(next) != interval {
			t.Fatalf("the one after it is %s later, want %s", again.Sub(next), interval)
		}
		if off := (time.Duration(next.UnixNano()) - phase) % interval; off != 0 {
			t.Fatalf("it is %s off the grid", off)
		}
	})
}

// TestSlotsAreEven: no second of the interval has half as many again as the
// average.
func TestSlotsAreEven(t *testing.T) {
	for _, tt := range []struct {
		count    int
		interval time.Duration
	}{{50_000, 5 * time.Minute}, {5_500, time.Minute}, {500, time.Minute}} {
		var s Slots
		parts := make([]int, int(tt.interval/time.Second))
		for i := range tt.count {
			name := fmt.Sprintf("device-%d/check/tcp", i)
			phase := s.Place(name, tt.interval)
			if phase < 0 || phase >= tt.interval {
				t.Fatalf("%s is at %s of %s", name, phase, tt.interval)
			}
			parts[int(int64(phase)*int64(len(parts))/int64(tt.interval))]++
		}
		for i, n := range parts {
			if average := float64(tt.count) / float64(len(parts)); float64(n) > 1.5*average {
				t.Errorf("%d at %s: second %d has %d, the average is %.1f", tt.count, tt.interval, i, n, average)
			}
		}
	}
}

// TestPlacesAreStable: the same names in the same order have the same places,
// and what is removed leaves its place.
func TestPlacesAreStable(t *testing.T) {
	var a, b Slots
	for i := range 1000 {
		name := fmt.Sprint("r", i)
		p := a.Place(name, time.Minute)
		if q := b.Place(name, time.Minute); p != q {
			t.Fatalf("%s is at %s and at %s", name, p, q)
		}
		b.Remove(p, time.Minute)
		if q := b.Place(name, time.Minute); p != q {
			t.Fatalf("%s comes back to %s, not %s", name, q, p)
		}
	}
	if p := Phase("syd-01", 5*time.Second); p != Phase("syd-01", 5*time.Second) || p == Phase("syd-02", 5*time.Second) {
		t.Error("phases of names")
	}
}

// TestPlacesAreForever: another place for a name would move every check of a
// fleet, and another mix every device between its pollers, with an upgrade.
func TestPlacesAreForever(t *testing.T) {
	for x, want := range map[uint64]uint64{0: 0, 1: 0x5692161d100b05e5, 2: 0xdbd238973a2b148a, 1 << 63: 0x25c26ea579cea98a} {
		if got := Mix(x); got != want {
			t.Errorf("%#x is mixed to %#x, want %#x", x, got, want)
		}
	}
	for name, want := range map[string]time.Duration{"syd-01": 19911618181, "r1/check/ping": 49271721680, "": 48366584608} {
		if got := Phase(name, time.Minute); got != want {
			t.Errorf("%q is at %d, want %d", name, got, want)
		}
	}
	var s Slots
	if got := s.Place("r1/check/ping", time.Minute); got != 29048088943 {
		t.Errorf("the first place is %d", got)
	}
}
