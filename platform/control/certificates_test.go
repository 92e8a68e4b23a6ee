package control

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"midplane/telemetry"
)

// A problem with certificates is said in the log when it is new, not every
// second, and again when it is gone; the status names the node and what to do.
func TestCertificateProblemsAreSaidOnce(t *testing.T) {
	var log bytes.Buffer
	tel := telemetry.Nop()
	tel.Log = slog.New(slog.NewTextHandler(&log, nil))
	now := ""
	c := &Control{tel: tel, cfg: Config{Certificates: func() string { return now }}}
	var last certificates
	for _, now = range []string{"", "", "client.crt ends soon", "client.crt ends soon", "", ""} {
		if got := c.certificates(&last); got != now {
			t.Errorf("%q, want %q", got, now)
		}
	}
	if n := strings.Count(log.String(), "client.crt ends soon"); n != 1 || strings.Count(log.String(), "in order again") != 1 {
		t.Errorf("%s", log.String())
	}
	if p := certificatesProblem("n1", "client.crt ends soon"); p.Severity != "warning" || !strings.Contains(p.Message, "node n1: client.crt") || !strings.Contains(p.Hint, "rotate certs") {
		t.Errorf("%+v", p)
	}
}
