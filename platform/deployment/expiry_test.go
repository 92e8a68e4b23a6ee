package deployment

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A certificate that ends within 30 days is reported, with its file and time.
func TestCertificatesThatEndSoon(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	plan := Plan{Name: "midplane", Primary: "core-1", Admin: "ann", TLS: true, Nodes: []NodePlan{{Name: "n1", Client: "127.0.0.1:4222", Route: "127.0.0.1:6222"}}}
	if _, err := Init(dir, plan); err != nil {
		t.Fatal(err)
	}
	f, err := openFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	trouble := func() string {
		t.Helper()
		c, err := newCertificates(filepath.Join(NodeDir(dir, "n1"), "tls"), nil)
		if err != nil {
			t.Fatal(err)
		}
		return c.trouble()
	}
	if got := trouble(); got != "" {
		t.Errorf("new certificates: %s", got)
	}
	ca, _, err := f.current(kindClient)
	if err != nil {
		t.Fatal(err)
	}
	ca.life = 29 * 24 * time.Hour
	if err := f.issue(f.writer(), kindClient, ca, nil); err != nil {
		t.Fatal(err)
	}
	if got := trouble(); !strings.HasPrefix(got, "client.crt ends 20") || strings.Contains(got, "route") {
		t.Errorf("got %q", got)
	}
	ca.life = -time.Minute // ended: the node still starts, and says so
	if err := f.issue(f.writer(), kindClient, ca, nil); err != nil {
		t.Fatal(err)
	}
	if got := trouble(); !strings.HasPrefix(got, "client.crt ends 20") {
		t.Errorf("got %q", got)
	}
}
