package output

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Plural drops the "s" of noun when n is 1.
func Plural(noun string, n int) string {
	if n == 1 {
		return strings.TrimSuffix(noun, "s")
	}
	return noun
}

// Ago is how long t is in the past, "-" when it is not known.
func Ago(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return Short(time.Since(*t))
}

// Short writes a duration with its two largest units.
func Short(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

// Stamp writes a time for a table, "-" when it is not known.
func Stamp(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// Minute writes a time to the minute, for a table of certificates or people.
func Minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04Z") }

// Bytes writes a size in binary units.
func Bytes(n uint64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	units := "KMGTPE"
	v, i := float64(n)/1024, 0
	for v >= 1024 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", v, units[i])
}

// Speed writes bits per second, "-" when it is not known.
func Speed(bits uint64) string {
	switch {
	case bits == 0:
		return "-"
	case bits >= 1e9:
		return trim(float64(bits)/1e9) + " Gb/s"
	case bits >= 1e6:
		return trim(float64(bits)/1e6) + " Mb/s"
	case bits >= 1e3:
		return trim(float64(bits)/1e3) + " kb/s"
	}
	return fmt.Sprintf("%d b/s", bits)
}

func trim(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// Number writes a value of a metric with at most three decimals.
func Number(v float64) string {
	s := strconv.FormatFloat(v, 'f', 3, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// YesNo writes a bool as a word.
func YesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// Dash writes "-" for a text that is empty.
func Dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
