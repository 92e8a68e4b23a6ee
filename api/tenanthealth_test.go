package api

import (
	"strings"
	"testing"
	"time"
)

// A full stream's problem names what really holds it: the window before a reader that
// has only not read what came since, and no reader that has read everything.
func TestWhatHoldsAFullStream(t *testing.T) {
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	for want, s := range map[string]StreamFacts{
		"no primary reads it": {},
		"primary p is away since 2026-03-01T09:00:00Z and has 7 messages to read":                   {Slowest: "primary p", Unread: 7, Away: &at},
		"its slowest reader is primary p, which has 7 messages to read":                             {Slowest: "primary p", Unread: 7},
		"all have read what is to go, and the duplicate window holds it until 2026-03-01T09:00:00Z": {Slowest: "primary p", Unread: 1, Away: &at, Window: &at},
		"all have read it, and it is trimmed within seconds":                                        {Slowest: "primary p", Away: &at},
	} {
		s.Name, s.Leader, s.Bytes, s.MaxBytes, s.Above = "EVENTS", "n1", 90, 100, 80
		got := s.problems("acme")
		if len(got) != 1 || !strings.HasSuffix(got[0].Message, "stream EVENTS is 90 % full; "+want) {
			t.Errorf("%+v, want %q", got, want)
		}
	}
}
