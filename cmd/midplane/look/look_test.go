package look

import (
	"testing"
	"time"

	"midplane/fault"
)

func TestSince(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]string{
		"15m":                       "2026-03-02T11:45:00Z",
		"24h":                       "2026-03-01T12:00:00Z",
		"7d":                        "2026-02-23T12:00:00Z",
		"2026-03-01":                "2026-03-01T00:00:00Z",
		"2026-03-01T10:00:00+02:00": "2026-03-01T08:00:00Z",
	} {
		got, err := parseSince(in, now)
		if err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%s: %v, %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"yesterday", "-5m", "2026-03-03", "15", "2026-13-01"} {
		if got, err := parseSince(in, now); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: got %v, %v", in, got, err)
		}
	}
	if got, err := parseSince("", now); got != nil || err != nil {
		t.Errorf("nothing: %v, %v", got, err)
	}
}
