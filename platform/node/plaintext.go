package node

import (
	"log/slog"
	"strings"
	"sync"
	"time"
)

// plainEvery bounds how often a node logs that a connection is in plain text.
const plainEvery = time.Minute

// plainText logs connections that do not begin with TLS where TLS is spoken. The
// server logs them at its debug level only, once per connection: a client that
// was set up wrongly comes again every second, and a scanner more often than that.
type plainText struct {
	mu   sync.Mutex
	last time.Time // when it was logged
	more int       // since then
}

// plainSign is Go's error for a first record that is no TLS.
const plainSign = "first record does not look like a TLS handshake"

// take takes one line of the server and reports whether it was about plain text.
func (p *plainText) take(log *slog.Logger, line string, now time.Time) bool {
	if !strings.Contains(line, plainSign) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.last.IsZero() && now.Sub(p.last) < plainEvery {
		p.more++
		return true
	}
	from, _, _ := strings.Cut(line, " - ")
	port := "clients"
	if strings.Contains(line, "TLS route") {
		port = "routes"
	}
	args := []any{"from", from, "port", port, "hint", "write its URL as tls://… and give it the CA's certificate"}
	if p.more > 0 {
		args = append(args, "others", p.more)
	}
	log.Warn("refused a connection in plain text: this port speaks TLS only", args...)
	p.last, p.more = now, 0
	return true
}
