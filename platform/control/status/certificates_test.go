package status

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"midplane/telemetry"
)

// A problem with certificates is logged when it is new, not every
// second, and again when it is gone.
func TestCertificateProblemsAreLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	tel := telemetry.Nop()
	tel.Log = slog.New(slog.NewTextHandler(&log, nil))
	now := ""
	c := &Presence{cfg: PresenceConfig{Log: tel.Log, Certificates: func() string { return now }}}
	var last certificates
	for _, now = range []string{"", "", "client.crt ends soon", "client.crt ends soon", "", ""} {
		if got := c.certificates(&last); got != now {
			t.Errorf("%q, want %q", got, now)
		}
	}
	if n := strings.Count(log.String(), "client.crt ends soon"); n != 1 || strings.Count(log.String(), "in order again") != 1 {
		t.Errorf("%s", log.String())
	}
}
