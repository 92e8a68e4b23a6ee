package main

import (
	"fmt"
	"sort"
	"syscall"
	"time"
)

func median(v []float64) float64 {
	s := sorted(v)
	if n := len(s); n%2 == 1 {
		return s[n/2]
	} else if n > 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return 0
}

func sorted(v []float64) []float64 {
	s := append([]float64{}, v...)
	sort.Float64s(s)
	return s
}

// spread prints the median and the range.
func spread(v []float64, format string) string {
	s := sorted(v)
	if len(s) == 0 {
		return "none"
	}
	return fmt.Sprintf(format+" ("+format+" to "+format+", %d rounds)", median(v), s[0], s[len(s)-1], len(s))
}

// percentile p of v, 0 to 100.
func percentile(v []float64, p float64) float64 {
	s := sorted(v)
	if len(s) == 0 {
		return 0
	}
	return s[min(len(s)-1, int(p/100*float64(len(s))))]
}

// cpu returns the CPU time of this process so far.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
